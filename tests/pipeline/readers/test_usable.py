"""What cannot be read is named in one line, with what to do; one record of use is enough to go on."""

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from m3h.pipeline.build.build import BuildOptions, build
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.files.foreign import what_is
from m3h.pipeline.readers.files.kinds import HEAD_BYTES, is_binary, kind_of, text_kind_of
from m3h.pipeline.readers.usable import complaint, refuse_unreadable
from m3h.pipeline.records.inspection import inspect_dump
from m3h.pipeline.rules import ReadRules
from m3h.schemas.config import resolve
from m3h.schemas.errors import UsageError
from tests.commands import files_of
from tests.pipeline.fakes import small_dump


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


def hdf5() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        made["x"] = [1]
    return file.getvalue()


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


KINDS = {
    "JPEG": picture("JPEG"), "PNG": picture("PNG"), "GIF": picture("GIF"), "TIFF": picture("TIFF"),
    "WebP": picture("WEBP"), "HDF5": hdf5(), "NumPy": array(),
    "MP4": b"\0\0\0\x20ftypisom\0\0\2\0", "AVIF": b"\0\0\0\x20ftypavif", "Matroska": b"\x1a\x45\xdf\xa3\x01",
    "PDF": b"%PDF-1.7\n", "RAR": b"Rar!\x1a\x07\x01\x00", "7z": b"7z\xbc\xaf\x27\x1c\0\4", "lz4": b"\x04\x22\x4d\x18d",
    "Excel": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "RTF": b"{\\rtf1\\ansi",
    "HTML": b"\xef\xbb\xbf\n <!DOCTYPE html><html>",
    "XML": b"<?xml version='1.0'?>", "SPSS": b"$FL2@(#) IBM SPSS", "Stata": b"<stata_dta><header>", "R:": b"RDX3\nX\n",
    "SQL": b"-- MySQL dump 10.13\n--\n/*!40101 SET", "PostgreSQL": b"PGDMP\1\x0e",
    "Avro": b"Obj\x01\x04", "ORC": b"ORC\0\1",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "mongodump": b"\x6d\xe2\x99\x81\0",
    **{f"pickle of {protocol}": pickle.dumps([{"id": 1, "text": "x"}], protocol) for protocol in range(2, 6)},
}  # fmt: skip


@pytest.mark.parametrize(("name", "data"), KINDS.items())
def test_a_file_that_holds_no_records_is_named_by_its_bytes(tmp_path: Path, name: str, data: bytes) -> None:
    for pack in (bytes, gzip.compress):
        (tmp_path / "x.jsonl").write_bytes(pack(data))
        with pytest.raises(UsageError) as caught:
            refuse_unreadable([DumpFile("x.jsonl", str(tmp_path / "x.jsonl"))], ReadRules())
        line = str(caught.value)
        assert line.startswith("--dumps x.jsonl: ")
        assert name.partition(" of ")[0] in line
        assert "\n" not in line


TEXTS = st.one_of(
    st.binary(max_size=20).map(lambda tail: b'{"id":' + tail),
    st.text(st.characters(codec="utf-8", exclude_characters="\0<"), max_size=50).map(str.encode),
    st.sampled_from(
        [b"ORCID,text\n1,x\n", b"MZ,ID3\n", b"LZIP,a\n", b"A\n2\n", b"RDX,X\n", b"X\n1\n", b"[", b"II*,x", b""]
    ),
)


@given(
    TEXTS.filter(lambda head: not head.lstrip().upper().startswith((b"CREATE", b"INSERT", b"DROP", b"PRAGMA", b"--")))
)
def test_text_is_never_taken_for_anything_else(head: bytes) -> None:
    assert kind_of(head[:HEAD_BYTES]) == text_kind_of(head[:HEAD_BYTES]) == ""


@pytest.mark.parametrize("page", [b"<html>503</html>", b"<?xml version='1.0'?>", b"CREATE TABLE x"])
def test_a_page_before_posts_costs_no_post(tmp_path: Path, page: bytes) -> None:
    assert complaint_of(tmp_path, page + b"\n" + lines(POST)) == ""


