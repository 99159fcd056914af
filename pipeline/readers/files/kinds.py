"""Kinds of files that hold no records which are read here, known by their first bytes, and what to do with each."""

import codecs
import re
from collections.abc import Callable

HEAD_BYTES = 512
"""Bytes that show a file's kind."""

_PICTURE = "give the folder with the pictures as --images, and the file that names them as --dumps"
_TABLE = "save it as CSV or Parquet"
_UNPACK = "unpack it first"


def _begins(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _text(pattern: bytes) -> Callable[[bytes], bool]:
    compiled = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:" + pattern + rb")", re.IGNORECASE)
    return lambda head: compiled.match(head) is not None


_PICKLE = re.compile(rb"\x80[\x02-\x05][\x95}\](c\x8c]")

Kind = tuple[Callable[[bytes], bool], str, str]
"""Whether a file begins like this kind, what the kind is, and what to do with it."""

_KINDS: tuple[Kind, ...] = (
    (_begins(b"%PDF-"), "a PDF", "get the data that it was made of"),
    (_begins(b"Rar!\x1a\x07"), "a RAR archive", _UNPACK),
    (_begins(b"7z\xbc\xaf\x27\x1c"), "a 7z archive", _UNPACK),
    (_begins(b"\x1f\x9d", b"\x1f\xa0"), "a file compressed by `compress`", _UNPACK),
    (_begins(b"\x04\x22\x4d\x18"), "a file compressed as lz4", "decompress it first (`lz4 -d`)"),
    (_begins(b"\xff\x06\x00\x00sNaPpY"), "a file compressed as snappy", "decompress it first"),
    (_begins(b"\x89LZO\x00"), "a file compressed as lzop", "decompress it first (`lzop -d`)"),
    (_begins(b"LZIP\x01"), "a file compressed as lzip", "decompress it first (`lzip -d`)"),
    (_begins(b"\xff\xd8\xff"), "a JPEG picture", _PICTURE),
    (_begins(b"\x89PNG\r\n"), "a PNG picture", _PICTURE),
    (_begins(b"GIF87a", b"GIF89a"), "a GIF picture", _PICTURE),
    (_begins(b"II*\x00", b"MM\x00*"), "a TIFF picture", _PICTURE),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", "a WebP picture", _PICTURE),
    (lambda head: head[4:12] in (b"ftypavif", b"ftypheic", b"ftypmif1"), "an AVIF or HEIC picture", _PICTURE),
    (lambda head: head[:2] == b"\0\0" and head[4:8] == b"ftyp", "an MP4 video", "give the file that names the posts"),
    (_begins(b"\x1a\x45\xdf\xa3"), "a WebM or Matroska video", "give the file that names the posts"),
    (_begins(b"ID3\x03", b"ID3\x04", b"OggS\x00", b"fLaC\x00"), "a sound file", "give the file that names the posts"),
    (_begins(b"\x89HDF\r\n\x1a\n"), "an HDF5 file", "write its table as CSV or Parquet (pandas: `read_hdf`)"),
    (_begins(b"\x93NUMPY"), "an array of NumPy", "write its rows as CSV or JSON lines"),
    (lambda head: _PICKLE.match(head) is not None, "a pickle of Python",
     "it can run any program when it is loaded, so it is never opened here; where you trust it, write its table as "
     "Parquet (pandas: `read_pickle`)"),
    (_begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an old Excel or Word file", "save its sheet as CSV"),
    (_begins(b"{\\rtf"), "a text with formats (RTF)", "save it as plain text"),
    (lambda head: head.startswith(b"ORC") and b"\0" in head, "an ORC file", _TABLE),
    (_begins(b"Obj\x01"), "an Avro file", _TABLE),
    (_begins(b"$FL2", b"$FL3"), "a table of SPSS", "save it as CSV or Parquet (pandas: `read_spss`)"),
    (lambda head: head.startswith(b"<stata_dta>") or re.match(rb"[\x71-\x73][\x01\x02]\x01\x00", head) is not None,
     "a table of Stata", "save it as CSV or Parquet (pandas: `read_stata`)"),
    (_begins(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc2\xea\x81\x60"), "a table of SAS",
     "save it as CSV or Parquet (pandas: `read_sas`)"),
    (_begins(b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n", b"X\n\x00\x00\x00"), "a file of R",
     "write its table as CSV or Parquet (R: `write.csv`, `arrow::write_parquet`)"),
    (_begins(b"\x6d\xe2\x99\x81"), "an archive of mongodump", "export it as JSON lines (`mongoexport`)"),
    (_begins(b"PGDMP"), "a dump of PostgreSQL", "export the table as CSV (`COPY … TO … CSV HEADER`)"),
    (_begins(b"MZ\x90\x00", b"\x7fELF"), "a program", "give the dump itself"),
)  # fmt: skip

_TEXTS: tuple[Kind, ...] = (
    (_text(rb"(?:--[^\n]*\n\s*)*(?:CREATE TABLE|INSERT INTO|DROP TABLE|PRAGMA foreign_keys|/\*!\d{5})"),
     "a dump of SQL", "load it into its database, and export the table as CSV"),
    (_text(rb"<!doctype html|<html|<head|<body"), "an HTML page",
     "perhaps a login or error page in place of the dump: fetch the dump again, or the data behind the page"),
    (_text(rb"<\?xml|<rss|<feed|<svg"), "an XML file", "convert its entries into CSV or JSON lines"),
    (_text(rb"version https://git-lfs\.github\.com/spec/"), "a pointer of Git LFS, not the file itself",
     "fetch the file (`git lfs pull`)"),
)  # fmt: skip


def kind_of(head: bytes) -> str:
    """What a file is in which no line can be a record, and what to do with it; "" for any other file.

    head: its first HEAD_BYTES bytes, or all there are.
    """
    return _first(_KINDS, head)


def text_kind_of(head: bytes) -> str:
    """What a text is of which no line was a record, and what to do with it; "" where that is not known.

    A page that stands at the beginning of a dump says nothing of the lines that follow, so this is asked at the end.
    """
    return _first(_TEXTS, head)


def _first(kinds: tuple[Kind, ...], head: bytes) -> str:
    return next((f"{what}: {advice}" for is_kind, what, advice in kinds if is_kind(head)), "")


def is_binary(head: bytes) -> bool:
    """Whether the first bytes of a file are no text."""
    return b"\0" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
