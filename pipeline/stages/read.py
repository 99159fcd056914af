"""Dump files to Posts; broken records to `dropped`; and a tally, so that nothing can be lost unseen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.forgotten import NOBODY, Forgotten
from pipeline.readers.dumps import DumpFile, read_dump
from pipeline.readers.formats import CMKP
from pipeline.rules import ReadRules
from pipeline.stages.doors import DROPPED, KEEP, route

READY, TALLY = "ready", "tally"


def read_file(dump: DumpFile, rules: ReadRules, forgotten: Forgotten) -> Iterator[Any]:
    """Posts of one dump, those of a released dataset under `ready`, and (dump name, records) under `tally`."""
    records = 0
    for item in forgotten.masked(read_dump(dump, rules)):
        records += 1
        ready = dump.format == CMKP and not hasattr(item, "reason")
        yield from [TaggedOutput(READY, item)] if ready else route(item)
    yield TaggedOutput(TALLY, (dump.name, records))


@dataclass
class ReadDumps(beam.PTransform):
    """DumpFile -> Posts to clean (`keep`), Posts that are clean already (`ready`), Dropped, and tallies.

    forgotten: records of which nothing but their number goes on.
    """

    rules: ReadRules
    forgotten: Forgotten = NOBODY

    def expand(self, dumps: Any) -> Any:
        """One task a file; a file's records stream through it."""
        return dumps | beam.FlatMap(read_file, self.rules, self.forgotten).with_outputs(
            DROPPED, READY, TALLY, main=KEEP
        )
