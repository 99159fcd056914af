"""The features' part of a build: which shards are finished, which must be computed, and the run that computes them.

Beam, whose import takes longer than to find out that nothing is to do, is imported where something is.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.run_recorder import Run
from m3h.pipeline.dataset.stored_pictures import stored_images
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.engine.extract_job import ExtractJob, grouped
from m3h.pipeline.engine.image_list import ImageList
from m3h.pipeline.engine.known_rows import KnownRows, is_whole, read_known_rows
from m3h.pipeline.engine.shard_engine import Receipt, ShardTask, slice_digest
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.runtime.beam_flags import embedded
from m3h.schemas.config import as_plain
from m3h.schemas.features import fingerprint
from m3h.schemas.manifest import Manifest

if TYPE_CHECKING:
    import apache_beam as beam

log = logging.getLogger(__name__)


def require(extractors: Sequence[Extractor], beam_flags: Sequence[str]) -> None:
    """Check that this machine has what the features need. For a cluster nothing is checked: its workers compute.

    Raises:
        UsageError: Something is missing.
    """
    if embedded(beam_flags):
        for extractor in extractors:
            extractor.require()


@dataclass(frozen=True)
class Extraction:
    """Features to complete.

    per_shard: number of pictures in a shard.
    run: records what was done.
    known: the manifest of a finished dataset in this folder; None where there is none.
    retry_reasons: an image without a row for one of these reasons is computed again.
    """

    workspace: Workspace
    extractors: Sequence[Extractor]
    per_shard: int
    run: Run
    known: Manifest | None = None
    retry_reasons: frozenset[str] = frozenset()

    def complete(self) -> list[BuiltFeature]:
        """Compute what is not finished, and return all features.

        Raises:
            UsageError: An extractor lacks what it needs. Raised before any work.
        """
        if not self.extractors:
            return []
        images = ImageList(self.workspace.image_list.absolute(), self.per_shard)
        images.write(stored_images(self.workspace.records))
        parts = {e.spec.name: e.identity() for e in self.extractors}
        prints = {e.spec.name: fingerprint(e.spec, parts[e.spec.name]) for e in self.extractors}
        count = images.shards
        tasks = [ShardTask(name, prints[name], i, count) for i in range(count) for name in prints]
        earlier = {
            name: read_known_rows(self.known, name, version, retry_reasons=self.retry_reasons)
            for name, version in prints.items()
        }
        job = self._job(images, earlier)
        open_tasks = [task for task in tasks if not self._is_finished(task, job)]
        log.info("extracting %s: %d of %d shards to do", ", ".join(prints), len(open_tasks), len(tasks))
        if open_tasks:
            for extractor in self.extractors:
                extractor.fetch()
            self._compute(open_tasks, job)
        receipts = {task: Receipt.read(job.receipt(task)) for task in tasks}
        for name in prints:
            of_feature = [task for task in tasks if task.feature == name]
            computed = set(open_tasks).intersection(of_feature)
            self.run.extracted(
                name, [receipts[task] for task in of_feature if task in computed],
                [receipts[task] for task in of_feature if task not in computed],
            )  # fmt: skip
        return [
            BuiltFeature(
                e.spec, prints[e.spec.name], parts[e.spec.name],
                [receipts[task] for task in tasks if task.feature == e.spec.name], e.notes(), as_plain(e.settings),
            )
            for e in self.extractors
        ]  # fmt: skip

    def _job(self, images: ImageList, earlier: dict[str, KnownRows]) -> ExtractJob:
        return ExtractJob(
            dataset=self.workspace.dataset.absolute(),
            out=self.workspace.next.absolute(),
            images=images,
            receipts=self.workspace.receipts.absolute(),
            settings={e.spec.name: e.settings for e in self.extractors},
            earlier=earlier,
            progress=self.run.folder,
        )

    def _is_finished(self, task: ShardTask, job: ExtractJob) -> bool:
        """Whether a shard is finished: it has a receipt, or the manifest lists this very file. Then it gets one."""
        images = job.images.shard(task.index)
        if job.done(task, images):
            return True
        earlier = job.earlier[task.feature]
        if task.index >= len(earlier.shards) or earlier.needs_retry(job.dataset, images):
            return False
        shard = earlier.shards[task.index]
        lost = earlier.lost(job.dataset, images)
        same = shard.slice == slice_digest(images) and shard.name == task.file_name(Path(shard.name).suffix)
        if not same or shard.rows + len(lost) != len(images) or not is_whole(job.dataset, shard):
            return False
        dropped = sorted(lost.values())
        Receipt(shard.name, shard.sha256, shard.rows, shard.first, shard.slice, dropped).write(job.receipt(task))
        return True

    def _compute(self, tasks: Sequence[ShardTask], job: ExtractJob) -> None:
        import apache_beam as beam

        from m3h.pipeline.runtime.runner import run_pipeline
        from m3h.pipeline.stages.extract import ExtractShards

        groups = grouped(
            tasks,
            {e.spec.name: e.accelerated for e in self.extractors},
            self.run.workers,
            networks={e.spec.name: e.shared_network for e in self.extractors},
        )

        def wire(root: "beam.Pipeline") -> None:
            shards = ExtractShards(job, self.extractors, hinted=not embedded(self.run.beam_flags))
            root | beam.Create(groups) | beam.Reshuffle() | shards

        pictures: Counter[str] = Counter()
        for task in tasks:
            pictures[task.feature] += len(job.images.shard(task.index))
        self.run.extracts(pictures)
        self.run.counted(run_pipeline(wire, self.run.beam_flags, min(self.run.workers, len(groups))))
