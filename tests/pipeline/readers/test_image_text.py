"""Image-text sets in archives: pairs of a picture and its text, put together in one pass; nothing is lost."""

import hashlib
import io
import json
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.readers.dumps import DumpFile, raw_record, raw_records, read_dump
from m3h.pipeline.readers.held_pictures import holds_pictures, pictures_of
from m3h.pipeline.readers.image_text.members import NO_BYTES, PICTURES, TEXTS, are_pairs, key_of, suffix_of
from m3h.pipeline.readers.image_text.samples import Limits, samples_of
from m3h.pipeline.readers.streams import buffered
from m3h.pipeline.records.ids import read_ids
from m3h.pipeline.rules import ReadRules
from m3h.schemas.posts import Dropped, ImageRef, Post
from tests.pipeline.tars import Member, pair, tar_of, write_set

PICTURE = b"\xff\xd8\xff a picture"
CAPTION = "two boats in the harbour #sea"
OF_IMG2DATASET = {
    "caption": CAPTION, "url": "https://example.org/boats.jpg", "key": "000000000", "status": "success",
    "error_message": None, "width": 256, "height": 192, "original_width": 800, "original_height": 600,
    "exif": "{}", "sha256": "00",
}  # fmt: skip


def dump(folder: Path, members: list[Member], name: str = "00000.tar") -> DumpFile:
    (folder / name).write_bytes(tar_of(members))
    return DumpFile(name, str(folder / name))


def only(folder: Path, *members: Member) -> Post | Dropped:
    """The one record of these files, in a set that begins with another one."""
    _, found = read_dump(dump(folder, [*pair("!", PICTURE, CAPTION), *members]))
    return found


def reasons(records: list[Post | Dropped]) -> list[tuple[str, str]]:
    return [(r.post_id, "") if isinstance(r, Post) else (r.record_id, r.reason) for r in records]


# what a record is made of


def test_a_sample_of_img2dataset_has_text_url_and_picture(tmp_path: Path) -> None:
    members = [*pair("000000000", PICTURE, OF_IMG2DATASET), ("000000000.txt", CAPTION.encode())]
    (post,) = read_dump(dump(tmp_path, members))
    assert post == Post(
        "00000/000000000", CAPTION, ("sea",), (ImageRef("000000000.jpg", "https://example.org/boats.jpg"),),
        source="detected:00000.tar", position=1,
    )  # fmt: skip
    assert post.images[0].content == PICTURE


@pytest.mark.parametrize(
    ("described", "text", "hashtags"),
    [
        (CAPTION, CAPTION, ("sea",)),
        ({"caption": CAPTION}, CAPTION, ("sea",)),
        ({"text": "boats", "tags": ["Sea", "deep blue"]}, "boats", ("sea", "deep blue")),
        ({"text": CAPTION, "tags": []}, CAPTION, ("sea",)),
        ({"text": CAPTION, "tags": "1girl solo"}, CAPTION, ("sea",)),
        ({"prompt": "boats", "keyphrases": "['sea']"}, "boats", ("sea",)),
        ({"caption": ["boats", "two boats"]}, "boats\ntwo boats", ()),
        ({"caption": "boats", "text": None}, "boats", ()),
    ],
)
def test_the_text_and_its_keyphrases_by_the_names_of_fields(
    tmp_path: Path, described: dict[str, object] | str, text: str, hashtags: tuple[str, ...]
) -> None:
    post = only(tmp_path, *pair("a", PICTURE, described))
    assert isinstance(post, Post)
    assert (post.text, post.hashtags) == (text, hashtags)


def test_a_text_in_a_file_of_its_own_comes_before_that_of_json_that_only_describes(tmp_path: Path) -> None:
    described = json.dumps({"description": "IMG_0001", "lang": "de", "alt": "Boote"}).encode()
    post = only(tmp_path, ("a.jpg", PICTURE), ("a.json", described), ("a.txt", "\ufeffzwei Boote\r\n".encode()))
    assert isinstance(post, Post)
    assert (post.text, post.lang, post.images) == ("zwei Boote", "de", (ImageRef("a.jpg", alt="Boote"),))


