"""Reads Parquet, and Arrow's files and streams (Feather too), a few rows of the wanted columns at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import Unreadable
from m3h.pipeline.readers.tables.table import BATCH, Row, Table

PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
"""How the files begin."""
_BATCH_OF_PICTURES = 16
_PAGE = 1 << 20
"""Bytes that are read at a time of each column of a Parquet file, whose groups of rows may be large."""


def parquet_table(path: Path) -> Table:
    """The table of a Parquet file. Unreadable where the file is damaged."""
    with _readable(), pq.ParquetFile(path) as file:
        names = _names(file.schema_arrow)
        nested = _nested(file.schema_arrow)
    return Table("Parquet", names, partial(_batches, partial(_parquet_batches, path)), nested)


def arrow_table(path: Path, *, is_stream: bool) -> Table:
    """The table of an Arrow file (Feather, Hugging Face datasets) or stream. Unreadable where the file is damaged."""
    with _readable(), pa.memory_map(str(path)) as file:
        schema = (pa.ipc.open_stream if is_stream else pa.ipc.open_file)(file).schema
        names, nested = _names(schema), _nested(schema)
    batches = partial(_stream_batches if is_stream else _file_batches, path)
    kind = f"Arrow {'stream' if is_stream else 'file'}"
    return Table(kind, names, partial(_batches, batches), nested)


def _names(schema: pa.Schema) -> tuple[str, ...]:
    names = tuple(schema.names)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Unreadable(f"several columns are named {', '.join(twice)}: rename all but one of each")
    return names


def _nested(schema: pa.Schema) -> tuple[str, ...]:
    return tuple(field.name for field in schema if pa.types.is_nested(field.type))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # a name of a column may be damaged too
        raise Unreadable(" ".join(str(error).split())) from error


def _parquet_batches(path: Path, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, buffer_size=_PAGE, pre_buffer=False) as file:
        size = _batch_size(file.schema_arrow, wanted)
        yield from file.iter_batches(size, columns=list(wanted), use_threads=False)


def _file_batches(path: Path, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        for number in range(file.num_record_batches):
            yield from _slices(file.get_batch(number), wanted)


def _stream_batches(path: Path, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as file:
        for batch in file:
            yield from _slices(batch, wanted)


def _slices(batch: pa.RecordBatch, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    chosen = batch.select(list(wanted))
    for column in chosen.columns:
        _check(column)
    size = _batch_size(batch.schema, wanted)
    return (chosen.slice(start, size) for start in range(0, chosen.num_rows, size))


def _batch_size(schema: pa.Schema, wanted: Sequence[str]) -> int:
    """How many rows are held at a time: fewer where they may hold pictures."""
    has_bytes = any("binary" in str(schema.field(name).type) for name in wanted)
    return _BATCH_OF_PICTURES if has_bytes else BATCH


def _check(column: pa.Array) -> None:
    """ArrowInvalid where offsets lead out of a column. Texts that are not UTF-8 cost only their rows."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error) or pa.types.is_nested(column.type):
            raise


def _batches(read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]], wanted: Sequence[str]) -> Iterator[list[Row]]:
    with _readable():
        for batch in read(wanted):
            yield _rows([_values(column) for column in batch.columns])


def _rows(columns: list[list[Any]]) -> list[Row]:
    rows = list(zip(*columns, strict=True))
    if any(isinstance(value, RecordFault) for column in columns for value in column):
        return [next((value for value in row if isinstance(value, RecordFault)), row) for row in rows]
    return [*rows]


def _values(column: pa.Array) -> list[Any]:
    """The values of a column as Python's own: dates as ISO 8601, exact decimal numbers as text."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _values(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        return _dates(column)
    if pa.types.is_decimal(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return _values(column.cast(pa.string()))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view():
        return _texts(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return list(map(_written_text, column.to_pylist()))
    try:
        values: list[Any] = column.to_pylist()
    except (
        ValueError,
        OverflowError,
        pa.ArrowException,
    ):  # inside a list, text that is not UTF-8; dates that no calendar has
        values = [_value(cell) for cell in column]
    return values


def _written_text(value: bytes | None) -> str | bytes | None:
    """Bytes that are a text as that text: Impala, Hive and others do not mark texts as such. A picture never is one."""
    try:
        return value and value.decode()
    except UnicodeDecodeError:
        return value


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError as error:
        return RecordFault("not_utf8", str(error))
    except (ValueError, OverflowError):
        return str(cell)


def _dates(column: pa.Array) -> list[str | None]:
    """`2019-01-03T10:00:00`, with `+00:00` behind it where the column has a time zone."""
    zone = "" if column.type.tz is None else "+00:00"
    texts = column.cast(pa.timestamp("s"), safe=False).cast(pa.string()).to_pylist()
    return [None if text is None else f"{text.replace(' ', 'T')}{zone}" for text in texts]


def _texts(column: pa.Array) -> list[str | RecordFault | None]:
    """Texts; where one is not UTF-8, a fault stands in its place."""
    try:
        return column.to_numpy(zero_copy_only=False).tolist()
    except (UnicodeDecodeError, pa.ArrowException):
        return [None if value is None else _text(value) for value in column.cast(pa.large_binary()).to_pylist()]


def _text(value: bytes) -> str | RecordFault:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        return RecordFault("not_utf8", str(error))
