"""What the tasks of an extraction share, which tasks run together, and what a machine needs for them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

from m3h.pipeline.engine.image_list import ImageList
from m3h.pipeline.engine.known_rows import KnownRows
from m3h.pipeline.engine.shard_engine import Receipt, ShardTask, Work, finished
from m3h.pipeline.extractors import make_extractor
from m3h.pipeline.extractors.base import Extractor
from m3h.schemas.config import Settings
from m3h.schemas.errors import UsageError
from m3h.schemas.inside import file_in


@dataclass(frozen=True)
class ExtractJob:
    """What all tasks of a run share.

    dataset: folder with the pictures and the earlier shards.
    out: folder in which new shards wait to be installed.
    images: the dataset's.
    receipts: folder of the receipts.
    settings: by feature.
    earlier: rows of an earlier build, by feature.
    progress: folder of the run's tallies; None where nothing is tallied.
    """

    dataset: Path
    out: Path
    images: ImageList
    receipts: Path
    settings: Mapping[str, Settings]
    earlier: Mapping[str, KnownRows]
    progress: Path | None = None

    def receipt(self, task: ShardTask) -> Path:
        """The path of a task's receipt."""
        return file_in(self.receipts, f"{task.feature}/{task.fingerprint}/{task.index:05d}.json")

    def done(self, task: ShardTask, images: Sequence[str]) -> Receipt | None:
        """The receipt of a finished task. None where the task is not finished."""
        return finished(self.receipt(task), (self.out, self.dataset), images)

    def work(self, task: ShardTask, images: Sequence[str]) -> Work:
        """What is to be computed for a task's images. Where all rows are known, no model is loaded."""
        known = self.earlier[task.feature].rows(self.dataset, images)
        settings = self.settings[task.feature]
        if len(known) == len(images):
            return Work(task, make_extractor(task.feature, settings), known)
        with _model_lock:  # a worker's threads share one model
            return Work(task, _loaded(task.feature, settings, task.fingerprint), known)


_model_lock = Lock()


@lru_cache(maxsize=8)
def _loaded(name: str, settings: Settings, _fingerprint: str) -> Extractor:
    """The loaded model, cached by configuration and fingerprint: the file of weights may have changed since."""
    extractor = make_extractor(name, settings)
    extractor.load()
    return extractor


def grouped(
    tasks: Iterable[ShardTask], accelerated: Mapping[str, bool], workers: int, *, networks: Mapping[str, str]
) -> list[tuple[ShardTask, ...]]:
    """The tasks in groups that run together. Features of the same images share the decoding of pictures.

    Where there are fewer groups than workers, every task becomes a group of its own, so that no worker is idle; but
    features of one network stay together: apart, each would take as long as all of them.

    Args:
        tasks: All that are to be done.
        accelerated: By feature, whether a GPU computes it. Such features are never grouped with others.
        workers: Number of processes.
        networks: By feature, the network whose passes it shares with others; "" where it shares none.
    """
    groups: dict[tuple[int, bool], list[ShardTask]] = defaultdict(list)
    for task in tasks:
        groups[task.index, accelerated[task.feature]].append(task)
    together = [tuple(group) for group in groups.values()]
    return (
        together if len(together) >= workers else [part for group in together for part in _by_network(group, networks)]
    )


def _by_network(tasks: Iterable[ShardTask], networks: Mapping[str, str]) -> list[tuple[ShardTask, ...]]:
    parts: dict[tuple[str, str], list[ShardTask]] = defaultdict(list)
    for task in tasks:
        network = networks[task.feature]
        parts[network, "" if network else task.feature].append(task)
    return [tuple(part) for part in parts.values()]


def resource_hints(extractors: Sequence[Extractor], on_gpu: bool) -> dict[str, str]:
    """The memory and accelerator that a machine needs for features that run together, as Beam's resource hints.

    Raises:
        UsageError: The features' settings name several accelerators.
    """
    hints = {"min_ram": f"{sum(e.memory_gb for e in extractors):g}GB"}
    named = sorted({e.settings.accelerator for e in extractors if on_gpu and e.settings.accelerator})
    if len(named) > 1:
        raise UsageError(f"features: expected one accelerator for all that run together, found {', '.join(named)}.")
    return {**hints, "accelerator": named[0]} if named else hints
