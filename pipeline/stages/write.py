"""Rows to Parquet parts, gathered by part on any worker."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam

from pipeline.parts import Layout, Row
from pipeline.stages.shuffle import pack, unpack
from schemas.files import publish_json


@dataclass
class WriteParts(beam.PTransform):
    """Rows -> out/folder/part-00000-of-00003.parquet, about `per_part` rows each, and how many each has.

    No rows, no file.
    """

    out: Path
    layout: Layout
    per_part: int

    def expand(self, rows: Any) -> Any:
        """Count, then group by part, then write."""
        count = rows | "count" >> beam.combiners.Count.Globally()
        per_part, layout, out = self.per_part, self.layout, self.out
        return (
            rows
            | "part" >> beam.Map(_with_part, layout, per_part, count=beam.pvalue.AsSingleton(count))
            | beam.GroupByKey()
            | "write" >> beam.MapTuple(lambda name, group: layout.write(out / name, group, unpack))
        )


def _with_part(row: Row, layout: Layout, per_part: int, count: int) -> tuple[str, bytes]:
    return layout.part(row, count, per_part), pack(row)


@dataclass
class WriteOne(beam.PTransform):
    """Rows -> one Parquet file, gathered on one worker: for small rows only."""

    path: Path
    layout: Layout

    def expand(self, rows: Any) -> Any:
        """No rows, no file."""
        path, layout = self.path, self.layout
        return (
            rows
            | beam.Map(lambda row: (None, pack(row)))
            | beam.GroupByKey()
            | beam.MapTuple(lambda _, group: layout.write(path, group, unpack))
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
