"""Reads zip archives file by file. Nothing is written to disk, so the names in an archive are harmless.

A zip lists its files at its end, so it must be a file that can be read at any place.
"""

import io
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from m3h.pipeline.readers.files.personal_archives import HEAD_BYTES, record_files
from m3h.pipeline.readers.record import RecordFault, valid_text
from m3h.pipeline.readers.streams import FILE_ERRORS, Unreadable, buffered
from m3h.pipeline.runtime.filesystems import blocks_of

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 1
_CUT_OFF = "a zip archive without the list of files that is its end: it is cut off or damaged, so fetch it again"
_DAMAGED = (struct.error, ValueError, IndexError, OverflowError)
"""What Python raises for a damaged archive, besides FILE_ERRORS."""
_DOCUMENTS: Mapping[str, str] = {
    "xl/workbook.xml": "an Excel workbook: save its sheet as CSV",
    "xl/workbook.bin": "an Excel workbook: save its sheet as CSV",
    "word/document.xml": "a Word document: save it as text",
    "ppt/presentation.xml": "a PowerPoint presentation, which holds no records",
    "mimetype": "an OpenDocument file or a book: save a table as CSV",
    "META-INF/MANIFEST.MF": "a Java archive, which holds no records",
    "content.xml": "an OpenDocument file: save its sheet as CSV",
}
"""Names of members by which files are known that are zips inside."""


def is_zip(head: bytes) -> bool:
    """Whether a file begins as a zip archive, an empty one too."""
    return head.startswith(_MAGIC)


def members_of(
    file: IO[bytes], on_bytes: Callable[[int], None]
) -> Iterator[tuple[str, io.BufferedReader | RecordFault]]:
    """The name and the content of each file that may hold records. Read each before asking for the next one.

    Folders, pictures and the files of a personal archive that hold no posts are passed over. A member that is encrypted
    gives a RecordFault. What reads a damaged one raises one of FILE_ERRORS.

    Args:
        file: the archive.
        on_bytes: called with the compressed size of each member.

    Raises:
        Unreadable: it is a document, or its members overlap as in an archive that is made to fill a disk.
        zipfile.BadZipFile: its list of files is damaged.
    """
    archive = opened_zip(file)
    members = [(name, info) for info in archive.infolist() if _counts(name := _name(info))]
    by_name = dict(members)
    chosen = set(record_files(by_name, lambda name: _head(archive, by_name[name])))
    for name, info in ((name, info) for name, info in members if name in chosen):
        on_bytes(info.compress_size)
        yield name, content_of(archive, info)


def all_files(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by their names, pictures too. Of two with one name the last counts."""
    return {name: info for info in archive.infolist() if _counts(name := _name(info))}


def content_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> io.BufferedReader | RecordFault:
    """What a member holds. What reads a damaged one raises one of FILE_ERRORS. A RecordFault where it is encrypted."""
    if info.flag_bits & _ENCRYPTED:
        return RecordFault("unreadable_file", "encrypted: unpack the archive with its password")
    return buffered(_blocks(archive, info))


def opened_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """An archive, with the list of its files read.

    Raises:
        Unreadable: it is cut off, a document, or its members overlap as in an archive that is made to fill a disk.
        zipfile.BadZipFile: its list of files is damaged.
    """
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise Unreadable(_CUT_OFF) from error
    except (*_DAMAGED, NotImplementedError) as error:
        raise zipfile.BadZipFile(f"damaged list of files: {error}") from error
    names = set(archive.namelist())
    for name, what in _DOCUMENTS.items():
        if name in names:
            raise Unreadable(what)
    if sum(info.compress_size for info in archive.infolist()) > file.seek(0, io.SEEK_END):
        raise Unreadable("a zip archive whose files overlap, as one that is made to fill a disk")
    return archive


def _name(info: zipfile.ZipInfo) -> str:
    return valid_text(info.filename.replace("\\", "/"))  # as some programs of Windows write it


def _counts(name: str) -> bool:
    """Whether a name is that of a file, and none of those that systems put beside the files."""
    return not name.startswith("__MACOSX/") and not name.endswith("/") and not name.rpartition("/")[2].startswith(".")


def _head(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The first bytes of a member; b"" where they cannot be read, which its reading will say again."""
    if info.flag_bits & _ENCRYPTED:
        return b""
    try:
        with archive.open(info) as file:
            return file.read(HEAD_BYTES)
    except (*FILE_ERRORS, *_DAMAGED, NotImplementedError):
        return b""


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(info) as file:
            yield from blocks_of(file)
    except NotImplementedError as error:
        raise Unreadable(f"{error}: unpack the archive first") from error
    except _DAMAGED as error:
        raise zipfile.BadZipFile(str(error)) from error