def test_json_that_is_a_post_of_another_format_is_read_as_one(tmp_path: Path) -> None:
    tweet = {
        "id": 7, "id_str": "7", "full_text": "two boats #Sea https://t.co/x", "user": {"id": 1}, "lang": "en",
        "entities": {
            "hashtags": [{"text": "Sea"}],
            "media": [{"type": "photo", "url": "https://t.co/x", "media_url_https": "https://pbs.example/m.jpg"}],
        },
    }  # fmt: skip
    post = only(tmp_path, *pair("a", PICTURE, tweet))
    assert isinstance(post, Post)
    assert (post.post_id, post.text, post.lang) == ("7", "two boats #Sea", "en")
    assert post.images == (ImageRef("a.jpg", "https://pbs.example/m.jpg"),)
    assert post.images[0].content == PICTURE


@pytest.mark.parametrize("name", ["id", "id_str", "post_id", "tweet_id"])
def test_an_id_that_the_json_states_is_the_id(tmp_path: Path, name: str) -> None:
    post = only(tmp_path, *pair("a", PICTURE, {name: "17", "caption": "boats"}))
    assert isinstance(post, Post)
    assert post.post_id == "17"


def test_an_id_made_of_names_is_one_word_that_a_list_of_ids_can_hold(tmp_path: Path) -> None:
    names = ["my cat, 50% [é]/a", "my%20cat", "my cat", "a:b\"c'd;e{}"]
    members = [member for name in names for member in pair(name, PICTURE, "boats")]
    ids = [record.post_id for record in read_dump(dump(tmp_path, members, "a set.tar")) if isinstance(record, Post)]
    assert ids[:3] == ["a%20set/my%20cat%2C%2050%25%20%5Bé%5D/a", "a%20set/my%2520cat", "a%20set/my%20cat"]
    assert len(set(ids)) == len(names)
    assert read_ids("\n".join(ids), "ids.txt") == ids


def test_a_tar_of_the_folder_it_was_made_in_gives_the_same_ids(tmp_path: Path) -> None:
    for prefix in ("", "./"):
        (post,) = read_dump(dump(tmp_path, pair(f"{prefix}sea/a", PICTURE, "boats"), "s.tar"))
        assert isinstance(post, Post)
        assert post.post_id == "s/sea/a"


def test_json_that_is_damaged_costs_itself_where_there_is_another_text(tmp_path: Path) -> None:
    post = only(tmp_path, ("a.jpg", PICTURE), ("a.json", b'{"lang": "de'), ("a.txt", b"boats"))
    assert isinstance(post, Post)
    assert (post.text, post.lang, post.unread) == ("boats", None, ("json",))


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("a.jpg", PICTURE)], "no_text"),
        ([("a.jpg", PICTURE), ("a.json", b"{")], "not_json"),
        ([("a.jpg", PICTURE), ("a.json", b"[1]")], "not_an_object"),
        ([("a.jpg", PICTURE), ("a.json", b"{}")], "missing_field"),
        ([("a.jpg", PICTURE), ("a.json", b'[{"caption": "a"}, {"caption": "b"}]')], "bad_field"),
        ([("a.jpg", PICTURE), ("a.txt", b"\xff\xfe\xfa")], "not_utf8"),
        ([("a.jpg", PICTURE), ("a.txt", b"x" * 100_001)], "record_too_large"),
        ([("a.npy", b"numbers")], "unknown_format"),
    ],
)
def test_what_is_no_pair_leaves_with_a_reason_and_its_id(tmp_path: Path, members: list[Member], reason: str) -> None:
    found = only(tmp_path, *members)
    assert isinstance(found, Dropped)
    assert (found.reason, found.record_id, found.position) == (reason, "00000/a", 2)


