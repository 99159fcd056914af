"""Reads one dump file of any kind record by record, and finds the bytes of a record again by its position.

A position is a place in the file, counted from 1. Each line takes one position, even when it is blank. A line that
holds n records (a page of the v2 API, a list) takes n positions. Each member of a file that is one large JSON list
takes one. In an archive the count continues from file to file. So in a file with one record per line, the position is
the line number. In a table the position is the number of the row; the header does not count. No two records have the
same position.
"""

import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from m3h.pipeline.readers import cmkp
from m3h.pipeline.readers.archives import is_tar, members_of
from m3h.pipeline.readers.bluesky import car
from m3h.pipeline.readers.files import zips
from m3h.pipeline.readers.formats import CMKP, read_records
from m3h.pipeline.readers.framing import Piece, pieces_of
from m3h.pipeline.readers.image_text import archive, folder
from m3h.pipeline.readers.image_text.samples import Limits, Located
from m3h.pipeline.readers.mapping import FieldMapping
from m3h.pipeline.readers.record import Part, RecordFault, valid_text
from m3h.pipeline.readers.streams import ARCHIVE_ERRORS, FILE_ERRORS, Unreadable, buffered, decompressed
from m3h.pipeline.readers.tables.open import TableSource, opened_table
from m3h.pipeline.readers.tables.rows import RowReader, Rows
from m3h.pipeline.rules import ImageRules, ReadRules
from m3h.pipeline.runtime.filesystems import is_remote, opened, read_blocks, sha256_of, size_of
from m3h.pipeline.text.pii import stored_id, stored_path
from m3h.schemas.errors import UsageError
from m3h.schemas.posts import Dropped, Post

OnBytes = Callable[[int], None]
"""Called after each read with the number of bytes that were read from the dump file, before decompression."""

MAX_PICTURE_BYTES = ImageRules().max_bytes

MAX_DETAIL = 200
"""Characters of a broken record that `dropped` keeps. The rest can be found by the record's position."""


