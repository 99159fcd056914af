"""Write the list of pictures in parts. A part has a range of their hashes, so no worker holds all of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection

from m3h.pipeline.dataset.tables import IMAGES, Row
from m3h.pipeline.images.store import ImageRow
from m3h.pipeline.stages.coders import ImageRowCoder
from m3h.schemas.inside import file_in

_ROW = ImageRowCoder()
_BUCKET_DIGITS = 3


@dataclass
class WriteImageList(beam.PTransform[PCollection[ImageRow], PCollection[int]]):
    """Rows -> the files of the list of pictures below `out`, with one row a picture; their numbers of rows.

    Several files can hold the same picture: of its rows the one with the smallest path and URL is kept. The pictures
    are counted by their hashes alone. Then a shuffle takes each row to its part, and the part finds the first row of
    each picture: the rows, which are the larger half of what a build knows of a post, cross only that one shuffle.

    per_part: about how many pictures a file has. masked: whether path and URL must not name a person.
    """

    out: Path
    per_part: int
    masked: bool

    def expand(self, rows: PCollection[ImageRow]) -> PCollection[int]:
        """Count, then group by part, then write. Without rows no file is written."""
        per_part, out, masked = self.per_part, self.out, self.masked

        def with_part(row: ImageRow, count: int) -> Iterator[tuple[str, bytes]]:
            yield IMAGES.part(vars(row), count, per_part), _ROW.encode(row)

        def as_row(data: bytes) -> Row:
            row = _ROW.decode(data)
            return (row.masked() if masked else row).as_row()

        def written(part: tuple[str, Iterable[bytes]]) -> Iterator[int]:
            yield IMAGES.write(file_in(out, part[0]), first_rows(part[1]), as_row)

        count = (
            rows
            | "hash" >> beam.Map(_in_bucket)
            | "by hash" >> beam.GroupByKey()
            | "distinct" >> beam.Map(_distinct)
            | "count" >> beam.CombineGlobally(sum)
        )
        numbers: PCollection[int] = (
            rows
            | "part" >> beam.FlatMap(with_part, count=AsSingleton(count))
            | "by part" >> beam.GroupByKey()
            | "write" >> beam.FlatMap(written)
        )
        return numbers


def _in_bucket(row: ImageRow) -> tuple[str, bytes]:
    return row.image_sha256[:_BUCKET_DIGITS], bytes.fromhex(row.image_sha256)


def _distinct(bucket: tuple[str, Iterable[bytes]]) -> int:
    return len(set(bucket[1]))


def first_rows(rows: Iterable[bytes]) -> Iterable[bytes]:
    """Of each picture's rows, which are encoded, the one with the smallest path and URL."""
    first: dict[str, tuple[tuple[str, str], bytes]] = {}
    for data in rows:
        row = _ROW.decode(data)
        known = first.get(row.image_sha256)
        if known is None or (row.path, row.url) < known[0]:
            first[row.image_sha256] = (row.path, row.url), data
    return (data for _, data in first.values())
