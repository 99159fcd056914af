"""Image-text sets in zip archives."""

import json
from pathlib import Path

import pytest

from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.pipeline.readers.held_pictures import holds_pictures
from m3h.pipeline.readers.image_text.members import NO_BYTES
from m3h.schemas.posts import Dropped, ImageRef, Post
from tests.pipeline.tars import Member, pair, zip_of

PICTURE = b"\xff\xd8\xff a picture"


def dump(folder: Path, members: list[Member]) -> DumpFile:
    (folder / "set.zip").write_bytes(zip_of(members))
    return DumpFile("set.zip", str(folder / "set.zip"))


def found(records: list[Post | Dropped]) -> list[tuple[str, str]]:
    return [(r.post_id, r.text) if isinstance(r, Post) else (r.record_id, r.reason) for r in records]


def test_pairs_in_a_zip_are_put_together_wherever_they_lie_in_it(tmp_path: Path) -> None:
    members = [
        ("s/a.jpg", PICTURE), ("s/b.jpg", PICTURE * 9), ("s/c.png", PICTURE), ("__MACOSX/s/._a.jpg", b"x"),
        ("s/b.txt", b"two"), ("s/a.txt", b"one #sea"), ("s/lonely.json", b'{"caption": "three"}'),
    ]  # fmt: skip
    file = dump(tmp_path, members)
    assert holds_pictures(file)
    records = list(read_dump(file, max_picture_bytes=len(PICTURE)))
    assert found(records) == [
        ("set/s/a", "one #sea"), ("set/s/b", "two"), ("set/s/c", "no_text"), ("set/s/lonely", "three"),
    ]  # fmt: skip
    assert [len(image.content) for r in records if isinstance(r, Post) for image in r.images] == [
        len(PICTURE), len(PICTURE) + 1,
    ]  # fmt: skip
    assert [r.position for r in records] == [1, 2, 3, 4]
    assert raw_record(file, 4) == b'{"caption": "three"}'


def test_a_damaged_member_costs_its_own_record_only(tmp_path: Path) -> None:
    file = dump(tmp_path, [*pair("a", b"0123456789" * 9, "one"), *pair("b", PICTURE, "two")])
    data = bytearray(Path(file.path).read_bytes())
    start = data.index(b"a.jpg") + len(b"a.jpg")
    data[start + 3] ^= 0xFF
    Path(file.path).write_bytes(data)
    assert found(list(read_dump(file))) == [("set/a", "unreadable_file"), ("set/b", "two")]


def test_an_encrypted_picture_is_said_to_be_encrypted(tmp_path: Path) -> None:
    """The flag alone is set, in the list of files and before the member."""
    file = dump(tmp_path, [*pair("a", PICTURE, "one"), *pair("b", PICTURE, "two")])
    data = bytearray(Path(file.path).read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    Path(file.path).write_bytes(data)
    first, second = read_dump(file)
    assert isinstance(first, Dropped)
    assert (first.reason, first.record_id) == ("unreadable_file", "set/a")
    assert "encrypted" in first.detail
    assert isinstance(second, Post)


def test_tables_of_metadata_bring_their_pictures_and_positions_go_on_from_table_to_table(tmp_path: Path) -> None:
    rows = [{"file_name": "0.jpg", "text": "one #sea"}, {"file_name": "sub/1.jpg", "text": "two"}]
    lines = "\n".join(map(json.dumps, rows)).encode()
    members = [
        ("train/metadata.jsonl", lines), ("train/0.jpg", PICTURE), ("train/sub/1.jpg", b""), ("train/x.jpg", PICTURE),
        ("test/metadata.csv", b"file_name,caption\r\n0.jpg,three\r\nnone.jpg,four\r\n"), ("test/0.jpg", b"other"),
        ("README.md", b"# A set"),
    ]  # fmt: skip
    file = dump(tmp_path, members)
    records = list(read_dump(file))
    assert found(records) == [
        ("set/test/0", "three"), ("set/test/none", "four"),
        ("set/train/0", "one #sea"), ("set/train/sub/1", "two"), ("set/train/x", "no_text"),
    ]  # fmt: skip
    images = [image for r in records if isinstance(r, Post) for image in r.images]
    assert [(image.path, image.content, image.embedded) for image in images] == [
        ("test/0.jpg", b"other", ""), ("test/none.jpg", b"", ""),
        ("train/0.jpg", PICTURE, ""), ("train/sub/1.jpg", b"", NO_BYTES),
    ]  # fmt: skip
    assert [r.position for r in records] == [1, 2, 3, 4, 5]
    assert json.loads(raw_record(file, 4)) == rows[1]


@pytest.mark.parametrize(
    "members",
    [
        [("tweets.jsonl", b'{"id": 1, "text": "boats", "image": "a.jpg"}'), ("a.jpg", PICTURE)],
        [("metadata.jsonl", b'{"id": 1, "text": "boats", "image": "a.jpg"}')],
    ],
)
def test_other_zips_are_read_as_before(tmp_path: Path, members: list[Member]) -> None:
    assert found(list(read_dump(dump(tmp_path, members)))) == [("1", "boats")]


def test_a_picture_may_be_named_that_is_not_there(tmp_path: Path) -> None:
    (post,) = read_dump(dump(tmp_path, [("metadata.jsonl", b'{"file_name": "../a.jpg", "text": "out"}')]))
    assert isinstance(post, Post)
    assert post.images == (ImageRef("../a.jpg"),)
