"""Files that are either whole or absent: hashing, and writing by temp file, fsync and rename."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import IntegrityError, MachineError
from schemas.machine import number_of, told

TEMP_PREFIX = ".tmp-"


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def publish(path: Path, write: Callable[[Path], None], lasting: bool = True) -> None:
    """Let `write` fill a temp file beside `path`, then put it there in one step.

    Whoever kills us leaves the old file, or none, or the new one: never half of it. lasting: even where the power goes.
    MachineError where it cannot be written.
    """
    try:
        _publish(path, write, lasting)
    except Exception as error:  # each library wraps the system's fault in an exception of its own
        if number := number_of(error):
            raise MachineError(told(number, path)) from error
        raise


def _publish(path: Path, write: Callable[[Path], None], lasting: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f"{TEMP_PREFIX}{uuid.uuid4().hex}-{path.name}")
    try:
        write(temp)
        if lasting:
            with open(temp, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(temp, path)
    finally:
        with suppress(OSError):  # a folder that has become read-only says so where it matters
            temp.unlink(missing_ok=True)
    if lasting:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself survives a power cut
        finally:
            os.close(folder)


def publish_bytes(path: Path, data: bytes, lasting: bool = True) -> None:
    """`data` as it is."""

    def write(temp: Path) -> None:
        temp.write_bytes(data)

    publish(path, write, lasting)


def publish_text(path: Path, text: str) -> None:
    """`text` as UTF-8."""
    publish_bytes(path, text.encode("utf-8"))


def json_text(value: Any) -> str:
    """Indented, keys sorted: stable and readable."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def publish_json(path: Path, value: Any) -> None:
    """`value` as `json_text`."""
    publish_text(path, json_text(value))


ROW_GROUP = 10_000
"""Rows of a Parquet file that are compressed together."""


def publish_table(path: Path, table: pa.Table) -> None:
    """Parquet whose bytes depend on the rows alone: one compression, one row-group size, page checksums."""
    publish_tables(path, table.schema, [table])


def publish_tables(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """As `publish_table`, of tables that need not be in memory together; all but the last have ROW_GROUP rows."""

    def write(temp: Path) -> None:
        with pq.ParquetWriter(temp, schema, compression="zstd", write_page_checksum=True, store_schema=True) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=ROW_GROUP)

    publish(path, write)


def read_json(path: Path) -> Any:
    """A JSON file of ours; IntegrityError where it is missing or not JSON, or more than any of ours may be."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError as error:
        raise IntegrityError(f"{path}: no such file.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets within brackets, too
        raise IntegrityError(f"{path}: not readable as JSON ({error}).") from error


def read_json_if_whole(path: Path) -> Any:
    """A JSON file that need not last; None where it is not there yet, or a power cut took what was not on the disk."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


@contextmanager
def told_of(path: Path) -> Iterator[Path]:
    """A JSON file of ours while its fields are taken: IntegrityError that names it where they are not what we write."""
    try:
        yield path
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:  # pydantic's is a ValueError
        said = " ".join(str(error).split())[:200]
        raise IntegrityError(f"{path}: not what m3h writes ({type(error).__name__}: {said}).") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def temp_files(folder: Path) -> Iterator[Path]:
    """What killed writers left behind below `folder`."""
    return folder.rglob(f"{TEMP_PREFIX}*")
