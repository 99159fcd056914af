"""Decompresses a dump. The first bytes show the compression. At most a few blocks are held in memory."""

import bz2
import codecs
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

import zstandard

from m3h.pipeline.readers.files.kinds import HEAD_BYTES, kind_of
from m3h.pipeline.runtime.filesystems import blocks_of


class Unreadable(Exception):
    """A kind of file that this project does not read. The message says what the user can do."""


FILE_ERRORS = (Unreadable, OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, zipfile.BadZipFile)
"""Errors from reading a damaged file."""
ARCHIVE_ERRORS = (*FILE_ERRORS, tarfile.TarError)
"""Errors from reading a damaged file or archive."""

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_PEEK_BYTES = 1 << 16
_ZSTD_BLOCK = 512  # small, because a compressed frame of zeros can become 30,000 times larger
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def buffered(blocks: Iterator[bytes]) -> io.BufferedReader:
    """Blocks as a file. Its `peek` shows the next 64 KiB, or everything that is left."""
    return io.BufferedReader(_BlockReader(blocks), _PEEK_BYTES)


class _BlockReader(io.RawIOBase):
    """Fills the whole buffer of its reader. An error is raised only after all bytes before it were returned."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")
        self._error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        filled = 0
        while filled < len(buffer) and self._more():
            size = min(len(buffer) - filled, len(self._rest))
            buffer[filled : filled + size], self._rest = self._rest[:size], self._rest[size:]
            filled += size
        if self._error and not filled:
            raise self._error
        return filled

    def _more(self) -> bool:
        while not self._rest and not self._error:
            try:
                if (block := next(self._blocks, None)) is None:
                    return False
                self._rest = memoryview(block)
            except ARCHIVE_ERRORS as error:
                self._error = error
        return bool(self._rest)


def compression_of(head: bytes) -> str:
    """How a file is compressed that begins with these six bytes, "" where it is not."""
    return next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), "")


def decompressed(stream: io.BufferedReader) -> io.BufferedReader:
    """The decompressed stream, with UTF-16 converted to UTF-8. The first bytes decide, not the file name.

    Unreadable where they are those of a picture, a document or anything else that holds no records.
    """
    magic = stream.peek(6)[:6]
    compression = compression_of(magic)
    if compression == "gzip":
        stream = _opened(gzip.GzipFile(fileobj=stream))
    elif compression == "bzip2":
        stream = _opened(bz2.BZ2File(stream))
    elif compression == "xz":
        stream = _opened(lzma.LZMAFile(stream))  # noqa: SIM115 (the caller closes the file)
    elif compression == "zstd":
        stream = buffered(_zstd_blocks(stream))
    elif magic.startswith(b"PK\x03\x04"):
        raise Unreadable("a zip archive inside something else: unpack it first")
    head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]
    if head[:2] in _UTF16:
        return buffered(_utf8_blocks(stream))
    if kind := kind_of(head):
        raise Unreadable(kind)
    return stream


def _opened(file: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile) -> io.BufferedReader:
    return buffered(blocks_of(cast(IO[bytes], file)))


def _zstd_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The blocks of every frame of a zstd file. EOFError when the last frame is cut off, which zstandard ignores."""
    frame = None
    for block in blocks_of(file, _ZSTD_BLOCK):
        while block:
            frame = frame or zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(block)
            block = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame is not None:
        raise EOFError("the last zstd frame is cut off")


def _utf8_blocks(stream: io.BufferedReader) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
    for block in blocks_of(stream):
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", final=True).encode()