def test_a_text_without_a_picture_is_a_post_without_one_or_of_its_address(tmp_path: Path) -> None:
    """As when img2dataset could not fetch it: a crawl still may."""
    text, failed = ("a.txt", b"boats"), {**OF_IMG2DATASET, "status": "failed_to_download"}
    alone = only(tmp_path, text)
    assert isinstance(alone, Post)
    assert alone.images == ()
    named = only(tmp_path, ("b.json", json.dumps(failed).encode()))
    assert isinstance(named, Post)
    assert named.images == (ImageRef(url="https://example.org/boats.jpg"),)


# which files belong together


def test_files_of_one_name_are_one_record_whatever_their_order_and_spelling(tmp_path: Path) -> None:
    members = [
        ("dir/été.TXT", CAPTION.encode()), ("dir/été.JPG", PICTURE),
        ("dir/b.v2.jpeg", PICTURE), ("dir/b.v2.json", b'{"caption": "b"}'), ("dir/b.v2.vgg.npy", b"numbers"),
        ("dir/b.v3.jpg", PICTURE), ("dir/b.v3.txt", b"c"),
        ("other/b.v3.jpg", PICTURE), ("other/b.v3.caption", b"d"),
    ]  # fmt: skip
    records = list(read_dump(dump(tmp_path, members)))
    assert reasons(records) == [(f"00000/{key}", "") for key in ("dir/été", "dir/b.v2", "dir/b.v3", "other/b.v3")]
    assert [r.images[0].path for r in records if isinstance(r, Post)] == [
        "dir/été.JPG", "dir/b.v2.jpeg", "dir/b.v3.jpg", "other/b.v3.jpg",
    ]  # fmt: skip


def test_hidden_files_are_none_of_a_set(tmp_path: Path) -> None:
    members = [("__MACOSX/._a.jpg", b"x"), ("._a.jpg", b"x"), (".DS_Store", b"x"), *pair("a", PICTURE, "boats")]
    assert reasons(list(read_dump(dump(tmp_path, members)))) == [("00000/a", "")]


def test_of_two_files_of_one_name_the_second_counts_as_when_an_archive_is_unpacked(tmp_path: Path) -> None:
    post = only(tmp_path, *pair("a", b"old", "old"), *pair("a", PICTURE, "boats"))
    assert isinstance(post, Post)
    assert (post.text, post.images[0].content) == ("boats", PICTURE)


def test_the_files_of_a_key_that_lie_apart_are_two_records(tmp_path: Path) -> None:
    members = [*pair("a", PICTURE, "a"), ("b.jpg", PICTURE), ("c.jpg", PICTURE), ("b.txt", b"b"), ("c.txt", b"c")]
    records = list(read_dump(dump(tmp_path, members)))
    assert reasons(records) == [
        ("00000/a", ""), ("00000/b", "no_text"), ("00000/c", "no_text"), ("00000/b", ""), ("00000/c", ""),
    ]  # fmt: skip


def test_of_several_pictures_of_a_record_one_is_held(tmp_path: Path) -> None:
    post = only(tmp_path, *pair("a", PICTURE, "boats"), ("a.png", b"another"))
    assert isinstance(post, Post)
    assert [(image.path, image.content) for image in post.images] == [("a.jpg", PICTURE), ("a.png", b"")]


def test_of_a_large_picture_one_byte_more_is_read_than_may_be_kept_and_an_empty_one_is_known(tmp_path: Path) -> None:
    members = [*pair("a", PICTURE, "boats"), *pair("b", b"", "boats")]
    large, empty = read_dump(dump(tmp_path, members), max_picture_bytes=4)
    assert isinstance(large, Post)
    assert isinstance(empty, Post)
    assert large.images[0].content == PICTURE[:5]
    assert (empty.images[0].content, empty.images[0].embedded) == (b"", NO_BYTES)


