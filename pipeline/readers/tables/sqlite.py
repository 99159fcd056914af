"""Reads a table of an SQLite database. The file is only read, and nothing that its schema could run is run."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import Unreadable
from m3h.pipeline.readers.tables.table import BATCH, Row, Table

SQLITE = b"SQLite format 3\0"
"""How the file begins."""
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"


def sqlite_table(path: Path, wanted: str, finds_post: Callable[[tuple[str, ...]], bool]) -> Table:
    """The table of posts in a database.

    Args:
        path: the file.
        wanted: the table's name; "" for the only one of posts.
        finds_post: whether columns of these names have something to take for an id and a text.

    Raises:
        Unreadable: the file is damaged, or its last changes lie in a file beside it.
        RecordFault: it has no such table, or several.
    """
    if (log := path.with_name(f"{path.name}-wal")).is_file() and log.stat().st_size:
        raise Unreadable(f"its last changes are in {log.name}: run `sqlite3 {path.name} 'PRAGMA wal_checkpoint'` first")
    with _readable(), closing(_opened(path)) as database:
        names = {name: _columns(database, name) for (name,) in database.execute(_TABLES)}
    fitting = [name for name, columns in names.items() if (name == wanted if wanted else finds_post(columns))]
    if len(fitting) != 1:
        listed = "; ".join(f"{name}: {', '.join(columns)}" for name, columns in names.items())
        problem = f"no table {wanted}" if wanted else f"{len(fitting)} of its tables could be the one of posts"
        raise RecordFault("unknown_table", f"{problem}: {listed}")
    (name,) = fitting
    return Table(f"SQLite, table {name}", names[name], partial(_batches, path, name))


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
    database.text_factory = _text
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _text(value: bytes) -> str | RecordFault:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        return RecordFault("not_utf8", str(error))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OverflowError) as error:
        raise Unreadable(str(error)) from error


def _columns(database: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(str(row[1]) for row in database.execute(f"PRAGMA table_info({_quoted(table)})"))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _batches(path: Path, table: str, wanted: Sequence[str]) -> Iterator[list[Row]]:
    columns = ", ".join(map(_quoted, wanted))
    with _readable(), closing(_opened(path)) as database:
        # Without an index the rows come in the order in which they are stored, whichever columns are read.
        rows = database.execute(f"SELECT {columns} FROM {_quoted(table)} NOT INDEXED")  # noqa: S608 (names are quoted)
        while batch := rows.fetchmany(BATCH):
            yield [_row(row) for row in batch]


def _row(values: tuple[Any, ...]) -> Row:
    return next((value for value in values if isinstance(value, RecordFault)), values)
