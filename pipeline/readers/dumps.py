"""One dump file, whatever it is, read record by record; and any record fetched back by its position.

A position is a place in the file. Each line takes one, blank or not; a line that holds several records (a page of the
v2 API, a list) takes as many; so does each member of a file that is one great list. In an archive the count goes on
from file to file. So in a file with one record a line the position is the line's number, and no two records share one.
"""

import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.readers import cmkp
from pipeline.readers.archives import is_tar, members_of
from pipeline.readers.formats import CMKP, read_records
from pipeline.readers.framing import Piece, pieces_of
from pipeline.readers.record import RecordFault, valid_text
from pipeline.readers.streams import BROKEN, TORN, Unreadable, buffered, decompressed
from pipeline.rules import ReadRules
from pipeline.storage import is_remote, read_blocks, sha256_of, size_of
from schemas.errors import UsageError
from schemas.posts import Dropped, Post

Watch = Callable[[int], None]
"""Is told of bytes that were read of a dump, compressed as they lie there."""

MAX_DETAIL = 200
"""Characters of a broken record kept in `dropped`; its position finds the rest."""


@dataclass(frozen=True, order=True)
class DumpFile:
    """One file of a dump. name: as it is called in the dataset, without folders of this machine; path: or URL.

    format: forced, or "" to tell it from each record.
    """

    name: str
    path: str
    format: str = ""

    @property
    def source(self) -> str:
        """What its records carry as `source`."""
        return f"{self.format or 'detected'}:{self.name}"

    def identity(self) -> dict[str, str]:
        """For the manifest: what was read, wherever it lay."""
        return {"name": self.name, "format": self.format or "detected", "sha256": sha256_of(self.path)}

    def size(self) -> int:
        """Bytes of it, as it lies there."""
        return size_of(self.path)

    def absolute(self) -> "DumpFile":
        """The same file for a worker that runs in another folder."""
        return self if is_remote(self.path) else DumpFile(self.name, str(Path(self.path).absolute()), self.format)


def _unwatched(_: int) -> None:
    return


def read_dump(dump: DumpFile, rules: ReadRules | None = None, watch: Watch = _unwatched) -> Iterator[Post | Dropped]:
    """Every record of a dump file exactly once, as a Post or as a Dropped with its position. Blank lines are none."""
    for position, _, results in _places(dump, rules or ReadRules(), watch):
        for place, result in enumerate(results, start=position):
            if isinstance(result, Post):
                yield result.having(source=dump.source, position=place)
            else:
                detail = valid_text(result.detail[:MAX_DETAIL])
                yield Dropped("read", result.reason, result.record_id, dump.source, place, detail)


def raw_record(dump: DumpFile, position: int, rules: ReadRules | None = None) -> bytes:
    """The bytes behind a record: its line without the line's end, the page it is in, or its text in a list.

    Of a line that is too long, as many bytes as a line may have; b"" where the file itself could not be read on.
    UsageError where the dump has no such record.
    """
    for _, raw in raw_records(dump, {position}, rules):
        return raw
    raise UsageError(f"{dump.name}: no record at position {position}.")


def raw_records(
    dump: DumpFile, positions: Collection[int], rules: ReadRules | None = None
) -> Iterator[tuple[list[int], bytes]]:
    """As `raw_record`, for many positions in one pass: (those of them that the bytes hold, bytes), in order."""
    last = max(positions, default=0)
    for place, raw, results in _places(dump, rules or ReadRules()):
        if place > last:
            return
        if mine := [position for position in range(place, place + len(results)) if position in positions]:
            yield mine, raw


def _places(
    dump: DumpFile, rules: ReadRules, watch: Watch = _unwatched
) -> Iterator[tuple[int, bytes, list[Post | RecordFault]]]:
    """(position of its first record, bytes, records) of every piece that holds any."""
    if dump.format == CMKP:
        yield from _released(Path(dump.path))
        return
    position = 1
    for member, piece in _guarded(_pieces(dump.path, rules.max_line_bytes, watch), "", TORN):
        results: list[Post | RecordFault] = [piece.fault] if piece.fault else []
        if not piece.fault and piece.raw.strip():
            results = read_records(piece.raw, dump.format)
        if results:
            yield position, piece.raw, [_in_member(member, result) for result in results]
        position += max(1, len(results))


def _released(path: Path) -> Iterator[tuple[int, bytes, list[Post | RecordFault]]]:
    split = path.name.removesuffix("_src.txt")
    for number, line in enumerate(cmkp.lines_of(path), start=1):
        try:
            yield number, line.encode(), [cmkp.read_line(line, split, number)]
        except RecordFault as fault:
            yield number, line.encode(), [fault]


def _in_member(member: str, result: Post | RecordFault) -> Post | RecordFault:
    if isinstance(result, Post) or not member:
        return result
    return RecordFault(result.reason, f"{member}: {result.detail}", result.record_id)


def _pieces(path: str, limit: int, watch: Watch) -> Iterator[tuple[str, Piece]]:
    """(name of the archive's member or "", piece), in order. Raises what TORN lists where the file is damaged."""
    stream = decompressed(buffered(_watched(read_blocks(path), watch)))
    if not is_tar(stream):
        yield from (("", piece) for piece in pieces_of(stream, limit))
        return
    for name, member in members_of(stream):
        if isinstance(member, RecordFault):
            yield name, Piece(b"", member)
        else:  # a damaged member costs itself; a damaged archive the rest
            yield from _guarded(((name, piece) for piece in _member_pieces(member, limit)), name, BROKEN)


def _watched(blocks: Iterator[bytes], watch: Watch) -> Iterator[bytes]:
    for block in blocks:
        watch(len(block))
        yield block


def _member_pieces(member: io.BufferedReader, limit: int) -> Iterator[Piece]:
    stream = decompressed(member)
    if is_tar(stream):
        raise Unreadable("an archive inside an archive: unpack it first")
    yield from pieces_of(stream, limit)


def _guarded(
    pieces: Iterator[tuple[str, Piece]], name: str, faults: tuple[type[Exception], ...]
) -> Iterator[tuple[str, Piece]]:
    try:
        yield from pieces
    except faults as error:
        yield name, Piece(b"", RecordFault("unreadable_file", f"{type(error).__name__}: {error}"))