@dataclass(frozen=True, order=True)
class DumpFile:
    """One file of a dump, or one folder that is an image-text set.

    name: its name in the dataset, without folders of this machine. path: a local path or a URL.
    format: one of formats.FORMATS, or "" to detect the format of each record; of a folder, IMAGE_TEXT.
    """

    name: str
    path: str
    format: str = ""

    @property
    def source(self) -> str:
        """The value of `source` in its records."""
        return f"{self.format or 'detected'}:{self.name}"

    def identity(self) -> dict[str, str]:
        """The manifest's entry for this file. It does not depend on where the file is stored."""
        sha256 = folder.sha256_of_set(Path(self.path)) if self.is_folder else sha256_of(self.path)
        return {"name": self.name, "format": self.format or "detected", "sha256": sha256}

    def size(self) -> int:
        """Size in bytes, before decompression."""
        return folder.size_of_set(Path(self.path)) if self.is_folder else size_of(self.path)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder of pictures and their texts, not a file."""
        return self.format == folder.IMAGE_TEXT

    def absolute(self) -> "DumpFile":
        """The same file with an absolute path, for a worker that runs in another folder."""
        return self if is_remote(self.path) else DumpFile(self.name, str(Path(self.path).absolute()), self.format)


def _ignore_bytes(_: int) -> None:
    return


def read_dump(
    dump: DumpFile,
    rules: ReadRules | None = None,
    on_bytes: OnBytes = _ignore_bytes,
    *,
    max_picture_bytes: int = MAX_PICTURE_BYTES,
) -> Iterator[Post | Dropped]:
    """Every record of a dump file exactly once, as a Post or as a Dropped, each with its position.

    A blank line is not a record. A damaged file gives a Dropped as its last record.

    Args:
        dump: the file to read.
        rules: the limits; the defaults of ReadRules when None.
        on_bytes: called with the number of bytes of each read, for progress displays.
        max_picture_bytes: of a picture in the dump itself. Of a larger one, one byte more is read.
    """
    return (record for record, _ in read_with_parts(dump, rules, on_bytes, max_picture_bytes=max_picture_bytes))


def read_with_parts(
    dump: DumpFile,
    rules: ReadRules | None = None,
    on_bytes: OnBytes = _ignore_bytes,
    *,
    max_picture_bytes: int = MAX_PICTURE_BYTES,
) -> Iterator[tuple[Post | Dropped, tuple[Part, ...]]]:
    """Like `read_dump`, and with each record what it says of other posts.

    Args:
        dump: the file to read.
        rules: the limits; the defaults of ReadRules when None.
        on_bytes: called with the number of bytes of each read, for progress displays.
        max_picture_bytes: as for `read_dump`.
    """
    source, reading = dump.source, _Reading(rules or ReadRules(), dump.format, on_bytes, max_picture_bytes)
    for first_position, _, results in _located_records(dump, reading):
        for position, result in enumerate(results, start=first_position):
            if isinstance(result, Post):
                yield _stored_post(result, source, position), ()
            else:
                yield _stored_fault(result, source, position), tuple(map(_stored_part, result.parts))


def _stored_fault(fault: RecordFault, source: str, position: int) -> Dropped:
    detail = stored_path(valid_text(fault.detail))[:MAX_DETAIL]  # a cut address is not recognised
    versions = tuple(map(stored_id, fault.versions))
    return Dropped("read", fault.reason, stored_id(fault.record_id), source, position, detail, versions)


def _stored_part(part: Part) -> Part:
    return replace(part, key=stored_id(part.key)) if part.kind == "deletion" else part


def _stored_post(post: Post, source: str, position: int) -> Post:
    post_id = stored_id(post.post_id)
    if not post.versions and not post.first_id:
        return post.having(post_id=post_id, source=source, position=position)
    first_id, versions = stored_id(post.first_id), tuple(map(stored_id, post.versions))
    return post.having(post_id=post_id, first_id=first_id, versions=versions, source=source, position=position)


def raw_record(dump: DumpFile, position: int, rules: ReadRules | None = None) -> bytes:
    """The bytes of a record: its line without the line end, the page that holds it, or its text within a list.

    A row of a table becomes a line of JSON. A line that is too long is cut to the allowed length. b"" when the file
    could not be read at this position.

    Args:
        dump: the file that holds the record.
        position: the record's position, from 1.
        rules: the limits; the defaults of ReadRules when None.

    Raises:
        UsageError: the dump has no record at this position.
    """
    for _, raw in raw_records(dump, {position}, rules):
        return raw
    raise UsageError(f"{dump.name}: no record at position {position}.")


def raw_records(
    dump: DumpFile, positions: Collection[int], rules: ReadRules | None = None
) -> Iterator[tuple[list[int], bytes]]:
    """The bytes of many records in one pass, each with the requested positions that the bytes hold, in order.

    Args:
        dump: the file that holds the records.
        positions: the records' positions, from 1. Positions without a record are skipped.
        rules: the limits; the defaults of ReadRules when None.
    """
    last = max(positions, default=0)
    reading = _Reading(rules or ReadRules(), dump.format, whole=True)
    for first_position, piece, results in _located_records(dump, reading):
        if first_position > last:
            return
        held = range(first_position, first_position + len(results))
        requested = [position for position in held if position in positions]
        if isinstance(piece, Rows):
            yield from (([position], piece.raw(position - first_position)) for position in requested)
        elif requested:
            yield requested, piece.raw


@dataclass(frozen=True)
class _Reading:
    """How a dump is read.

    rules: the limits. format: of all records, "" to detect it. on_bytes: called with the number of bytes of each read.
    max_picture_bytes: as for `read_dump`. whole: whether the bytes of records are wanted, and not only what their
    posts are made of.
    """

    rules: ReadRules
    format: str
    on_bytes: OnBytes = _ignore_bytes
    max_picture_bytes: int = 0
    whole: bool = False


def _located_records(dump: DumpFile, reading: _Reading) -> Iterator[tuple[int, Piece | Rows, list[Post | RecordFault]]]:
    """(position of the first record, piece, records) of every piece that holds at least one record."""
    if dump.format == CMKP:
        yield from _released_lines(Path(dump.path))
        return
    if dump.is_folder or (not dump.format and archive.is_set(dump.path)):
        yield from ((at, Piece(raw), results) for at, raw, results in _located_pairs(dump, reading))
        return
    position, mapping = 1, FieldMapping.of(reading.rules.fields)
    for member, piece in _with_faults(_pieces(dump.path, reading), "", ARCHIVE_ERRORS):
        results: list[Post | RecordFault] = []
        if isinstance(piece, Rows):
            results = piece.results
        elif piece.fault:
            results = [piece.fault]
        elif piece.raw.strip():
            results = read_records(piece.raw, dump.format, mapping)
        if results:
            yield position, piece, [_in_member(member, result) for result in results] if member else results
        position += max(1, len(results))


def _located_pairs(dump: DumpFile, reading: _Reading) -> Iterator[Located]:
    """The records of an image-text set, in a folder or an archive."""
    limits = Limits(reading.rules.max_line_bytes, reading.max_picture_bytes)
    if dump.is_folder:
        return folder.located_in(Path(dump.path), dump.name, limits, reading.on_bytes)
    return archive.located_samples(dump.path, dump.name, limits, reading.on_bytes)


def _released_lines(path: Path) -> Iterator[tuple[int, Piece, list[Post | RecordFault]]]:
    split = path.name.removesuffix("_src.txt")
    for number, line in enumerate(cmkp.lines_of(path), start=1):
        try:
            yield number, Piece(line.encode()), [cmkp.read_line(line, split, number)]
        except RecordFault as fault:
            yield number, Piece(line.encode()), [fault]


def _in_member(member: str, result: Post | RecordFault) -> Post | RecordFault:
    """A fault with the archive member's name in front of its detail; a Post as it is."""
    if isinstance(result, Post) or not member:
        return result
    detail = f"{member}: {result.detail}"
    return RecordFault(result.reason, detail, result.record_id, versions=result.versions, parts=result.parts)