def test_binary_is_told_from_text():
    assert is_binary(bytes(range(256)))
    assert not is_binary("\ufeffid,text".encode("utf-16"))
    assert not is_binary("né".encode("latin-1"))


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"mblogid": "P0", "text_raw": "x"}, "a post of Weibo"),
        ({"text_post_app_text_posts": []}, "an export of Threads"),
        ({"media": [{"uri": "a.jpg", "creation_timestamp": 1}]}, "an export of Instagram"),
        ({"timestamp": 1, "attachments": [], "data": [{"post": "x"}], "title": "y"}, "an export of Facebook"),
        ({"subreddit": "x", "selftext": "y"}, "a post of Reddit"),
        ({"kind": "youtube#comment", "id": "x"}, "a record of YouTube"),
        ({"media": ["a.jpg"]}, ""),
        ({"kind": 5}, ""),
        ({}, ""),
    ],
)
def test_records_of_other_networks_are_named(record: dict[str, Any], what: str) -> None:
    assert what_is(record) == what


def complaint_of(folder: Path, data: bytes) -> str:
    (folder / "x").write_bytes(data)
    return complaint(DumpFile("x", str(folder / "x")), ReadRules())


NOTICE, POST = {"limit": {"track": 1}}, {"id": 1, "text": "x", "image": "a.jpg"}


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "an empty file"),
        (b"\n\n", "it holds no records"),
        (b"[]\n", "it holds no records"),
        (b"[1]\n", "no record is a post that is known here (not_an_object 1; the first: list)"),
        (bytes(range(256)), "no text, and of no kind that is known here"),
        (lines({"mblogid": "x"}, {"a": 1}), "(unknown_format 2; the first: a post of Weibo; fields: mblogid)"),
        (lines({"a": 1}), "name their fields with read.fields"),
        (b"hello\nworld\n", "(not_json 2; the first: "),
        (b"{\n" * 3 + lines(POST), ""),
        (lines({"a": 1}, NOTICE), ""),
    ],
)
def test_a_dump_without_any_record_of_use_says_what_it_holds(tmp_path: Path, data: bytes, said: str) -> None:
    found = complaint_of(tmp_path, data)
    assert said in found
    assert bool(said) == bool(found)


def test_an_encrypted_zip_says_so(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jsonl", lines(POST))
    data = bytearray(file.getvalue())
    data[6] = data[data.index(b"PK\1\2") + 8] = 1
    assert complaint_of(tmp_path, bytes(data)) == "a.jsonl: encrypted: unpack the archive with its password."


def test_one_file_of_use_is_enough_and_otherwise_the_first_are_named(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}").write_bytes(b"%PDF-1")
    dumps = [DumpFile(f"{number}", str(tmp_path / f"{number}")) for number in range(5)]
    with pytest.raises(UsageError) as caught:
        refuse_unreadable(dumps, ReadRules())
    said = "a PDF: get the data that it was made of."
    assert str(caught.value) == f"--dumps 0: {said} 1: {said} 2: {said} 2 more files are no better."
    (tmp_path / "4").write_bytes(lines(POST))
    refuse_unreadable(dumps, ReadRules())
    refuse_unreadable([], ReadRules())


def test_a_build_of_nothing_leaves_nothing_and_a_dataset_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7\n")
    dump, images = small_dump(tmp_path, 3)
    config = resolve(BuildConfig, None, ["clean.min_hashtag_count=1"])
    dataset = tmp_path / "dataset"

    def built(path: Path) -> None:
        build(BuildOptions([str(path)], dataset, images, features=(), config=config, workers=1, progress="none"))

    with pytest.raises(UsageError, match=r"report\.pdf: a PDF"):
        built(tmp_path / "report.pdf")
    assert not dataset.exists()
    built(dump)
    before = files_of(dataset)
    with pytest.raises(UsageError, match=r"report\.pdf: a PDF"):
        built(tmp_path / "report.pdf")
    assert files_of(dataset) == before


def test_inspect_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7\n")
    (tmp_path / "posts").write_bytes(lines(POST))
    found, posts = (inspect_dump(DumpFile(name, str(tmp_path / name)), ReadRules()) for name in ("report.pdf", "posts"))
    assert "nothing of use: a PDF: get the data that it was made of." in found.text()
    assert (found.summary()["complaint"], posts.complaint) == ("a PDF: get the data that it was made of.", "")
