"""Dump files to Posts, broken records to `dropped`, and the number of records, so that a loss would be noticed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection, TaggedOutput
from apache_beam.transforms.combiners import ToList
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.groups import Verdict
from m3h.pipeline.dataset.suppression_list import MASKED, NOBODY, SuppressionList, names_of
from m3h.pipeline.images.embedded import Embedded
from m3h.pipeline.images.zip_pictures import pictures_in
from m3h.pipeline.readers.dumps import DumpFile, OnBytes, read_with_parts
from m3h.pipeline.readers.formats import CMKP
from m3h.pipeline.readers.record import Part
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.stages.parts import ApplyParts
from m3h.pipeline.stages.progress import Reporter
from m3h.pipeline.stages.routing import DROPPED, KEEP, DroppedOutput, Route, route
from m3h.schemas.posts import Dropped, Post

READY: Final = "ready"
TALLY: Final = "tally"
CHAINS: Final = "chains"
PARTS: Final = "parts"
UNREAD: Final = "unread"

ReadyOutput = TaggedOutput[Literal["ready"], Post]
TallyOutput = TaggedOutput[Literal["tally"], tuple[str, int]]
ChainOutput = TaggedOutput[Literal["chains"], tuple[str, ...]]
PartOutput = TaggedOutput[Literal["parts"], Part]
UnreadOutput = TaggedOutput[Literal["unread"], tuple[str, int]]


class Read(NamedTuple):
    """What dumps hold: Posts to clean, Posts that are clean already, Dropped, (name, records) of each dump, and unread
    fields with the number of posts.
    """

    keep: PCollection[Post]
    ready: PCollection[Post]
    dropped: PCollection[Dropped]
    tally: PCollection[tuple[str, int]]
    unread: PCollection[tuple[str, int]]


def read_file(
    dump: DumpFile,
    rules: ReadRules,
    forgotten: SuppressionList,
    embedded: Embedded,
    *,
    progress: Path | None = None,
) -> Iterator[Post | DroppedOutput | ReadyOutput | TallyOutput | ChainOutput | PartOutput | UnreadOutput]:
    """Read one dump.

    Args:
        dump: the file.
        rules: the limits for lines and records.
        forgotten: records of which only the number is kept.
        embedded: where pictures go that the dump itself holds.
        progress: folder of the run's tallies, None for no tally.

    Yields:
        Its Posts, those of a released dataset under `ready`; Dropped; (dump name, records) under `tally`; (field, posts
        in which it could not be read) under `unread`; what its records say of other posts under `parts`; and, where
        something is to be forgotten, the ids of the versions of each edited post under `chains`.
    """
    unread: Counter[str] = Counter()
    records, open_bytes, reporter = 0, dump.size(), Reporter("read", progress)

    def watch(size: int) -> None:
        nonlocal open_bytes
        open_bytes -= size
        reporter.add(bytes=size)

    for record, parts in _with_pictures(dump, rules, watch, embedded.max_bytes):
        records += 1
        for part in parts:
            brought: PartOutput = TaggedOutput(PARTS, part)
            yield brought
        if forgotten.hashes and record.versions:
            chain: ChainOutput = TaggedOutput(CHAINS, names_of(record))
            yield chain
        item = MASKED if forgotten.holds(record) else record
        if isinstance(item, Post):
            unread.update(item.unread)
        if dump.format == CMKP and isinstance(item, Post):
            ready: ReadyOutput = TaggedOutput(READY, item)
            yield ready
        else:
            yield from route(embedded.set_aside(item) if isinstance(item, Post) else item)
    watch(max(0, open_bytes))  # the rest of a damaged file, which is not read
    reporter.end()
    tally: TallyOutput = TaggedOutput(TALLY, (dump.name, records))
    yield tally
    for field in unread.items():
        unreadable: UnreadOutput = TaggedOutput(UNREAD, field)
        yield unreadable


def _with_pictures(
    dump: DumpFile, rules: ReadRules, watch: OnBytes, max_bytes: int
) -> Iterator[tuple[Post | Dropped, tuple[Part, ...]]]:
    """The records of a dump, with the pictures that lie beside them in a zip archive."""
    with pictures_in(dump, max_bytes) as pictures:
        for record, parts in read_with_parts(dump, rules, watch, max_picture_bytes=max_bytes):
            yield pictures.added_to(record) if pictures and isinstance(record, Post) else record, parts


@dataclass
class ReadDumps(beam.PTransform[PCollection[DumpFile], Read]):
    """DumpFiles -> what they hold.

    embedded: where pictures go that the dumps themselves hold. forgotten: records of which only the number is kept.
    progress: folder of the run's tallies, None for none.
    """

    rules: ReadRules
    embedded: Embedded
    forgotten: SuppressionList = NOBODY
    progress: Path | None = None

    @no_annotations
    def expand(self, dumps: PCollection[DumpFile]) -> Read:
        """One task for each file, which reads its records one after the other."""
        reading = beam.FlatMap(read_file, self.rules, self.forgotten, self.embedded, progress=self.progress)
        out = dumps | reading.with_outputs(DROPPED, READY, TALLY, UNREAD, CHAINS, PARTS, main=KEEP)
        read = Read(out[KEEP], out[READY], out[DROPPED], out[TALLY], out[UNREAD])
        if self.forgotten.hashes:
            read = self._without_versions(read, out[CHAINS])
        applied = (read.keep, out[PARTS]) | "parts" >> ApplyParts()
        dropped = (read.dropped, applied.dropped) | "with deleted" >> beam.Flatten()
        return read._replace(keep=applied.keep, dropped=dropped)

    def _without_versions(self, read: Read, chains: PCollection[tuple[str, ...]]) -> Read:
        """Mask the other versions of forgotten posts too: one record knows of the edit, another one may not."""
        forgotten = self.forgotten
        gone = AsSingleton(chains | "chains" >> ToList() | "versions" >> beam.Map(forgotten.chains))

        def withheld(record: Post | Dropped, gone: frozenset[str]) -> Post | Dropped:
            return record if gone.isdisjoint(names_of(record)) else MASKED

        kept = read.keep | "of posts" >> beam.Map(withheld, gone).with_output_types(Verdict) | "route" >> Route()
        dropped = read.dropped | "of dropped" >> beam.Map(withheld, gone).with_output_types(Dropped)
        all_dropped = (kept.dropped, dropped) | "all dropped" >> beam.Flatten()
        return read._replace(keep=kept.keep, dropped=all_dropped)
