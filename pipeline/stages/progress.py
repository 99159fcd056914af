"""Stages report their progress here: to Beam's counters and to the tallies of the run."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection

from m3h.pipeline.progress.counts import Count, tally_of
from m3h.pipeline.progress.stage import NAMESPACE
from m3h.pipeline.runtime.memory import trim_memory
from m3h.schemas.posts import Dropped

REPORT_SECONDS = 0.2

T = TypeVar("T")


class Reporter:
    """Reports the progress of one stage from within a bundle. progress: folder of the run's tallies, None for none."""

    def __init__(self, stage: str, progress: Path | None) -> None:
        self._stage = stage
        self._progress = progress
        self._counts = Count()
        self._reported_at = time.monotonic()

    def begin(self) -> None:
        """Report that the stage has work."""
        if self._progress is not None:
            tally_of(self._progress).add(self._stage, Count(began=time.time()))

    def add(
        self, rows: int = 0, *, dropped: Iterable[str] = (), copied: int = 0, expected: int = 0, bytes: int = 0
    ) -> None:
        """Add to the counts. They are passed on a few times a second.

        Args:
            rows: how many rows are finished, kept or dropped.
            dropped: the reasons of those among them that were dropped.
            copied: rows that were known already; they are not among `rows`.
            expected: rows that will come.
            bytes: how many bytes of a dump were read.
        """
        counts = self._counts
        counts.rows += rows
        counts.copied += copied
        counts.expected += expected
        counts.bytes += bytes
        counts.dropped.update(dropped)
        if time.monotonic() - self._reported_at > REPORT_SECONDS:
            self.pass_on()

    def pass_on(self) -> None:
        """Report all that was added since the last time."""
        counts, self._counts, self._reported_at = self._counts, Count(), time.monotonic()
        if counts == Count():
            return
        numbers = {"rows": counts.rows, "copied": counts.copied}
        for name, number in {**numbers, **{f"dropped.{why}": n for why, n in counts.dropped.items()}}.items():
            if number:
                Metrics.counter(NAMESPACE, f"{self._stage}.{name}").inc(number)
        if self._progress is not None:
            counts.began = counts.ended = time.time()
            tally_of(self._progress).add(self._stage, counts)

    def end(self) -> None:
        """At the end of a bundle: report what is left, and give freed memory back to the system."""
        self.pass_on()
        trim_memory()
        if self._progress is not None:
            tally_of(self._progress).flush()


def count_once(_: object) -> int:
    """The size of any element: 1."""
    return 1


@dataclass
class Report(beam.PTransform[PCollection[T], PCollection[T]]):
    """Elements -> the same elements, which are counted. A Dropped is counted by its reason, too.

    opens: whether the stage begins when this transform gets work; otherwise it begins with the first row. size: the
    number of rows that an element counts as. what: the count that grows, `rows` or `expected`.
    """

    stage: str
    progress: Path | None = None
    opens: bool = True
    size: Callable[[Any], int] = count_once
    what: str = "rows"

    def expand(self, elements: PCollection[T]) -> PCollection[T]:
        """Beam fuses this with the transform that makes the elements, so that it reports while that one works."""
        same: PCollection[T] = elements | beam.ParDo(_Reporting(self))
        return same


class _Reporting(beam.DoFn):
    def __init__(self, report: Report[Any]) -> None:
        self._report = report

    def start_bundle(self) -> None:
        self._reporter = Reporter(self._report.stage, self._report.progress)
        if self._report.opens:
            self._reporter.begin()

    def process(self, element: T) -> Iterable[T]:
        reasons = (element.reason,) if isinstance(element, Dropped) else ()
        self._reporter.add(dropped=reasons, **{self._report.what: self._report.size(element)})
        return (element,)

    def finish_bundle(self) -> None:
        self._reporter.end()
