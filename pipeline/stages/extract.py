"""Runs shard tasks of any registered extractor: the only place where Beam and the engine meet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import apache_beam as beam

from pipeline.earlier import Earlier
from pipeline.engine import Receipt, ShardTask, finished, run_shard
from pipeline.extractors import extractor_class
from pipeline.extractors.base import Extractor
from schemas.config import Settings
from schemas.shards import shard_slice


@dataclass(frozen=True)
class ExtractJob:
    """What every task of a run shares.

    dataset: where pictures and earlier shards lie; out: where new shards wait to be installed.
    image_list: file with the dataset's image hashes, sorted, one a line. earlier: by feature.
    """

    dataset: Path
    out: Path
    image_list: Path
    receipts: Path
    per_shard: int
    settings: Mapping[str, Settings]
    earlier: Mapping[str, Earlier]

    def receipt(self, task: ShardTask) -> Path:
        """Where a task's receipt lies."""
        return self.receipts / task.feature / task.fingerprint / f"{task.index:05d}.json"

    def done(self, task: ShardTask, images: Sequence[str]) -> Receipt | None:
        """What became of a task that is done, None of one that is not."""
        return finished(self.receipt(task), (self.out, self.dataset), images)


class ExtractShard(beam.DoFn):
    """ShardTask -> nothing; the shard and its receipt are files. A finished shard costs one checksum."""

    def __init__(self, job: ExtractJob) -> None:
        self._job = job

    def process(self, task: ShardTask) -> None:
        """Do the shard unless it is done."""
        job = self._job
        images = _image_list(job.image_list)[shard_slice(task.index, job.per_shard)]
        if job.done(task, images):
            return
        known = job.earlier[task.feature].rows(job.dataset, images)
        settings = job.settings[task.feature]
        make = extractor_class(task.feature) if len(known) == len(images) else partial(_loaded, task.feature)
        run_shard(task, images, make(settings), job.dataset, job.out, known).write(job.receipt(task))


@lru_cache(maxsize=8)
def _loaded(name: str, settings: Settings) -> Extractor:
    """One loaded model a process and configuration."""
    extractor = extractor_class(name)(settings)
    extractor.load()
    return extractor


@lru_cache(maxsize=1)
def _image_list(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").split()
