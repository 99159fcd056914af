"""The same table written as every kind of file, and read again."""

import csv
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.pipeline.rules import ReadRules
from m3h.schemas.posts import Dropped, Post

Rows = Sequence[Sequence[object]]
NAMES = ("id", "text", "image_url", "lang")
PHOTO = "https://pbs.twimg.com/media/A1.jpg"
ROWS = (("11", "a long walk #Tide", PHOTO, "en"), ("12", "the sea, and\nmore of it", PHOTO, ""))


def read(path: Path, rules: ReadRules | None = None, forced: str = "") -> list[Post | Dropped]:
    return list(read_dump(DumpFile(path.name, str(path), forced), rules))


def posts(path: Path, rules: ReadRules | None = None) -> list[Post]:
    found = read(path, rules)
    assert all(isinstance(record, Post) for record in found), found
    return [record for record in found if isinstance(record, Post)]


def raw(path: Path, position: int, rules: ReadRules | None = None) -> bytes:
    return raw_record(DumpFile(path.name, str(path)), position, rules)


def file(folder: Path, data: bytes | str) -> Path:
    path = folder / "dump"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


Writer = Callable[[Path, Sequence[str], Rows], None]


def delimited(separator: str, quoting: int = csv.QUOTE_MINIMAL, end: str = "\n") -> Writer:
    def write(path: Path, names: Sequence[str], rows: Rows) -> None:
        with open(path, "w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
            writer.writerows([names, *rows])

    return write


def _table(names: Sequence[str], rows: Rows) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})


def _parquet(path: Path, names: Sequence[str], rows: Rows) -> None:
    pq.write_table(_table(names, rows), path)


def _feather(path: Path, names: Sequence[str], rows: Rows) -> None:
    feather.write_feather(_table(names, rows), str(path), compression="zstd")


def _stream(path: Path, names: Sequence[str], rows: Rows) -> None:
    table = _table(names, rows)
    with pa.ipc.new_stream(str(path), table.schema) as out:
        out.write_table(table, max_chunksize=3)


def _sqlite(path: Path, names: Sequence[str], rows: Rows) -> None:
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE posts ({', '.join(names)})")
        database.executemany(f"INSERT INTO posts VALUES ({', '.join('?' * len(names))})", rows)  # noqa: S608


def _by_columns(path: Path, names: Sequence[str], rows: Rows) -> None:
    columns = {name: {str(n): row[i] for n, row in enumerate(rows)} for i, name in enumerate(names)}
    path.write_text(json.dumps(columns), encoding="utf-8")


WRITERS: dict[str, Writer] = {
    "csv": delimited(","),
    "quoted csv": delimited(",", csv.QUOTE_ALL, "\r\n"),
    "tsv": delimited("\t"),
    "semicolons": delimited(";", csv.QUOTE_NONNUMERIC),
    "bars": delimited("|"),
    "parquet": _parquet,
    "feather": _feather,
    "arrow stream": _stream,
    "sqlite": _sqlite,
    "json by columns": _by_columns,
}


def utf16(data: bytes) -> bytes:
    return data.decode().encode("utf-16")
