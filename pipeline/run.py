"""One command's work on a dataset: watched while it goes on, and summed up beside the manifest when it is done."""

import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from pipeline.engine import Receipt
from pipeline.lineage import lineage
from pipeline.memory import PeakMemory, give_back
from pipeline.progress import AUTO, Watch, average
from pipeline.state import BuildState
from pipeline.summary import remember_run
from pipeline.tally import Count, read_tallies, tally_of
from schemas.manifest import Manifest

WRITE = "write"
"""The stage through which every record goes in the end."""

SLOWEST = 10
"""Shards that a summary names."""


class Run:
    """What a command does, from its first stage to `finish`. progress: as `Watch` has it.

    folder: where the processes that work on it keep their counts; gone with the working folder.
    """

    def __init__(
        self, command: str, state: BuildState, progress: str = AUTO, workers: int = 1, beam_flags: Sequence[str] = ()
    ) -> None:
        self.folder = (state.folder / "progress" / uuid.uuid4().hex).absolute()
        self._dataset = state.dataset
        self._started = time.time()
        self._head = {"command": command, "workers": workers, "beam_flags": list(beam_flags)}
        self._memory = PeakMemory()
        self._watch = Watch(self._look, progress, command, beside=self._beside)
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
        """Records are going to be read of dumps of so many bytes (0: nobody knows), through `stages` in this order."""
        self._stages, self._bytes = list(stages), size

    def extracts(self, images: Mapping[str, int]) -> None:
        """Features are going to be computed, or copied, for so many pictures each."""
        self._images |= images

    def tell(self, stage: str, rows: int) -> None:
        """Rows of a stage that this process itself did."""
        now = time.time()
        tally = tally_of(self.folder)
        tally.add(stage, Count(rows, began=now, ended=now))
        tally.flush()

    def counted(self, counters: Mapping[str, int]) -> None:
        """What a pipeline's own counters said in its end."""
        for name, number in counters.items():
            self._counters[name] = self._counters.get(name, 0) + number

    def extracted(self, feature: str, done: Sequence[Receipt], standing: Sequence[Receipt]) -> None:
        """A feature is complete. done: shards written by this run; standing: shards it found done."""
        looked_at = sum(_images(receipt) for receipt in done)
        computed = sum(receipt.computed for receipt in done)
        self._features[feature] = {
            "computed": computed, "copied": looked_at - computed, "taken_over": sum(map(_images, standing)),
            "shards": {"written": len(done), "taken_over": len(standing)},
        }  # fmt: skip
        self._shards += [(feature, receipt) for receipt in done if receipt.computed]

    def finish(self, manifest: Manifest) -> None:
        """The manifest is written: keep what is to be known of this run beside it."""
        self._watch.end()
        summary = self._summary(manifest)
        remember_run(self._dataset, summary)
        self._watch.say("summary", summary)

    def _beside(self) -> None:
        self._memory.look()
        give_back()

    def _look(self) -> dict[str, tuple[Count, int | None]]:
        counts = read_tallies(self.folder)
        found: dict[str, tuple[Count, int | None]] = {}
        records = total = self._records(counts)
        for stage in self._stages:
            count = counts.get(stage, Count())
            if count.began:  # in the end all records are written, whatever became of them
                found[stage] = count, count.expected or (records if stage == WRITE else total)
            if total is not None and not count.expected:  # what announces its rows counts other things than posts
                total -= count.lost
        return found | {name: (counts[name], images) for name, images in self._images.items() if name in counts}

    def _records(self, counts: Mapping[str, Count]) -> int | None:
        """How many records the dumps will have: as those that were read, a byte alike."""
        read = counts.get("read", Count())
        return round(read.rows * self._bytes / read.bytes) if self._bytes and read.bytes else None

    def _summary(self, manifest: Manifest) -> dict[str, Any]:
        now = time.time()
        features = {}
        for name, known in manifest.features.items():
            version = known["versions"][known["current"]]
            features[name] = {
                "fingerprint": known["current"], "rows": version["rows"], "dropped": version["dropped"],
                **self._features.get(name, {}),
            }  # fmt: skip
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
