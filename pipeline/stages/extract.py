"""Runs shard tasks of any registered extractor: the only place where Beam and the engine meet."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import apache_beam as beam

from pipeline.earlier import Earlier
from pipeline.engine import Receipt, ShardTask, Work, finished, run_shards
from pipeline.extractors import extractor_class
from pipeline.extractors.base import Extractor
from pipeline.image_list import ImageList
from pipeline.stages.report import Reporter
from schemas.config import Settings
from schemas.errors import UsageError
from schemas.features import Row
from schemas.posts import Dropped


@dataclass(frozen=True)
class ExtractJob:
    """What every task of a run shares.

    dataset: where pictures and earlier shards lie; out: where new shards wait to be installed.
    images: the dataset's. earlier: by feature. progress: folder of the run's tallies.
    """

    dataset: Path
    out: Path
    images: ImageList
    receipts: Path
    settings: Mapping[str, Settings]
    earlier: Mapping[str, Earlier]
    progress: Path | None = None

    def receipt(self, task: ShardTask) -> Path:
        """Where a task's receipt lies."""
        return self.receipts / task.feature / task.fingerprint / f"{task.index:05d}.json"

    def done(self, task: ShardTask, images: Sequence[str]) -> Receipt | None:
        """What became of a task that is done, None of one that is not."""
        return finished(self.receipt(task), (self.out, self.dataset), images)


def grouped(tasks: Iterable[ShardTask], accelerated: Mapping[str, bool], workers: int) -> list[tuple[ShardTask, ...]]:
    """What is done in one go: features of the same images share their decoding, unless that left a worker idle.

    accelerated: by feature; what a GPU computes never waits for what it does not.
    """
    groups: dict[tuple[int, bool], list[ShardTask]] = defaultdict(list)
    for task in tasks:
        groups[task.index, accelerated[task.feature]].append(task)
    together = [tuple(group) for group in groups.values()]
    return together if len(together) >= workers else [(task,) for group in together for task in group]


@dataclass
class ExtractShards(beam.PTransform):
    """Groups of ShardTasks -> nothing; shards and receipts are files. A finished shard costs one checksum.

    hinted: say what memory and accelerators are needed; Beam starts worker processes of their own for what says so.
    """

    job: ExtractJob
    extractors: Sequence[Extractor]
    hinted: bool = True

    def expand(self, groups: Any) -> Any:
        """What computes on a GPU is placed apart from what does not, where the runner heeds such hints."""
        gpu = {e.spec.name: e.accelerated for e in self.extractors}
        return [
            groups
            | f"{label} groups" >> beam.Filter(lambda group, on=on: gpu[group[0].feature] == on)
            | f"extract on {label}" >> self._extract(on)
            for label, on in (("CPU", False), ("GPU", True))
            if on in gpu.values()
        ]

    def _extract(self, on_gpu: bool) -> beam.PTransform:
        mine = [e for e in self.extractors if e.accelerated == on_gpu]
        hints = {"min_ram": f"{sum(e.memory_gb for e in mine):g}GB"}
        named = sorted({e.settings.accelerator for e in mine if on_gpu and e.settings.accelerator})
        if len(named) > 1:
            raise UsageError(f"features: expected one accelerator for all that run together, found {', '.join(named)}.")
        if named:
            hints["accelerator"] = named[0]
        extract = beam.ParDo(ExtractShard(self.job))
        return extract.with_resource_hints(**hints) if self.hinted else extract


class ExtractShard(beam.DoFn):
    """Does the shards of one group unless they are done."""

    def __init__(self, job: ExtractJob) -> None:
        self._job = job

    def process(self, group: tuple[ShardTask, ...]) -> None:
        """Features whose rows are all known need no model."""
        job = self._job
        images = job.images.shard(group[0].index)
        reporters = {task.feature: Reporter(task.feature, job.progress) for task in group}
        for reporter in reporters.values():
            reporter.begin()
        works = [self._work(task, images) for task in group if not job.done(task, images)]
        for work in works:
            reporters[work.task.feature].add(copied=len(work.known))

        def told(feature: str, outcomes: Sequence[Row | Dropped]) -> None:
            reporters[feature].add(len(outcomes), [row.reason for row in outcomes if isinstance(row, Dropped)])

        receipts = run_shards(works, images, job.dataset, job.out, told) if works else ()
        for work, receipt in zip(works, receipts, strict=True):
            receipt.write(job.receipt(work.task))
        for reporter in reporters.values():
            reporter.end()

    def _work(self, task: ShardTask, images: Sequence[str]) -> Work:
        known = self._job.earlier[task.feature].rows(self._job.dataset, images)
        settings = self._job.settings[task.feature]
        if len(known) == len(images):
            return Work(task, extractor_class(task.feature)(settings), known)
        with _loading:  # a worker's threads share one model
            return Work(task, _loaded(task.feature, settings, task.fingerprint), known)


_loading = Lock()


@lru_cache(maxsize=8)
def _loaded(name: str, settings: Settings, _fingerprint: str) -> Extractor:
    """One loaded model a process, configuration and fingerprint: a file of weights may be another one by now."""
    extractor = extractor_class(name)(settings)
    extractor.load()
    return extractor
