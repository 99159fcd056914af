"""Tar archives read member by member, in one pass over the stream: nothing is extracted, so no name can do harm."""

import io
import tarfile
from collections.abc import Iterator
from typing import IO, Any, cast

from pipeline.readers.record import RecordFault, valid_text
from pipeline.readers.streams import buffered
from pipeline.storage import blocks_of

_MAX_HEADER = 1 << 20
"""Bytes of a header that holds a long name or other fields; one that claims more is not read."""
_BLOCK = 1 << 16
_ZEROS = bytes(tarfile.BLOCKSIZE)


def is_tar(stream: io.BufferedReader) -> bool:
    """Whether a stream begins with a tar header, told by its checksum."""
    block = stream.peek(tarfile.BLOCKSIZE)[: tarfile.BLOCKSIZE]
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError, OverflowError):
        return False
    return True


def members_of(stream: io.BufferedReader) -> Iterator[tuple[str, io.BufferedReader | RecordFault]]:
    """Files of an archive with their names, each to be read before the next; a fault for a link or a device.

    Folders are passed over. Raises tarfile.ReadError where the archive is cut off or damaged.
    """
    forward = _Forward(stream)
    archive = _sound(lambda: tarfile.open(fileobj=cast(IO[bytes], forward), mode="r:"))  # noqa: SIM115 (closes nothing)
    while (member := _sound(archive.next)) is not None:
        name = valid_text(member.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        if member.isreg() and not member.issparse():
            yield name, buffered(forward.part(member.offset_data, member.size))
        elif not member.isdir():
            link = f"a link to {valid_text(member.linkname)}" if member.issym() or member.islnk() else ""
            yield name, RecordFault("not_a_file", link or "a device or a sparse file")
        archive.members.clear()  # or an archive of a million files would stay in memory
        archive.pax_headers.clear()
    forward.check_end()


def _sound(step: Any) -> Any:
    try:
        return step()
    except (ValueError, OverflowError, RecursionError) as error:  # fields that are no numbers, headers of headers
        raise tarfile.ReadError(f"damaged header: {error}") from error


class _Forward:
    """A stream as the seekable file that tarfile wants, as long as it only goes forward."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream
        self._at = 0
        self._last = b""

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        """As any file's. ReadError where a header asks for more than a header may have."""
        if size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header claims {size} bytes, at most {_MAX_HEADER}")
        self._last = self._stream.read(size)
        self._at += len(self._last)
        return self._last

    def seek(self, position: int) -> int:
        """Forward by reading, or ReadError."""
        if position < self._at:
            raise tarfile.ReadError("a member lies before the one it follows")
        for _ in self.part(self._at, position - self._at):
            pass
        return self._at

    def part(self, start: int, size: int) -> Iterator[bytes]:
        """`size` bytes from `start`. ReadError where they end early, after all that are there."""
        if self._at < start:
            self.seek(start)
        while (left := start + size - self._at) > 0:
            block = self.read(min(_BLOCK, left))
            yield block
            if not block:
                raise tarfile.ReadError("the archive is cut off")

    def check_end(self) -> None:
        """An archive ends with blocks of zeros; tarfile takes any other end for one too. ReadError for others."""
        if self._last != _ZEROS:
            raise tarfile.ReadError("the archive is cut off or damaged")
        for block in blocks_of(self._stream):
            if block.strip(b"\0"):
                raise tarfile.ReadError("more data behind the end of the archive")
