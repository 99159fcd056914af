"""Finds by its first bytes whether a stream holds a table, and reads its rows."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from m3h.pipeline.readers.mapping import FieldMapping
from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import Unreadable
from m3h.pipeline.readers.tables import arrow
from m3h.pipeline.readers.tables.delimited import text_table
from m3h.pipeline.readers.tables.rows import RowReader
from m3h.pipeline.readers.tables.sqlite import SQLITE, sqlite_table
from m3h.pipeline.readers.tables.table import Table
from m3h.pipeline.rules import ReadRules

_EARLY_FEATHER = b"FEA1"
_BINARY = (SQLITE, arrow.PARQUET, arrow.ARROW_FILE, arrow.ARROW_STREAM, _EARLY_FEATHER)
_LARGEST_SCHEMA = 1 << 28


@dataclass(frozen=True)
class TableSource:
    """Where a table may be.

    stream: its bytes, decompressed. path: the file that holds just these bytes, None where no local one does.
    """

    stream: io.BufferedReader
    path: Path | None = None


@contextmanager
def opened_table(source: TableSource, rules: ReadRules, forced: str = "") -> Iterator[RowReader | RecordFault | None]:
    """The reader of a table's rows; why it cannot be read; None where the stream holds no table, and is not read.

    Args:
        source: Where it may be.
        rules: The limits, the mapping of fields, and the table that is wanted.
        forced: The format of all records; "" where the columns tell.

    Raises:
        Unreadable: The table is damaged, or of a kind that is not read.
    """
    mapping = FieldMapping.of(rules.fields)
    head = source.stream.peek(len(SQLITE))[: len(SQLITE)]
    if not head.startswith(_BINARY) or (head.startswith(arrow.ARROW_STREAM) and not _is_arrow_stream(head)):
        table = text_table(source.stream, rules.max_line_bytes, mapping.finds_post)
        yield None if table is None else _checked(RowReader(table, forced, mapping))
        return
    with _as_file(source) as path:
        found: RowReader | RecordFault
        try:
            found = _checked(RowReader(_binary_table(path, head, rules, mapping=mapping), forced, mapping))
        except RecordFault as fault:
            found = fault
        yield found


def _checked(reader: RowReader) -> RowReader | RecordFault:
    return reader.fault or reader


def _is_arrow_stream(head: bytes) -> bool:
    return 0 < int.from_bytes(head[4:8], "little") < _LARGEST_SCHEMA


def _binary_table(path: Path, head: bytes, rules: ReadRules, *, mapping: FieldMapping) -> Table:
    if head.startswith(SQLITE):
        return sqlite_table(path, rules.table, mapping.finds_post)
    if head.startswith(arrow.PARQUET):
        return arrow.parquet_table(path)
    if head.startswith(_EARLY_FEATHER):
        raise Unreadable("a Feather file of version 1: read it with pandas, and write it with to_parquet")
    return arrow.arrow_table(path, is_stream=head.startswith(arrow.ARROW_STREAM))


@contextmanager
def _as_file(source: TableSource) -> Iterator[Path]:
    """A file that can be read at any place: the source's own, or a copy for as long as it is needed."""
    if source.path is not None:
        yield source.path
        return
    with tempfile.NamedTemporaryFile(prefix="m3h-table-") as copy:
        shutil.copyfileobj(source.stream, copy)
        copy.flush()
        yield Path(copy.name)
