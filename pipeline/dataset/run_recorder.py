"""Records one command's work on a dataset: shows its progress, and writes a summary beside the manifest at the end."""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from m3h.pipeline.dataset.lineage import lineage
from m3h.pipeline.dataset.run_history import remember_run
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.engine.shard_engine import Receipt
from m3h.pipeline.progress.counts import Count, read_tallies, tally_of
from m3h.pipeline.progress.monitor import AUTO, Watch, average
from m3h.pipeline.progress.stage import SPLIT, WRITE
from m3h.pipeline.runtime.memory import PeakMemory, trim_memory
from m3h.schemas.inside import folder_in
from m3h.schemas.manifest import Manifest

SLOWEST = 10
"""Number of shards that a summary names."""


class Run:
    """The record of a command's work, from its first stage to `finish`.

    Args:
        command: Its name in the summary.
        workspace: Of the dataset.
        progress: How progress is shown, as `Watch` takes it.
        workers: Number of processes the command was started with.
        beam_flags: The flags for Beam the command was started with.

    `folder` is where the processes that work on it keep their counts. It is removed with the workspace.
    """

    def __init__(
        self,
        command: str,
        workspace: Workspace,
        progress: str = AUTO,
        *,
        workers: int = 1,
        beam_flags: Sequence[str] = (),
    ) -> None:
        self.folder = folder_in(workspace.folder, f"progress/{uuid.uuid4().hex}").absolute()
        self._dataset = workspace.dataset
        self._started = time.time()
        self.workers, self.beam_flags = workers, tuple(beam_flags)
        self._head = {"command": command, "workers": workers, "beam_flags": list(beam_flags)}
        self._memory = PeakMemory()
        self._watch = Watch(self._look, progress, command, beside=self._measure_memory)
        self._stages: list[str] = []
        self._bytes = 0
        self._images: dict[str, int] = {}
        self._features: dict[str, dict[str, Any]] = {}
        self._shards: list[tuple[str, Receipt]] = []
        self._counters: dict[str, int] = {}

    def __enter__(self) -> "Run":
        self._watch.__enter__()
        return self

    def __exit__(self, *fault: object) -> None:
        self._watch.__exit__(*fault)

    def reads(self, stages: Iterable[str], size: int) -> None:
        """Announce that records will be read from dumps.

        Args:
            stages: The stages that they pass, in this order.
            size: Bytes of all dumps. 0 where it is unknown.
        """
        self._stages, self._bytes = list(stages), size

    def extracts(self, images: Mapping[str, int]) -> None:
        """Announce that features will be computed or copied. images: number of pictures, by feature."""
        self._images |= images

    def tell(self, stage: str, rows: int) -> None:
        """Count rows of a stage that this process itself completed."""
        now = time.time()
        tally = tally_of(self.folder)
        tally.add(stage, Count(rows, began=now, ended=now))
        tally.flush()

    def counted(self, counters: Mapping[str, int]) -> None:
        """Add the counters that a Beam pipeline reported at its end."""
        for name, number in counters.items():
            self._counters[name] = self._counters.get(name, 0) + number

    def extracted(self, feature: str, written: Sequence[Receipt], reused: Sequence[Receipt]) -> None:
        """Note that a feature is complete.

        Args:
            feature: Its name.
            written: Receipts of the shards that this run wrote.
            reused: Receipts of the shards that were finished before.
        """
        images = sum(_images(receipt) for receipt in written)
        computed = sum(receipt.computed for receipt in written)
        self._features[feature] = {
            "computed": computed, "copied": images - computed, "taken_over": sum(map(_images, reused)),
            "shards": {"written": len(written), "taken_over": len(reused)},
        }  # fmt: skip
        self._shards += [(feature, receipt) for receipt in written if receipt.computed]

    def finish(self, manifest: Manifest) -> None:
        """Write the summary of this run. The manifest must be written before."""
        self._watch.end()
        summary = self._summary(manifest)
        remember_run(self._dataset, summary)
        self._watch.say("summary", summary)

    def _measure_memory(self) -> None:
        self._memory.look()
        trim_memory()

    def _look(self) -> dict[str, tuple[Count, int | None]]:
        counts = read_tallies(self.folder)
        found: dict[str, tuple[Count, int | None]] = {}
        records = total = self._records(counts)
        is_over = SPLIT in counts
        for stage in self._stages:
            count = counts.get(stage, Count())
            is_over = is_over and stage != SPLIT
            if count.began and is_over:
                found[stage] = count, count.done
            elif count.began:  # the last stage writes all records, kept and dropped
                found[stage] = count, count.expected or (records if stage == WRITE else total)
            if total is not None and not count.expected:  # a stage that announces its rows does not count posts
                total -= count.lost
        return found | {name: (counts[name], images) for name, images in self._images.items() if name in counts}

    def _records(self, counts: Mapping[str, Count]) -> int | None:
        """The estimated number of records in the dumps, by the bytes of those that were read."""
        read = counts.get("read", Count())
        return round(read.rows * self._bytes / read.bytes) if self._bytes and read.rows and read.bytes else None

    def _summary(self, manifest: Manifest) -> dict[str, Any]:
        now = time.time()
        features = {n: {**known.summary(), **self._features.get(n, {})} for n, known in manifest.features.items()}
        slowest = sorted(self._shards, key=lambda shard: -shard[1].seconds)[:SLOWEST]
        return {
            **self._head, "started": _moment(self._started), "ended": _moment(now),
            "seconds": round(now - self._started, 2),
            "records": "read" if self._stages else "taken over", "counts": manifest.counts,
            "stages": [_stage(name, count) for name, (count, _) in self._look().items()],
            "features": features,
            "slowest_shards": [_shard(feature, receipt) for feature, receipt in slowest],
            "peak_memory": self._memory.summary(), "counters": self._counters, "versions": lineage(),
        }  # fmt: skip


def _images(receipt: Receipt) -> int:
    return receipt.rows + len(receipt.dropped)


def _stage(name: str, count: Count) -> dict[str, Any]:
    rate = average(count)
    return {
        "stage": name, "rows": count.rows, "copied": count.copied, "seconds": round(count.ended - count.began, 2),
        "rate": None if rate is None else round(rate, 1), "dropped": dict(sorted(count.dropped.items())),
    }  # fmt: skip


def _shard(feature: str, receipt: Receipt) -> dict[str, Any]:
    return {
        "feature": feature, "file": receipt.file, "images": receipt.computed, "seconds": round(receipt.seconds, 2),
    }  # fmt: skip


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