def _pieces(path: str, reading: _Reading) -> Iterator[tuple[str, Piece | Rows]]:
    """(name of the archive member or "", piece), in order. A damaged file raises one of ARCHIVE_ERRORS."""
    stored = buffered(_reporting(read_blocks(path), reading.on_bytes))
    if zips.is_zip(stored.peek(4)[:4]):
        with opened(path) as file:
            yield from _pieces_of_members(zips.members_of(file, reading.on_bytes), reading)
        return
    stream = decompressed(stored)
    if is_tar(stream):
        yield from _pieces_of_members(members_of(stream), reading)
    else:
        own_file = Path(path) if stream is stored and not is_remote(path) else None
        yield from (("", piece) for piece in _pieces_of_file(TableSource(stream, own_file), reading))


def _pieces_of_members(
    members: Iterator[tuple[str, io.BufferedReader | RecordFault]], reading: _Reading
) -> Iterator[tuple[str, Piece | Rows]]:
    for name, member in members:
        if isinstance(member, RecordFault):
            yield name, Piece(b"", member)
        else:  # a damaged member loses only itself; a damaged archive loses all that follows
            yield from _with_faults(((name, piece) for piece in _member_pieces(member, reading)), name, FILE_ERRORS)


def _pieces_of_file(source: TableSource, reading: _Reading) -> Iterator[Piece | Rows]:
    """The rows of a table, the posts of a repository, or the pieces of JSON."""
    if car.is_car(source.stream):
        yield from car.posts_of(source.stream, reading.rules.max_line_bytes)
        return
    with opened_table(source, reading.rules, reading.format) as table:
        if isinstance(table, RowReader):
            yield from table.batches(whole=reading.whole)
        elif table:
            yield Piece(b"", table)
        else:
            yield from pieces_of(source.stream, reading.rules.max_line_bytes)


def _reporting(blocks: Iterator[bytes], on_bytes: OnBytes) -> Iterator[bytes]:
    for block in blocks:
        on_bytes(len(block))
        yield block


def _member_pieces(member: io.BufferedReader, reading: _Reading) -> Iterator[Piece | Rows]:
    stream = decompressed(member)
    if is_tar(stream):
        raise Unreadable("an archive inside an archive: unpack it first")
    yield from _pieces_of_file(TableSource(stream), reading)


def _with_faults(
    pieces: Iterator[tuple[str, Piece | Rows]], name: str, errors: tuple[type[Exception], ...]
) -> Iterator[tuple[str, Piece | Rows]]:
    """`pieces`, then a fault `unreadable_file` when reading them raises one of `errors`."""
    try:
        yield from pieces
    except errors as error:
        detail = str(error) if isinstance(error, Unreadable) else f"{type(error).__name__}: {error}"
        yield name, Piece(b"", RecordFault("unreadable_file", detail))
