"""Dump files are found and opened with any compression, and every line becomes a record or a reason."""

import bz2
import gzip
import io
import json
import lzma
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from m3h.pipeline.readers.cmkp import image_key
from m3h.pipeline.readers.dumps import MAX_DETAIL, DumpFile, read_dump
from m3h.pipeline.readers.find import find_dumps
from m3h.pipeline.readers.formats import FORMATS
from m3h.schemas.errors import UsageError
from m3h.schemas.posts import Dropped, ImageRef, Post

COMPRESS = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


def record(i):
    return json.dumps({"id": i, "text": f"post {i * 7919} #tag", "image": f"{i}.jpg"}).encode() + b"\n"


def records(count):
    return b"".join(record(i) for i in range(count))


def read(path, forced=""):
    return list(read_dump(DumpFile(path.name, str(path), forced)))


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("name", ["dump", "dump.jsonl.gz"])
def test_the_bytes_decide_the_compression_and_not_the_name(tmp_path, kind, name):
    found = read(write(tmp_path / name, COMPRESS[kind](records(3))))
    assert [(p.post_id, p.position, p.source) for p in found] == [(str(i), i + 1, f"detected:{name}") for i in range(3)]


@pytest.mark.parametrize("kind", COMPRESS)
def test_concatenated_compressed_files_are_read_completely(tmp_path, kind):
    found = read(write(tmp_path / "d", COMPRESS[kind](records(2)) + COMPRESS[kind](record(2) + record(3))))
    assert [p.post_id for p in found] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("kind", [kind for kind in COMPRESS if kind != "plain"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.999])
def test_a_cut_off_file_keeps_its_readable_records_and_reports_the_cut(tmp_path, kind, share):
    whole = COMPRESS[kind](records(5000))
    *kept, last = read(write(tmp_path / "d", whole[: int(len(whole) * share)]))
    assert [p.post_id for p in kept] == [str(i) for i in range(len(kept))]
    assert (last.stage, last.reason, last.position) == ("read", "unreadable_file", len(kept) + 1)