def test_a_text_of_more_bytes_than_a_line_may_have_is_not_held(tmp_path: Path) -> None:
    (found,) = read_dump(dump(tmp_path, pair("a", PICTURE, "b" * 99)), ReadRules(max_line_bytes=20))
    assert isinstance(found, Dropped)
    assert (found.reason, found.detail) == ("line_too_long", "a.txt: more than 20 bytes (read.max_line_bytes)")


def test_a_link_in_place_of_a_picture_is_not_followed(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in (*pair("!", PICTURE, CAPTION), ("a.txt", b"boats")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("a.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "s.tar").write_bytes(packed.getvalue())
    _, found = read_dump(DumpFile("s.tar", str(tmp_path / "s.tar")))
    assert isinstance(found, Dropped)
    assert (found.reason, found.record_id) == ("not_a_file", "s/a")


# what a set is


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "a.txt"], True),
        (["README.md", "LICENSE", "x/a.PNG", "x/a.JSON"], True),
        (["tweets.json", "media/a.jpg", "media/b.jpg"], False),
        (["00.json.bz2", "01.json.bz2"], False),
        (["._a.jpg", "._a.txt"], False),
        ([f"{i}.json" for i in range(8)] + ["a.jpg", "a.txt"], False),
        ([], False),
    ],
)
def test_a_set_is_known_by_its_first_files(names: list[str], expected: bool) -> None:
    assert are_pairs(names) is expected


def test_a_compressed_set_with_any_name_is_one_and_other_archives_are_read_as_before(tmp_path: Path) -> None:
    data = tar_of(pair("a", PICTURE, CAPTION))
    (tmp_path / "set").write_bytes(lzma.compress(data))
    line = b'{"id": 1, "text": "boats", "image": "a.jpg"}'
    (tmp_path / "dumps.tar").write_bytes(tar_of([("a.json", line), ("b.jpg", PICTURE)]))
    (tmp_path / "lines").write_bytes(line)
    found = {name: DumpFile(name, str(tmp_path / name)) for name in ("set", "dumps.tar", "lines", "none")}
    assert [name for name, file in found.items() if holds_pictures(file)] == ["set"]
    assert reasons(list(read_dump(found["set"]))) == [("set/a", "")]
    assert reasons(list(read_dump(found["dumps.tar"])))[0] == ("1", "")
    assert not holds_pictures(DumpFile("set", str(tmp_path / "set"), "jsonl"))


def test_pictures_are_found_again_by_their_hash(tmp_path: Path) -> None:
    dumps = [
        dump(tmp_path, [*pair("a", b"1", "a"), *pair("b", b"2", "b"), *pair("c", b"2", "c")]),
        dump(tmp_path, pair("a", b"3", "a"), "more.tar"),
    ]
    one, two, three = (hashlib.sha256(data).hexdigest() for data in (b"1", b"2", b"3"))
    assert dict(pictures_of(dumps, {two, three, "f" * 64}, 9)) == {two: b"2", three: b"3"}
    assert list(pictures_of(dumps, {one}, 9)) == [(one, b"1")]
    assert list(pictures_of(dumps, (), 9)) == []


# nothing is lost

NAMES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "d/a", "d/b.c"]), st.sampled_from(["jpg", "PNG", "txt", "json", "npy"])),
    min_size=1,
)
DATA = st.sampled_from([b"", b"boats", b'{"caption": "boats"}', b"\xff"])


