"""Files that are either whole or absent: hashing, and writing by temp file, fsync and rename."""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from m3h.schemas.errors import IntegrityError, MachineError
from m3h.schemas.inside import walk
from m3h.schemas.machine import fault_message, number_of

if TYPE_CHECKING:  # most commands that read JSON need no pyarrow, which takes half a second
    import pyarrow as pa

TEMP_PREFIX = ".tmp-"
_NAME_KEPT = 50
"""Characters of a file's name that its temp file ends with, 200 bytes at most: a name may be as long as disks allow."""


def user_cache(name: str) -> Path:
    """The folder `m3h/NAME` in the user's cache: $XDG_CACHE_HOME, or ~/.cache. It may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "m3h" / name


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def publish(path: Path, write: Callable[[Path], None], lasting: bool = True) -> None:
    """Let `write` fill a temp file beside `path`, then move it to `path` in one step.

    A killed process leaves the old file, or none, or the new one, but never half of it.

    Args:
        path: The file to write. Its folder is made where it is missing.
        write: Fills the file at the path it is given.
        lasting: Whether the file must survive a power cut as well.

    Raises:
        MachineError: The file cannot be written.
    """
    try:
        _publish(path, write, lasting)
    except Exception as error:  # each library wraps the system's error in an exception of its own
        if number := number_of(error):
            raise MachineError(fault_message(number, path)) from error
        raise


def _publish(path: Path, write: Callable[[Path], None], lasting: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(f"{TEMP_PREFIX}{uuid.uuid4().hex}-{path.name[-_NAME_KEPT:]}")
    try:
        write(temp)
        if lasting:
            with open(temp, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(temp, path)
    finally:
        with suppress(OSError):  # a folder that has become read-only raises a clearer error above
            temp.unlink(missing_ok=True)
    if lasting:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself survives a power cut
        finally:
            os.close(folder)


def publish_bytes(path: Path, data: bytes, lasting: bool = True) -> None:
    """Write a file of these bytes, as `publish` does.

    Args:
        path: The file to write.
        data: Its bytes.
        lasting: Whether the file must survive a power cut as well.

    Raises:
        MachineError: The file cannot be written.
    """

    def write(temp: Path) -> None:
        temp.write_bytes(data)

    publish(path, write, lasting)


def publish_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, as `publish` does."""
    publish_bytes(path, text.encode("utf-8"))


def json_text(value: object) -> str:
    """JSON with indentation and sorted keys: stable and readable."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def publish_json(path: Path, value: object) -> None:
    """Write `value` as `json_text`, as `publish` does."""
    publish_text(path, json_text(value))


ROW_GROUP = 10_000
"""Rows of a Parquet file that are compressed together."""


def publish_table(path: Path, table: "pa.Table") -> None:
    """Write a Parquet file whose bytes depend only on the rows: one compression, one row-group size, page checksums."""
    publish_tables(path, table.schema, [table])


def publish_tables(path: Path, schema: "pa.Schema", tables: Iterable["pa.Table"]) -> None:
    """As `publish_table`, for rows that need not be in memory together.

    Args:
        path: The file to write.
        schema: Of every table.
        tables: The rows in order. All tables but the last have ROW_GROUP rows.

    Raises:
        MachineError: The file cannot be written.
    """

    import pyarrow.parquet as pq

    def write(temp: Path) -> None:
        with pq.ParquetWriter(temp, schema, compression="zstd", write_page_checksum=True, store_schema=True) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=ROW_GROUP)

    publish(path, write)


def read_json(path: Path) -> Any:
    """The value of one of our JSON files.

    Raises:
        IntegrityError: The file is missing, is not JSON, or is larger or deeper than Python can parse.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError(f"{path}: no such file.") from error
    return parsed_json(data, path)


def parsed_json(data: bytes, path: Path) -> Any:
    """The value of the bytes of one of our JSON files.

    Raises:
        IntegrityError: They are not JSON, or larger or deeper than Python can parse. The message names `path`.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # also thousands of digits, or brackets nested too deeply
        raise IntegrityError(f"{path}: not readable as JSON ({error}).") from error


def read_json_if_whole(path: Path) -> Any:
    """A JSON file written with `lasting=False`. None where it is not there yet, or a power cut destroyed it."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


@contextmanager
def validating(path: Path) -> Iterator[Path]:
    """Wraps the code that takes the fields of one of our JSON files.

    Raises:
        IntegrityError: A field is missing or not what we write. The message names the file.
    """
    try:
        yield path
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:  # pydantic's is a ValueError
        message = " ".join(str(error).split())[:200]
        raise IntegrityError(f"{path}: not what m3h writes ({type(error).__name__}: {message}).") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def temp_files(folder: Path) -> Iterator[Path]:
    """The temp files that killed processes left below `folder`."""
    return (path for path in walk(folder) if path.name.startswith(TEMP_PREFIX))
