"""Bytes of a dump as they were before compression, whatever it was, never more than a few blocks in memory."""

import bz2
import codecs
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import zstandard

from pipeline.storage import blocks_of


class Unreadable(OSError):
    """A file of a kind that is not read here: the message says what to do."""


BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
"""What reading a damaged file raises."""
TORN = (*BROKEN, tarfile.TarError)
"""What reading a damaged file or archive raises."""

_HEAD = 1 << 16
_ZSTD_BLOCK = 512  # small, because a frame of zeros grows 30,000 times
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def buffered(blocks: Iterator[bytes]) -> io.BufferedReader:
    """Blocks as a file whose `peek` shows the next 64 KiB, or all there is."""
    return io.BufferedReader(_Blocks(blocks), _HEAD)


class _Blocks(io.RawIOBase):
    """Fills its reader's buffer whole. An error comes only after all that was read before it."""

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
            except TORN as error:
                self._error = error
        return bool(self._rest)


def decompressed(stream: io.BufferedReader) -> io.BufferedReader:
    """The stream as UTF-8 or as it is; compression and UTF-16 are told by the first bytes, not by a name."""
    magic = stream.peek(6)[:6]
    if magic.startswith(b"\x1f\x8b"):
        stream = _opened(gzip.GzipFile(fileobj=stream))
    elif magic.startswith(b"BZh"):
        stream = _opened(bz2.BZ2File(stream))
    elif magic.startswith(b"\xfd7zXZ"):
        stream = _opened(lzma.LZMAFile(stream))  # noqa: SIM115 (the file below is closed)
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        stream = buffered(_zstd_blocks(stream))
    elif magic.startswith(b"PK\x03\x04"):
        raise Unreadable("a zip archive: unpack it first")
    if stream.peek(2)[:2] in _UTF16:
        return buffered(_utf8_blocks(stream))
    return stream


def _opened(file: Any) -> io.BufferedReader:
    return buffered(blocks_of(file))


def _zstd_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Every frame of a zstd file. EOFError where the last is cut off: zstandard itself says nothing."""
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
