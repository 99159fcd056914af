"""Write records to Parquet files. The rows of a file are gathered on one worker."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms.combiners import Count, ToList

from m3h.pipeline.dataset.tables import Layout, Row
from m3h.pipeline.stages.coders import pack, unpack
from m3h.schemas.files import publish_json
from m3h.schemas.inside import file_in

T = TypeVar("T")


@dataclass
class WriteParts(beam.PTransform[PCollection[T], PCollection[int]]):
    """Records -> files such as out/folder/part-00000-of-00003.parquet, of about `per_part` rows; their counts.

    row: makes the row of a record. Without records no file is written. All records must be counted first; until then
    they are held as records, because these are smaller than rows.
    """

    out: Path
    layout: Layout
    per_part: int
    row: Callable[[T], Row]

    def expand(self, records: PCollection[T]) -> PCollection[int]:
        """Count, then group by part, then write."""
        per_part, layout, out, row_of = self.per_part, self.layout, self.out, self.row

        def with_part(record: T, count: int) -> Iterator[tuple[str, bytes]]:
            row = row_of(record)
            yield layout.part(row, count, per_part), packed_row(row, layout)

        def written(part: tuple[str, Iterable[bytes]]) -> Iterator[int]:
            yield layout.write(file_in(out, part[0]), part[1], lambda data: unpacked_row(data, layout))

        count = records | "count" >> Count.Globally()
        numbers: PCollection[int] = (
            records
            | "part" >> beam.FlatMap(with_part, count=AsSingleton(count))
            | beam.GroupByKey()
            | "write" >> beam.FlatMap(written)
        )
        return numbers


def packed_row(row: Row, layout: Layout) -> bytes:
    """Pack the values of a row. All rows of a file are in memory until it is written, so they are kept small."""
    return pack([row[name] for name in layout.schema.names])


def unpacked_row(data: bytes, layout: Layout) -> Row:
    """Inverse of `packed_row`."""
    return dict(zip(layout.schema.names, unpack(data), strict=True))


@dataclass
class WriteJson(beam.PTransform[PCollection[tuple[str, Any]], PCollection[None]]):
    """(key, value) pairs -> one JSON object; the values of a key are combined."""

    path: Path
    combine: Callable[[Iterable[Any]], Any]

    def expand(self, pairs: PCollection[tuple[str, Any]]) -> PCollection[None]:
        """All pairs are gathered on one worker; for small ones only."""
        path = self.path

        def publish(items: list[Any]) -> None:
            publish_json(path, dict(items))

        done: PCollection[None] = (
            pairs | "combine" >> beam.CombinePerKey(self.combine) | "together" >> ToList() | beam.Map(publish)
        )
        return done
