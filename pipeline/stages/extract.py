"""Runs the shard tasks of any extractor. This is the only place that uses both Beam and the engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.engine.extract_job import ExtractJob, resource_hints
from m3h.pipeline.engine.shard_engine import ShardTask, run_shards
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.stages.progress import Reporter
from m3h.schemas.features import Row
from m3h.schemas.posts import Dropped

TaskGroup = tuple[ShardTask, ...]


@dataclass
class ExtractShards(beam.PTransform[PCollection[TaskGroup], list[PCollection[None]]]):
    """Groups of ShardTasks -> nothing; shards and receipts are files. A finished shard costs one checksum.

    hinted: whether to tell Beam how much memory and which accelerator are needed. Beam starts separate worker processes
    for transforms with such hints.
    """

    job: ExtractJob
    extractors: Sequence[Extractor]
    hinted: bool = True

    @no_annotations
    def expand(self, groups: PCollection[TaskGroup]) -> list[PCollection[None]]:
        """Tasks for a GPU and tasks for a CPU are separate transforms, so that a runner can place them separately."""
        gpu = {e.spec.name: e.accelerated for e in self.extractors}
        return [
            groups
            | f"{label} groups" >> beam.Filter(lambda group, on=on: gpu[group[0].feature] == on)
            | f"extract on {label}" >> self._extract(on)
            for label, on in (("CPU", False), ("GPU", True))
            if on in gpu.values()
        ]

    def _extract(self, on_gpu: bool) -> beam.PTransform[PCollection[TaskGroup], PCollection[None]]:
        hints = resource_hints([e for e in self.extractors if e.accelerated == on_gpu], on_gpu)
        extract = beam.ParDo(ExtractShard(self.job))
        return extract.with_resource_hints(**hints) if self.hinted else extract


class ExtractShard(beam.DoFn):
    """Computes the shards of a group that are not done yet."""

    def __init__(self, job: ExtractJob) -> None:
        self._job = job

    def process(self, group: TaskGroup) -> None:
        """Compute all features of the group together."""
        job = self._job
        images = job.images.shard(group[0].index)
        reporters = {task.feature: Reporter(task.feature, job.progress) for task in group}
        for reporter in reporters.values():
            reporter.begin()
        works = [job.work(task, images) for task in group if not job.done(task, images)]
        for work in works:
            reporters[work.task.feature].add(copied=len(work.known))

        def on_progress(feature: str, outcomes: Sequence[Row | Dropped]) -> None:
            reasons = [row.reason for row in outcomes if isinstance(row, Dropped)]
            reporters[feature].add(len(outcomes), dropped=reasons)

        receipts = run_shards(works, images, job.dataset, out=job.out, on_progress=on_progress) if works else ()
        for work, receipt in zip(works, receipts, strict=True):
            receipt.write(job.receipt(work.task))
        for reporter in reporters.values():
            reporter.end()
