"""The features' part of a build: which shards stand already, which must be done, and the run that does them."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import apache_beam as beam

from pipeline.beam_flags import embedded
from pipeline.earlier import Earlier, earlier_feature, is_whole
from pipeline.engine import Receipt, ShardTask, slice_digest
from pipeline.extractors.base import Extractor
from pipeline.image_list import ImageList
from pipeline.publish import BuiltFeature, stored_images
from pipeline.run import Run
from pipeline.runner import run_pipeline
from pipeline.stages.extract import ExtractJob, ExtractShards, grouped
from pipeline.state import BuildState
from schemas.config import as_plain
from schemas.features import fingerprint
from schemas.manifest import Manifest

log = logging.getLogger(__name__)


def require(extractors: Sequence[Extractor], beam_flags: Sequence[str]) -> None:
    """UsageError where this machine lacks what a feature asks for; a cluster's workers are other machines."""
    if embedded(beam_flags):
        for extractor in extractors:
            extractor.require()


@dataclass(frozen=True)
class Extraction:
    """Features to make complete. run: is told what was done. known: what a finished dataset here has already.

    again: reasons for which an image without a row is tried again.
    """

    state: BuildState
    extractors: Sequence[Extractor]
    per_shard: int
    workers: int
    run: Run
    known: Manifest | None = None
    beam_flags: Sequence[str] = ()
    again: frozenset[str] = field(default_factory=frozenset)

    def complete(self) -> list[BuiltFeature]:
        """Do what is not done. UsageError, before any work, where an extractor lacks what it needs."""
        if not self.extractors:
            return []
        images = ImageList(self.state.image_list.absolute(), self.per_shard)
        images.write(stored_images(self.state.records))
        parts = {e.spec.name: e.fingerprint_parts() for e in self.extractors}
        prints = {e.spec.name: fingerprint(e.spec, parts[e.spec.name]) for e in self.extractors}
        count = images.shards
        tasks = [ShardTask(name, prints[name], i, count) for i in range(count) for name in prints]
        job = self._job(images, {name: earlier_feature(self.known, name, p, self.again) for name, p in prints.items()})
        open_tasks = [task for task in tasks if not self._stands(task, job)]
        log.info("extracting %s: %d of %d shards to do", ", ".join(prints), len(open_tasks), len(tasks))
        if open_tasks:
            for extractor in self.extractors:
                extractor.fetch()
            self._do(open_tasks, job)
        receipts = {task: Receipt.read(job.receipt(task)) for task in tasks}
        for name in prints:
            mine = [task for task in tasks if task.feature == name]
            done = set(open_tasks).intersection(mine)
            self.run.extracted(
                name, [receipts[task] for task in mine if task in done],
                [receipts[task] for task in mine if task not in done],
            )  # fmt: skip
        return [
            BuiltFeature(
                e.spec, prints[e.spec.name], parts[e.spec.name],
                [receipts[task] for task in tasks if task.feature == e.spec.name], e.notes(), as_plain(e.settings),
            )
            for e in self.extractors
        ]  # fmt: skip

    def _job(self, images: ImageList, earlier: dict[str, Earlier]) -> ExtractJob:
        state = self.state
        return ExtractJob(
            dataset=state.dataset.absolute(),
            out=state.next.absolute(),
            images=images,
            receipts=state.receipts.absolute(),
            settings={e.spec.name: e.settings for e in self.extractors},
            earlier=earlier,
            progress=self.run.folder,
        )

    def _stands(self, task: ShardTask, job: ExtractJob) -> bool:
        """Whether a shard is done: by its receipt, or because the manifest vouches for this very file."""
        mine = job.images.shard(task.index)
        if job.done(task, mine):
            return True
        earlier = job.earlier[task.feature]
        if task.index >= len(earlier.shards) or earlier.wants_again(job.dataset, mine):
            return False
        shard = earlier.shards[task.index]
        lost = earlier.lost(job.dataset, mine)
        same = shard.slice == slice_digest(mine) and shard.name == task.file_name(Path(shard.name).suffix)
        if not same or shard.rows + len(lost) != len(mine) or not is_whole(job.dataset, shard):
            return False
        dropped = sorted(lost.values())
        Receipt(shard.name, shard.sha256, shard.rows, shard.first, shard.slice, dropped).write(job.receipt(task))
        return True

    def _do(self, tasks: Sequence[ShardTask], job: ExtractJob) -> None:
        groups = grouped(tasks, {e.spec.name: e.accelerated for e in self.extractors}, self.workers)

        def wire(root: beam.Pipeline) -> None:
            shards = ExtractShards(job, self.extractors, hinted=not embedded(self.beam_flags))
            root | beam.Create(groups) | beam.Reshuffle() | shards

        pictures: Counter[str] = Counter()
        for task in tasks:
            pictures[task.feature] += len(job.images.shard(task.index))
        self.run.extracts(pictures)
        self.run.counted(run_pipeline(wire, self.beam_flags, min(self.workers, len(groups))))
