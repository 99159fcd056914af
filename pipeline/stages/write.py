"""Rows to Parquet parts whose bytes depend on the rows alone."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from schemas.files import publish_json, publish_table

Row = dict[str, Any]


def part_of(row: Row, keys: tuple[str, ...], parts: int) -> int:
    """Which part a row lies in: by the hash of its key, so neither order nor workers matter."""
    text = "\t".join(str(row[key]) for key in keys)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % parts


def write_part(path: Path, rows: Iterable[Row], schema: pa.Schema, order: tuple[str, ...]) -> None:
    """One file, its rows sorted by `order`."""
    ordered = sorted(rows, key=lambda row: tuple(row[key] for key in order))
    publish_table(path, pa.Table.from_pylist(ordered, schema=schema))


@dataclass
class WriteParts(beam.PTransform):
    """Rows -> folder/part-00000-of-00003.parquet, about `per_part` rows each; no rows, no file.

    order: columns that make the order of rows total; the first ones given also choose a row's part.
    """

    folder: Path
    schema: pa.Schema
    order: tuple[str, ...]
    per_part: int

    def expand(self, rows: Any) -> Any:
        """Count, then group by part, then write."""
        count = rows | "count" >> beam.combiners.Count.Globally()
        per_part, order, schema, folder = self.per_part, self.order, self.schema, self.folder
        return (
            rows
            | "part" >> beam.Map(_with_part, order, per_part, count=beam.pvalue.AsSingleton(count))
            | beam.GroupByKey()
            | "write" >> beam.MapTuple(lambda part, group: write_part(folder / part, group, schema, order))
        )


def _with_part(row: Row, order: tuple[str, ...], per_part: int, count: int) -> tuple[str, Row]:
    parts = max(1, -(-count // per_part))
    return f"part-{part_of(row, order, parts):05d}-of-{parts:05d}.parquet", row


@dataclass
class WriteOne(beam.PTransform):
    """Rows -> one Parquet file, gathered on one worker: for small rows only."""

    path: Path
    schema: pa.Schema
    order: tuple[str, ...]

    def expand(self, rows: Any) -> Any:
        """No rows, no file."""
        path, schema, order = self.path, self.schema, self.order
        return (
            rows
            | beam.WithKeys(lambda _: None)
            | beam.GroupByKey()
            | beam.MapTuple(lambda _, group: write_part(path, group, schema, order))
        )


@dataclass
class WriteJson(beam.PTransform):
    """(key, value) pairs -> one JSON object, values of a key combined."""

    path: Path
    combine: Callable[[Iterable[Any]], Any]

    def expand(self, pairs: Any) -> Any:
        """Gathered on one worker: for small things only."""
        path = self.path
        return (
            pairs
            | beam.CombinePerKey(self.combine)
            | beam.combiners.ToList()
            | beam.Map(lambda items: publish_json(path, dict(items)))
        )
