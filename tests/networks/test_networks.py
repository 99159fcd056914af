"""Posts of Bluesky and Mastodon, made after the networks' schemas, from crawl to a trained model."""

import json
from collections import Counter
from pathlib import Path

import pytest

from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.sample import networks
from m3h.schemas.dataset import Dataset
from m3h.schemas.posts import Dropped, Post
from tests.networks.demo import from_crawl_to_model

SERVER = "http://127.0.0.1:9"
OF_EACH = networks.POSTS_PER_TOPIC * len(networks.TOPICS)


def test_the_dumps_hold_what_they_say(tmp_path: Path) -> None:
    expected = networks.make(tmp_path, SERVER)
    names = (networks.BLUESKY, networks.STREAM, networks.MASTODON)
    found = [record for name in names for record in read_dump(DumpFile(name, str(tmp_path / name)))]
    posts = [record for record in found if isinstance(record, Post)]
    reasons = Counter(record.reason for record in found if isinstance(record, Dropped))
    assert (len(found), OF_EACH) == (expected["read"], 216)
    assert reasons == {"not_public": networks.PRIVATE, "notice": networks.DELETED + 1}
    assert len(posts) == 2 * OF_EACH - networks.PRIVATE + networks.BOOSTS
    assert len({post.post_id for post in posts}) == len(posts)
    for post in posts:
        (image,) = post.images
        assert (tmp_path / networks.PICTURES / image.url.removeprefix(f"{SERVER}/")).is_file()
        assert 1 <= len(post.hashtags) <= 2
    assert 0.2 < sum(bool(post.alt) for post in posts) / len(posts) < 0.5


@pytest.mark.slow
def test_two_networks_from_crawl_to_a_trained_model(tmp_path: Path) -> None:
    out = tmp_path / "out"
    expected, done = from_crawl_to_model(out, epochs=12)
    assert [step.code for step in done] == [0, 0, 0, 0], done[-1].err
    said = done[0].json
    assert (said["read"], said["dropped"]) == (expected["read"], expected["dropped"])
    assert said["kept"] == expected["read"] - sum(expected["dropped"].values()) >= 400
    posts = Dataset(out / "dataset").posts
    assert any(posts["alt_tokens"].to_pylist())
    stored = json.dumps(posts.to_pylist())
    assert "did:plc:" not in stored
    assert "/users/" not in stored
    assert json.loads((out / "run" / "scores.json").read_text())["test"]["all"]["f1@1"] > 0.25  # chance is 1/18
