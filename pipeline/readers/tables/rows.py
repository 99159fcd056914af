"""Rows of a table to posts. What the table's columns are taken for is decided once, by their names."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from m3h.pipeline.readers.fields import Fields, fields_of
from m3h.pipeline.readers.formats import name_of, read_all, read_value
from m3h.pipeline.readers.mapping import FieldMapping
from m3h.pipeline.readers.plain import is_plain, read_plain
from m3h.pipeline.readers.record import JsonObject, RecordFault
from m3h.pipeline.readers.tables.flattened import as_v2, unflattened
from m3h.pipeline.readers.tables.table import BrokenRow, Row, Table
from m3h.schemas.posts import Post

PLAIN = "jsonl"
_BY_NAMES_ALONE = ("twint", "bluesky")
"""Formats that need no nested columns to be told from a plain table."""
_TOLD_BY_VALUE = {"uri": "at://"}
"""What a column holds that a reader knows by its values: Bluesky's posts have addresses, and no other id."""


@dataclass(frozen=True)
class Rows:
    """Rows of a table that follow each other.

    results: their posts, or why there is none. raw: the bytes of a row, by its number among these from 0.
    """

    results: list[Post | RecordFault]
    raw: Callable[[int], bytes]


@dataclass(frozen=True)
class RowReader:
    """Reads the rows of one table.

    table: the table. forced: the format that all records have; "" where the columns tell. mapping: of fields.
    """

    table: Table
    forced: str
    mapping: FieldMapping

    @property
    def format(self) -> str:
        """The format whose reader takes the rows."""
        if self.forced or self.mapping:
            return self.forced or PLAIN
        names, nested = self.table.names, self.table.nested
        told = {} if self.mapping.finds_post(names) else _TOLD_BY_VALUE
        found = name_of(unflattened(names, [{} if name in nested else told.get(name, "x") for name in names]))
        if nested or any("." in name for name in names) or found in _BY_NAMES_ALONE:
            return found or PLAIN
        return PLAIN

    @property
    def fields(self) -> Fields:
        """What the columns of a plain table are taken for."""
        return fields_of(self.table.names)

    @property
    def fault(self) -> RecordFault | None:
        """Why no row can be read, if none can."""
        names = self.table.names
        if self.format != PLAIN or self.forced or self.mapping.finds_post(names):
            return None
        listed = ", ".join(name for name in names if name)
        return RecordFault("unknown_columns", f"read.fields tells what they are: {listed}")

    def batches(self, *, whole: bool) -> Iterator[Rows]:
        """All rows in order.

        Args:
            whole: Whether the bytes of rows are wanted. Otherwise only the columns are read that posts come from.
        """
        plain = self.format == PLAIN and not self.mapping
        wanted = self.fields.used if plain and not whole else self.table.names
        for batch in self.table.batches(wanted):
            rows = [row for row in batch if not isinstance(row, RecordFault)]
            results = self._plain(rows, wanted) if plain else self._others(rows)
            if len(results) < len(batch):
                found = iter(results)
                results = [row if isinstance(row, RecordFault) else next(found) for row in batch]
            yield Rows(results, partial(self._raw, batch))

    def _plain(self, rows: Sequence[Sequence[Any]], wanted: Sequence[str]) -> list[Post | RecordFault]:
        return read_all((dict(zip(wanted, row, strict=True)) for row in rows), partial(read_plain, fields=self.fields))

    def _others(self, rows: Sequence[Sequence[Any]]) -> list[Post | RecordFault]:
        if self.mapping:
            return read_all(map(self._record, rows), self.mapping.read)
        name = self.format
        return [read_value(self._nested_record(row, name), name)[0] for row in rows]

    def _record(self, row: Sequence[Any]) -> JsonObject:
        return dict(zip(self.table.names, row, strict=True))

    def _nested_record(self, row: Sequence[Any], format_: str) -> JsonObject:
        record = unflattened(self.table.names, row)
        return as_v2(record) if format_ == "v2" else record

    def _raw(self, batch: Sequence[Row], number: int) -> bytes:
        """A row as one line of JSON, which is a record of a dump itself."""
        row = batch[number]
        if isinstance(row, RecordFault):
            return row.raw if isinstance(row, BrokenRow) else b""
        if self.format != PLAIN:
            record = self._nested_record(row, self.format)
        else:
            record = self._record(row) if self.mapping else self._plain_record(row)
        return json.dumps(record, ensure_ascii=False, default=_in_json).encode("utf-8", "surrogatepass")

    def _plain_record(self, row: Sequence[Any]) -> JsonObject:
        """With the names that show a plain record among others, where the table has other ones."""
        record = self._record(row)
        if is_plain(record):
            return record
        usual = {name: part for part in ("text", "id") for name in getattr(self.fields, part)[:1]}
        return {**{usual.get(name, name): value for name, value in record.items()}, "image": record.get("image")}


def _in_json(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
