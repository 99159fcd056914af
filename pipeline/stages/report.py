"""How far a stage is, as counters of Beam and as a tally for whoever watches: the only place where stages report."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from pipeline.memory import give_back
from pipeline.tally import Count, tally_of
from schemas.posts import Dropped

NAMESPACE = "m3h"
"""Of all our counters: STAGE.rows, STAGE.copied, and STAGE.dropped.REASON."""

TELL_SECONDS = 0.2


class Reporter:
    """Tells of one stage, from a bundle under way. progress: folder of the run's tallies, None where nobody watches."""

    def __init__(self, stage: str, progress: Path | None) -> None:
        self._stage = stage
        self._progress = progress
        self._more = Count()
        self._told = time.monotonic()

    def begin(self) -> None:
        """The stage has work."""
        if self._progress is not None:
            tally_of(self._progress).add(self._stage, Count(began=time.time()))

    def add(
        self, rows: int = 0, dropped: Iterable[str] = (), copied: int = 0, expected: int = 0, bytes: int = 0
    ) -> None:
        """Some rows are through, told now and then. dropped: of those among them that left, the reasons."""
        more = self._more
        more.rows += rows
        more.copied += copied
        more.expected += expected
        more.bytes += bytes
        more.dropped.update(dropped)
        if time.monotonic() - self._told > TELL_SECONDS:
            self.tell()

    def tell(self) -> None:
        """All that was added since the last time."""
        more, self._more, self._told = self._more, Count(), time.monotonic()
        if more == Count():
            return
        numbers = {"rows": more.rows, "copied": more.copied}
        for name, number in {**numbers, **{f"dropped.{why}": n for why, n in more.dropped.items()}}.items():
            if number:
                Metrics.counter(NAMESPACE, f"{self._stage}.{name}").inc(number)
        if self._progress is not None:
            more.began = more.ended = time.time()
            tally_of(self._progress).add(self._stage, more)

    def end(self) -> None:
        """The bundle ends: what was added is to be seen, however long nothing more comes; its memory is given back."""
        self.tell()
        give_back()
        if self._progress is not None:
            tally_of(self._progress).flush()


def one(_: Any) -> int:
    """An element counts for itself."""
    return 1


@dataclass
class Report(beam.PTransform):
    """Elements -> the same elements, told of as they go by; those that are Dropped with their reason.

    opens: whether the stage begins when this gets work, or only with the first row. size: what an element counts
    for; what: among rows, or among those that are only expected.
    """

    stage: str
    progress: Path | None = None
    opens: bool = True
    size: Callable[[Any], int] = one
    what: str = "rows"

    def expand(self, elements: Any) -> Any:
        """Fused with what made the elements, so that it tells while that works."""
        return elements | beam.ParDo(_Reporting(self))


class _Reporting(beam.DoFn):
    def __init__(self, report: Report) -> None:
        self._report = report

    def start_bundle(self) -> None:
        self._reporter = Reporter(self._report.stage, self._report.progress)
        if self._report.opens:
            self._reporter.begin()

    def process(self, element: Any) -> Iterable[Any]:
        reasons = (element.reason,) if isinstance(element, Dropped) else ()
        self._reporter.add(dropped=reasons, **{self._report.what: self._report.size(element)})
        return (element,)

    def finish_bundle(self) -> None:
        self._reporter.end()
