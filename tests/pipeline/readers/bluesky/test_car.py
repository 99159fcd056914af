"""Repository exports: the posts of an account, found by their keys; damage loses what comes after it, and no more."""

import gzip
import json
from pathlib import Path

import pytest

from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.text.pii import stored_id
from m3h.schemas.posts import Dropped, Post
from tests.pipeline.readers.bluesky.made import ALT, CDN, CID, DID, KEY, TEXT, block, car, length, record

SECOND = "3kxyz2abcde3g"
RECORDS = {
    f"app.bsky.feed.post/{SECOND}": record("The second one", facets=None),
    f"app.bsky.feed.post/{KEY}": record(),
    "app.bsky.feed.like/3kxyz2abcde4h": {"$type": "app.bsky.feed.like", "subject": {"uri": "at://x"}},
    "app.bsky.actor.profile/self": {"$type": "app.bsky.actor.profile", "displayName": "Someone"},
}


def found(tmp_path: Path, raw: bytes, **rules: int) -> list[Post | Dropped]:
    (tmp_path / "repo.bin").write_bytes(raw)
    return list(read_dump(DumpFile("repo.bin", str(tmp_path / "repo.bin")), ReadRules(**rules)))


def test_a_repository_holds_the_posts_of_an_account(tmp_path: Path) -> None:
    first, second = found(tmp_path, car(RECORDS))
    assert isinstance(first, Post)
    assert isinstance(second, Post)
    assert (first.post_id, first.text, first.hashtags) == (
        stored_id(f"at://{DID}/app.bsky.feed.post/{KEY}"), TEXT, ("lowtide",),
    )  # fmt: skip
    (image,) = first.images
    assert (image.path, image.url, image.alt) == (f"{DID}/{CID}", CDN, ALT)
    assert (second.text, second.position) == ("The second one", 2)


def test_a_compressed_one_too(tmp_path: Path) -> None:
    assert found(tmp_path, gzip.compress(car(RECORDS))) == found(tmp_path, car(RECORDS))


def test_a_position_leads_back_to_the_record(tmp_path: Path) -> None:
    found(tmp_path, car(RECORDS))
    raw = json.loads(raw_record(DumpFile("repo.bin", str(tmp_path / "repo.bin")), 2))
    assert raw["uri"] == f"at://{DID}/app.bsky.feed.post/{SECOND}"
    assert raw["value"] == RECORDS[f"app.bsky.feed.post/{SECOND}"]
    assert raw["cid"].startswith("bafyrei")


def reasons(records: list[Post | Dropped]) -> list[str]:
    return [record.reason if isinstance(record, Dropped) else "post" for record in records]


@pytest.mark.parametrize("cut", [1, 40])
def test_a_cut_file_keeps_what_it_still_names(tmp_path: Path, cut: int) -> None:
    whole = car(RECORDS)
    commit = block(b"")[0]
    raw = whole[: whole.rindex(commit[:4]) - 2] + whole[whole.rindex(commit[:4]) - 2 :][:-cut]
    assert reasons(found(tmp_path, raw)) == ["unreadable_file"]  # the commit, which names the account, comes last


def test_a_changed_block_is_noticed(tmp_path: Path) -> None:
    raw = car(RECORDS).replace(b"The second", b"The wecond")
    (fault,) = found(tmp_path, raw)
    assert isinstance(fault, Dropped)
    assert (fault.reason, "hash" in fault.detail) == ("unreadable_file", True)


def test_what_is_no_repository_is_named(tmp_path: Path) -> None:
    raw = car({})
    header = raw[: 1 + raw[0]]
    (fault,) = found(tmp_path, header)
    assert isinstance(fault, Dropped)
    assert "no" not in fault.reason
    assert "commit of a Bluesky repository" in fault.detail


def test_a_block_and_a_post_may_be_too_long(tmp_path: Path) -> None:
    assert reasons(found(tmp_path, car(RECORDS), max_line_bytes=600)) == ["line_too_long", "post"]
    (fault,) = found(tmp_path, car(RECORDS), max_line_bytes=300)
    assert isinstance(fault, Dropped)
    assert "max_line_bytes" in fault.detail


def test_a_block_that_nobody_can_read_loses_only_itself(tmp_path: Path) -> None:
    odd = block(b"\x81" * 100_000)[1]
    raw = car(RECORDS)
    header = raw[: 1 + raw[0]]
    assert reasons(found(tmp_path, header + length(len(odd)) + odd + raw[len(header) :])) == ["post", "post"]
