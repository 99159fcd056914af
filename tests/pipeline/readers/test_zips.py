"""Sound and hostile zip archives: every member gives records or a reason, and nothing is written to disk."""

import bz2
import gzip
import io
import json
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.schemas.posts import Dropped, Post


def lines(*ids: int) -> bytes:
    return b"".join(json.dumps({"id": i, "text": f"post {i} #t", "image": "a.jpg"}).encode() + b"\n" for i in ids)


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def dump(folder: Path, data: bytes) -> DumpFile:
    (folder / "d").write_bytes(data)
    return DumpFile("d", str(folder / "d"))


def read(folder: Path, data: bytes) -> list[Post | Dropped]:
    return list(read_dump(dump(folder, data)))


def results(found: list[Post | Dropped]) -> list[str]:
    return [item.post_id if isinstance(item, Post) else item.reason for item in found]


MEMBERS = (
    ("2017/", b""),
    ("2017/01/00.json.bz2", bz2.compress(lines(1, 2))),
    ("2017/01/é.json.gz", gzip.compress(lines(3))),
    ("../../../etc/out", lines(4) + b"{\n"),
    ("__MACOSX/2017/._00.json", b"\0\5\x16\7"),
    ("2017/.DS_Store", b"\0\0\0\1Bud1"),
    ("2017/a.jpg", b"\xff\xd8\xff"),
    ("2017\\.hidden", b"\0"),
    ("empty", b""),
    ("last", lines(5)),
)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_files_are_read_in_order_and_positions_lead_back(tmp_path: Path, method: int) -> None:
    data = packed(*MEMBERS, method=method)
    found = read(tmp_path, data)
    assert results(found) == ["1", "2", "3", "4", "not_json", "5"]
    assert [item.position for item in found] == [1, 2, 3, 4, 5, 6]
    assert found[4].detail.startswith("../../../etc/out: ")
    raw = [raw_record(dump(tmp_path, data), item.position) for item in found if isinstance(item, Post)]
    assert b"\n".join(raw) + b"\n" == lines(1, 2, 3, 4, 5)


@given(st.lists(st.lists(st.integers(0, 99), max_size=3), max_size=4))
def test_a_zip_holds_the_records_of_its_files(tmp_path_factory: pytest.TempPathFactory, files: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("zip")
    found = read(folder, packed(*((f"{n}.jsonl", lines(*ids)) for n, ids in enumerate(files))))
    assert results(found) == [str(i) for ids in files for i in ids]
    assert [item.position for item in found] == list(range(1, len(found) + 1))


def test_two_files_of_one_name_are_both_read(tmp_path: Path) -> None:
    assert results(read(tmp_path, packed(("a", lines(1)), ("a", lines(2))))) == ["1", "2"]


def changed(data: bytes, at: int, value: bytes) -> bytes:
    """Two bytes of the only member's headers, which stand twice in the file. at: of the first header."""
    central = data.index(b"PK\1\2")
    data = data[:at] + value + data[at + 2 :]
    return data[: central + at + 2] + value + data[central + at + 4 :]


def test_an_encrypted_file_says_so_and_the_others_are_read(tmp_path: Path) -> None:
    (fault,) = read(tmp_path, changed(packed(("a.jsonl", lines(1))), 6, b"\1\0"))
    assert isinstance(fault, Dropped)
    detail = "a.jsonl: encrypted: unpack the archive with its password"
    assert (fault.reason, fault.detail) == ("unreadable_file", detail)


def test_a_compression_that_python_cannot_undo_says_so(tmp_path: Path) -> None:
    (fault,) = read(tmp_path, changed(packed(("a.jsonl", lines(1))), 8, b"\x09\0"))
    assert isinstance(fault, Dropped)
    assert fault.reason == "unreadable_file"
    assert fault.detail.endswith("unpack the archive first")


def test_a_damaged_file_loses_only_itself(tmp_path: Path) -> None:
    data = bytearray(packed(("a", lines(1, 2)), ("b", lines(3)), method=zipfile.ZIP_STORED))
    data[data.index(b"post 2")] = ord("P")  # the checksum is another one now
    assert results(read(tmp_path, bytes(data)))[-2:] == ["unreadable_file", "3"]


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_an_archive_that_is_cut_off_says_so(tmp_path: Path, cut: int) -> None:
    whole = packed(("a.jsonl", lines(1, 2, 3)), ("b.jsonl", lines(4)))
    (fault,) = read(tmp_path, whole[: 4 + cut])
    assert isinstance(fault, Dropped)
    assert fault.reason == "unreadable_file"
    assert "it is cut off" in fault.detail


@given(st.data())
def test_no_damage_ends_the_reading(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = bytearray(packed(("a.jsonl", lines(1, 2)), ("data/tweets.js", b"window.YTD.tweets.part0 = []")))
    for at in data.draw(st.lists(st.integers(4, len(whole) - 1), max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    for item in read(tmp_path_factory.mktemp("zip"), bytes(whole)):
        assert isinstance(item, Post) or item.reason


def test_an_archive_whose_files_overlap_is_refused(tmp_path: Path) -> None:
    """As in archives that fill a disk: every entry of the list is the same compressed file."""
    data = packed(("a", bytes(100_000)))
    central, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry, times = data[central:end], 500
    tail = bytearray(data[end:])
    tail[8:10] = tail[10:12] = times.to_bytes(2, "little")
    tail[12:16] = (len(entry) * times).to_bytes(4, "little")
    (fault,) = read(tmp_path, data[:central] + entry * times + bytes(tail))
    assert isinstance(fault, Dropped)
    assert fault.detail == "a zip archive whose files overlap, as one that is made to fill a disk"


@pytest.mark.parametrize(
    ("name", "what"), [("xl/workbook.xml", "Excel"), ("word/document.xml", "Word"), ("content.xml", "OpenDocument")]
)
def test_a_document_that_is_a_zip_inside_is_named(tmp_path: Path, name: str, what: str) -> None:
    (fault,) = read(tmp_path, packed((name, b"<x/>")))
    assert isinstance(fault, Dropped)
    assert what in fault.detail


def test_archives_inside_archives_are_not_unpacked(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    found = read(tmp_path, packed(("in.zip", packed(("a", lines(1)))), ("in.tar", inner.getvalue()), ("b", lines(2))))
    assert results(found) == ["unreadable_file", "unreadable_file", "2"]


def test_an_empty_archive_holds_no_records(tmp_path: Path) -> None:
    assert read(tmp_path, packed()) == []
