"""Reads tar archives member by member in one pass. Nothing is written to disk, so member names are harmless."""

import io
import tarfile
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar, cast

from m3h.pipeline.readers.record import RecordFault, valid_text
from m3h.pipeline.readers.streams import buffered
from m3h.pipeline.runtime.filesystems import blocks_of

_MAX_HEADER = 1 << 20
"""Largest number of bytes read for one header, which may hold a long name or extra fields."""
_BLOCK = 1 << 16
_END_BLOCK = bytes(tarfile.BLOCKSIZE)

T = TypeVar("T")


def is_tar(stream: io.BufferedReader) -> bool:
    """Whether a stream begins with a tar header. The header's checksum decides."""
    block = stream.peek(tarfile.BLOCKSIZE)[: tarfile.BLOCKSIZE]
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError, OverflowError):
        return False
    return True


def members_of(stream: io.BufferedReader) -> Iterator[tuple[str, io.BufferedReader | RecordFault]]:
    """The name and the content of each file in an archive. Read each file before asking for the next one.

    A link, a device or a sparse file gives a RecordFault instead of content. Folders are skipped. A damaged or cut off
    archive raises tarfile.ReadError.
    """
    file = _ForwardOnlyFile(stream)
    # Any: the type stubs lack `members`
    archive: Any = _checked(lambda: tarfile.open(fileobj=cast(IO[bytes], file), mode="r:"))  # noqa: SIM115 (closes nothing)
    while (member := _checked(archive.next)) is not None:
        name = valid_text(member.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        if member.isreg() and not member.issparse():
            yield name, buffered(file.read_range(member.offset_data, member.size))
        elif not member.isdir():
            link = f"a link to {valid_text(member.linkname)}" if member.issym() or member.islnk() else ""
            yield name, RecordFault("not_a_file", link or "a device or a sparse file")
        archive.members.clear()  # otherwise tarfile keeps every member it has seen in memory
        archive.pax_headers.clear()
    file.check_end()


def _checked(read_header: Callable[[], T]) -> T:
    """The result of `read_header`. All errors of a damaged header become tarfile.ReadError."""
    try:
        return read_header()
    except (ValueError, OverflowError, RecursionError) as error:  # number fields without numbers, nested headers
        raise tarfile.ReadError(f"damaged header: {error}") from error


class _ForwardOnlyFile:
    """A stream with the `seek` and `tell` that tarfile needs. It can only move forward."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._position = 0
        self._last_block = b""

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        """The next `size` bytes. ReadError when a header asks for more bytes than a header may have."""
        if size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header claims {size} bytes, at most {_MAX_HEADER}")
        self._last_block = self._stream.read(size)
        self._position += len(self._last_block)
        return self._last_block

    def seek(self, position: int) -> int:
        """Move forward by reading. ReadError when `position` lies behind."""
        if position < self._position:
            raise tarfile.ReadError("a member lies before the one it follows")
        for _ in self.read_range(self._position, position - self._position):
            pass
        return self._position

    def read_range(self, start: int, size: int) -> Iterator[bytes]:
        """`size` bytes from `start`, in blocks. When fewer bytes are left, they come first and ReadError follows."""
        if self._position < start:
            self.seek(start)
        while (remaining := start + size - self._position) > 0:
            block = self.read(min(_BLOCK, remaining))
            yield block
            if not block:
                raise tarfile.ReadError("the archive is cut off")

    def check_end(self) -> None:
        """ReadError unless the archive ends with blocks of zeros. tarfile itself accepts any end."""
        if self._last_block != _END_BLOCK:
            raise tarfile.ReadError("the archive is cut off or damaged")
        for block in blocks_of(self._stream):
            if block.strip(b"\0"):
                raise tarfile.ReadError("more data behind the end of the archive")
