"""Datasets of Bluesky's and Mastodon's posts: whose account it is stands nowhere, and `forget` takes addresses."""

import json
from pathlib import Path

import pytest

from m3h.pipeline.text.pii import stored_id
from m3h.sample import networks
from m3h.schemas.dataset import Dataset
from tests.commands import files_of, run

SERVER = "https://pictures.example"
COUNT = 14
ALT = "A boat. Ask @harbour_fan or mail to harbour@example.com"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts of both networks, and their pictures in a folder: Bluesky's as DID/CID, Mastodon's by the URL's name."""
    folder = tmp_path_factory.mktemp("source")
    lines: list[str] = []
    for post, _ in zip(networks.sent_posts(), range(COUNT), strict=False):
        made, path = (networks.mastodon_status if post.number % 2 else networks.bluesky_item)(post, SERVER)
        *_, account, name = path.split("/")
        file = folder / "images" / (name if post.number % 2 else f"{account}/{name.partition('@')[0]}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(post.picture)
        if post.number == 0:
            made["post"]["labels"] = [{"val": "graphic-media"}]
            made["post"]["embed"]["images"][0]["alt"] = ALT
        lines.append(json.dumps(made | ({"sensitive": True} if post.number == 1 else {})))
    (folder / "dump.jsonl").write_text("\n".join(lines))
    return folder


def build(source: Path, dataset: Path, *sets: str) -> dict[str, int]:
    """Returns how many records were dropped, by reason."""
    rules = ("clean.min_hashtag_count=1", "clean.near_images=0", "clean.near_text=0", *sets)
    words = ("--dumps", source / "dump.jsonl", "--images", source / "images", "--dataset", dataset)
    done = run("m3h", "build", *words, "--features", "none", "--json", "--set", *rules)
    assert done.code == 0, done.err
    dropped: dict[str, int] = done.json["dropped"]
    return dropped


@pytest.mark.slow
def test_no_account_is_stored_and_forget_takes_an_address(source: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    assert build(source, dataset) == {}
    posts = {row["post_id"]: row for row in Dataset(dataset).posts.to_pylist()}
    lines = [json.loads(line) for line in (source / "dump.jsonl").read_text().splitlines()]
    addresses = [line["post"]["uri"] if "post" in line else line["uri"] for line in lines]
    assert set(posts) == {stored_id(address) for address in addresses}
    assert sum(row["sensitive"] for row in posts.values()) == 2
    described = posts[stored_id(addresses[0])]
    assert described["alt"] == "A boat. Ask <mention> or mail to <email>"
    assert described["alt_tokens"][:2] == ["a", "boat"]

    stored = b"".join(files_of(dataset).values())
    accounts = [address.split("/")[2 if address.startswith("at:") else 4] for address in addresses]
    assert not [account for account in accounts if account.encode() in stored]

    page = f"https://bsky.app/profile/{accounts[2]}/post/{addresses[2].rpartition('/')[2]}"
    (tmp_path / "ids.txt").write_text(f"{addresses[0]}\n{addresses[1]}\n{page}\n")
    done = run("m3h", "forget", "--dataset", dataset, "--ids", tmp_path / "ids.txt", "--json")
    assert done.code == 0, done.err
    assert (done.json["posts"], done.json["images"], done.json["unknown"]) == (3, 3, 0)
    assert run("m3h", "verify", "--dataset", dataset).code == 0


@pytest.mark.slow
def test_marked_pictures_are_left_out_on_demand(source: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    assert build(source, dataset, "clean.drop_sensitive=true") == {"sensitive": 2}
    assert len(Dataset(dataset).posts) == COUNT - 2
    assert len([*(dataset / "images").rglob("*.jpg")]) == COUNT - 2
    assert run("m3h", "verify", "--dataset", dataset).code == 0
