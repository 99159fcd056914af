"""Dump files to Posts; broken records to `dropped`; and a tally, so that nothing can be lost unseen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.forgotten import NOBODY, Forgotten
from pipeline.readers.dumps import DumpFile, read_dump
from pipeline.readers.formats import CMKP
from pipeline.rules import ReadRules
from pipeline.stages.doors import DROPPED, KEEP, route
from pipeline.stages.report import Reporter

READY, TALLY = "ready", "tally"


def read_file(dump: DumpFile, rules: ReadRules, forgotten: Forgotten, progress: Path | None = None) -> Iterator[Any]:
    """Posts of one dump, those of a released dataset under `ready`, and (dump name, records) under `tally`.

    progress: where is told how much of the file was read.
    """
    records, open_bytes, reporter = 0, dump.size(), Reporter("read", progress)

    def watch(size: int) -> None:
        nonlocal open_bytes
        open_bytes -= size
        reporter.add(bytes=size)

    for item in forgotten.masked(read_dump(dump, rules, watch)):
        records += 1
        ready = dump.format == CMKP and not hasattr(item, "reason")
        yield from [TaggedOutput(READY, item)] if ready else route(item)
    watch(max(0, open_bytes))  # what nobody reads of a damaged file
    reporter.end()
    yield TaggedOutput(TALLY, (dump.name, records))


@dataclass
class ReadDumps(beam.PTransform):
    """DumpFile -> Posts to clean (`keep`), Posts that are clean already (`ready`), Dropped, and tallies.

    forgotten: records of which nothing but their number goes on. progress: where is told how far it is.
    """

    rules: ReadRules
    forgotten: Forgotten = NOBODY
    progress: Path | None = None

    def expand(self, dumps: Any) -> Any:
        """One task a file; a file's records stream through it."""
        return dumps | beam.FlatMap(read_file, self.rules, self.forgotten, self.progress).with_outputs(
            DROPPED, READY, TALLY, main=KEEP
        )