@given(NAMES, st.data())
def test_every_file_is_in_one_record_and_records_are_runs_of_one_key(
    names: list[tuple[str, str]], data: st.DataObject
) -> None:
    members = [(f"{key}.{suffix}", data.draw(DATA)) for key, suffix in names]
    streams = ((name, buffered(iter([content]))) for name, content in members)
    samples = list(samples_of(streams, Limits(1000, 1000)))
    held = [{*sample.pictures, *(f"{sample.key}.{suffix}" for suffix in sample.texts)} for sample in samples]
    expected: list[set[str]] = []
    before = ""
    for name, _ in members:
        of_before = suffix_of(name) not in (*PICTURES, *TEXTS) and name.startswith(f"{before}.")
        if not expected or (key_of(name) != before and not of_before):
            expected.append(set())
            before = key_of(name)
        if suffix_of(name) in (*PICTURES, *TEXTS):
            expected[-1].add(f"{key_of(name)}.{suffix_of(name)}" if suffix_of(name) in TEXTS else name)
    assert held == expected
    assert all(isinstance(sample.record("s"), Post) or sample.record("s").reason for sample in samples)


def test_every_position_leads_back_to_the_text_of_its_record(tmp_path: Path) -> None:
    file = dump(tmp_path, [*pair("a", PICTURE, "one"), *pair("b", PICTURE, OF_IMG2DATASET), ("c.jpg", PICTURE)])
    records = list(read_dump(file))
    assert [record.position for record in records] == [1, 2, 3]
    assert [raw_record(file, position) for position in (1, 3)] == [b"one", b""]
    assert json.loads(raw_record(file, 2)) == OF_IMG2DATASET
    assert [positions for positions, _ in raw_records(file, {2, 3})] == [[2], [3]]


@pytest.mark.parametrize("where", range(300, 6 * 512, 128))
def test_a_set_that_is_cut_keeps_the_records_before_and_says_so_once(tmp_path: Path, where: int) -> None:
    """Each member takes two blocks of 512 bytes: its header and its content."""
    members = [*pair("a", PICTURE, "one"), *pair("b", PICTURE, "two"), *pair("c", PICTURE, "three")]
    (tmp_path / "s.tar").write_bytes(tar_of(members)[: 3 * 1024 + where])
    records = list(read_dump(DumpFile("s.tar", str(tmp_path / "s.tar"))))
    assert reasons(records)[0] == ("s/a", "")
    faults = [record for record in records if isinstance(record, Dropped)]
    assert [fault.reason for fault in faults][-1] == "unreadable_file"
    assert all(fault.reason in ("no_text", "unreadable_file") for fault in faults)
    assert [record.position for record in records] == list(range(1, len(records) + 1))


def test_a_damaged_header_ends_the_set_after_the_whole_records(tmp_path: Path) -> None:
    data = bytearray(tar_of([*pair("a", PICTURE, "one"), *pair("b", PICTURE, "two")]))
    data[2 * 1024 + 100] ^= 0xFF
    (tmp_path / "s.tar").write_bytes(data)
    records = list(read_dump(DumpFile("s.tar", str(tmp_path / "s.tar"))))
    assert [reason for _, reason in reasons(records)] == ["", "unreadable_file"]


def test_the_example_of_img2dataset_is_one_post(tmp_path: Path) -> None:
    write_set(tmp_path / "set" / "00000.tar", [pair("000000000", PICTURE, OF_IMG2DATASET)])
    (post,) = read_dump(DumpFile("00000.tar", str(tmp_path / "set" / "00000.tar")))
    assert isinstance(post, Post)


SOUND = tar_of([member for key in "abcd" for member in pair(key, PICTURE * 30, {"caption": f"boats {key}"})])


@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=12), st.integers(0, len(SOUND))
)
def test_whatever_happens_to_a_set_each_record_has_one_position_and_leads_back_to_it(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], end: int
) -> None:
    data = bytearray(SOUND)
    for at, value in changes:
        data[at] = value
    path = tmp_path_factory.mktemp("damaged") / "s.tar"
    path.write_bytes(data[: end or None])
    file = DumpFile("s.tar", str(path))
    records = list(read_dump(file))
    positions = [record.position for record in records]
    assert positions == sorted(set(positions))
    assert [at for held, _ in raw_records(file, positions) for at in held] == positions
    assert all(isinstance(record, Post) or record.reason for record in records)