@pytest.mark.parametrize("kind", ["gz", "zst"])
def test_records_before_the_cut_are_kept(tmp_path, kind):
    whole = COMPRESS[kind](records(5000))
    assert len(read(write(tmp_path / "d", whole[: len(whole) // 2]))) > 1000


@pytest.mark.parametrize("kind", [kind for kind in COMPRESS if kind != "plain"])
def test_damage_in_the_middle_is_unreadable_not_a_crash(tmp_path, kind):
    data = bytearray(COMPRESS[kind](records(5000)))
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    found = read(write(tmp_path / "d", bytes(data)))
    assert Counter(type(item) for item in found)[Dropped] >= 1


def test_an_empty_file_has_no_records(tmp_path):
    assert read(write(tmp_path / "d", b"")) == []


def test_a_missing_file_is_a_dropped_record(tmp_path):
    (only,) = read(tmp_path / "gone.jsonl")
    assert (only.reason, only.position) == ("unreadable_file", 1)


def test_blank_lines_take_positions_but_are_not_records(tmp_path):
    found = read(write(tmp_path / "d", b"\n" + record(0) + b"  \r\n\n" + b"{\r\n" + record(1).rstrip()))
    assert [(type(item), item.position) for item in found] == [(Post, 2), (Dropped, 5), (Post, 6)]


def test_every_bad_line_has_its_reason_and_position(tmp_path):
    lines = [
        b"{",
        b'"\xff"',
        b"[1]",
        b"[" * 100_000,
        b'{"delete": {}}',
        b'{"\\ud800": 1}',
        b"\xef\xbb\xbf" + record(0).strip(),
    ]
    found = read(write(tmp_path / "d.jsonl", b"\n".join(lines)))
    assert [(item.position, getattr(item, "reason", "post")) for item in found] == [
        (1, "not_json"), (2, "not_utf8"), (3, "not_an_object"), (4, "not_json"), (5, "notice"), (6, "unknown_format"),
        (7, "post"),
    ]  # fmt: skip
    for item in found[:-1]:
        assert (item.stage, item.source) == ("read", "detected:d.jsonl")
        assert len(item.detail.encode("utf-8")) <= 4 * MAX_DETAIL


LINES = st.lists(
    st.binary(max_size=30)
    | st.sampled_from(
        [b"", b" ", b"{}", b"[]", b'{"id":1,"text":"a","image":"b"}', b'{"limit":{}}', b"\xef\xbb\xbf", b"\r"]
    )
)


@given(LINES)
@example([b"\x1f\x8b\x08"])
@example([b"BZh9"])
@example([b"\x28\xb5\x2f\xfd", b"\x00"])
@example([b"\xfd7zXZ\x00\x00\x00"])
def test_every_line_is_a_post_or_dropped_exactly_once(tmp_path_factory, lines):
    data = b"{}\n" + b"\n".join(lines)  # the first line: no compression by chance
    path = write(tmp_path_factory.getbasetemp() / "hostile", data)
    found = read(path)
    expected = [i for i, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
    assert [item.position for item in found] == expected
    assert all(isinstance(item, Post | Dropped) for item in found)


@given(st.sampled_from([b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ"]), st.binary(max_size=40))
def test_a_file_that_only_begins_like_a_compressed_one_is_unreadable(tmp_path_factory, magic, rest):
    found = read(write(tmp_path_factory.getbasetemp() / "hostile", magic + rest))
    assert all(item.reason in ("unreadable_file", "not_json", "not_utf8") for item in found)


# the released dataset


@pytest.fixture
def released_folder(tmp_path):
    lines = [
        "a b c<sep>game of thrones;got; got<sep>http://x/1.jpg",
        "",
        "a\u2028b<sep>k<sep>http://x/2.jpg",
        "only<sep>two",
        "a<sep> ; <sep>http://x/3.jpg",
    ]
    (tmp_path / "train_src.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "notes.md").write_text("no dump")
    return tmp_path


def test_a_released_dataset_is_recognised_by_its_files(released_folder):
    assert find_dumps([str(released_folder)]) == [
        DumpFile("train_src.txt", str(released_folder / "train_src.txt"), "cmkp")
    ]


def test_lines_of_a_released_dataset_are_posts_with_tokens_and_a_split(released_folder):
    first, empty, third, two, no_phrase = read(released_folder / "train_src.txt", "cmkp")
    assert first == Post(
        "train-000001", "a b c", images=(ImageRef(url="http://x/1.jpg"),), source="cmkp:train_src.txt", position=1,
        split="train", tokens=("a", "b", "c"), keyphrases=("game of thrones", "got"),
        image_sha256=image_key("http://x/1.jpg"),
    )  # fmt: skip
    assert (third.tokens, third.position) == (("a", "b"), 3)
    assert [(d.reason, d.position, d.detail) for d in (empty, two, no_phrase)] == [
        ("bad_line", 2, "expected 3 fields between <sep>, got 1"),
        ("bad_line", 4, "expected 3 fields between <sep>, got 2"),
        ("bad_line", 5, "expected source, keyphrases and image, one of them is empty"),
    ]


# finding files


@pytest.fixture
def tree(tmp_path):
    for name in ("a.jsonl", "b.jsonl", "sub/a.jsonl", "sub/c.gz", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"{}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        (["a.jsonl"], ["a.jsonl"]),
        (["*.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["sub/*"], ["a.jsonl", "c.gz"]),
        (["**/*.gz"], ["c.gz"]),
        (["b.jsonl", "a.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["."], ["a.jsonl", "b.jsonl", "sub/a.jsonl", "sub/c.gz"]),
        (["sub", "b.jsonl"], ["a.jsonl", "b.jsonl", "c.gz"]),
        (["a.jsonl", "sub"], ["a.jsonl", "c.gz", "sub/a.jsonl"]),
    ],
)
def test_paths_globs_and_folders_lead_to_files(tree, patterns, names):
    found = find_dumps([str(tree / pattern) for pattern in patterns])
    assert [dump.name for dump in found] == names


@pytest.mark.parametrize(
    ("patterns", "forced", "message"),
    [
        (["no.jsonl"], "", "no.jsonl: no such file, folder or match."),
        (["*.zip"], "", "*.zip: no such file, folder or match."),
        (["a.jsonl", "*.jsonl"], "", "--dumps: a.jsonl is given twice."),
        (
            ["a.jsonl"],
            "v3",
            f"--format v3: expected one of {', '.join(FORMATS)}.",
        ),
        (["a.jsonl"], "cmkp", "a.jsonl: format cmkp is a local folder with train_src.txt"),
        (["sub"], "cmkp", "sub: expected train_src.txt, valid_src.txt or test_src.txt in it."),
        (["empty"], "", "empty: the folder holds no files."),
    ],
)
def test_a_pattern_without_files_is_a_usage_error(tree, patterns, forced, message):
    (tree / "empty").mkdir()
    with pytest.raises(UsageError) as caught:
        find_dumps([str(tree / pattern) for pattern in patterns], forced)
    assert message in str(caught.value)


def test_standard_input_is_kept_and_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(records(2)))))
    (dump,) = find_dumps(["-"], stdin_copy=tmp_path / "state" / "stdin")
    assert dump.name == "stdin"
    assert [p.source for p in read_dump(dump)] == ["detected:stdin"] * 2


def test_standard_input_without_a_file_to_keep_it_is_a_usage_error():
    with pytest.raises(UsageError, match="standard input cannot be read here"):
        find_dumps(["-"])


def test_the_identity_of_a_dump_does_not_depend_on_its_folder(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "d.jsonl", records(1))
    (first,), (second,) = (find_dumps([str(tmp_path / folder)]) for folder in ("a", "b"))
    assert first.identity() == second.identity()


# real data


def test_a_real_plain_dump_is_read_completely(m3h_data):
    found = read(m3h_data / "images_social" / "manifest.jsonl")
    assert len(found) == 8555
    assert all(isinstance(item, Post) and len(item.images) == 1 for item in found)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_every_line_of_the_released_dataset_is_a_post(m3h_data, split):
    found = read(m3h_data / "cmkp" / f"{split}_src.txt", "cmkp")
    assert len(found) == (m3h_data / "cmkp" / f"{split}_src.txt").read_bytes().count(b"\n")
    assert all(isinstance(item, Post) for item in found)
