"""One build of a made dump, measured: processor time of every step, and memory of all processes.

    python -m benchmarks.scale_run --posts 10000 --folder /tmp/scale --workers 2

`benchmarks.scale` starts it. The build is the real one but for its pictures (benchmarks.stand_in). Beam's log tells
when a stage begins; the processor time that all processes have used by then is that of the stages before.
"""

import argparse
import json
import logging
import os
import re
import shutil
import threading
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from benchmarks.dumps import write_dump
from benchmarks.harness.measure import cpu_seconds, private_bytes_of_each
from benchmarks.stand_in import StandIn
from m3h.pipeline.build import records_graph
from m3h.pipeline.build.build import BuildOptions, build
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.stored_pictures import stored_images
from m3h.pipeline.engine.shard_engine import slice_digest
from m3h.pipeline.runtime.memory import MEASURE, PeakMemory
from m3h.schemas.config import resolve
from m3h.schemas.shards import shard_count, shard_slice

STEPS = (
    ("near duplicates", r"near texts|near pictures|text links|picture links|links"),
    ("write", r"write|rows|mask"),
    ("split", r"split|all kept"),
    ("rare hashtags", r"rare"),
    ("dedupe", r"duplicates"),
    ("clean", r"text|language"),
    ("pictures", r"image|places"),
    ("read", r"read|dumps|tally|Reshuffle"),
)
"""What a Beam stage is counted as: the first whose words are in the name of its first transform."""

_STAGE_LOG = "apache_beam.runners.portability.fn_api_runner.fn_runner.run_bundle"
_RUNNING = "Running bundle for stage "


class Stages(logging.Handler):
    """Hears which stage begins."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.marks: list[tuple[str, float, float]] = []
        logger = logging.getLogger(_STAGE_LOG)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the moment."""
        message = record.getMessage()
        if message.startswith(_RUNNING):
            self.mark(message.partition("\n")[0])

    def mark(self, name: str) -> None:
        """Something begins."""
        self.marks.append((name, cpu_seconds(), time.monotonic()))

    def steps(self) -> dict[str, list[float]]:
        """step -> [CPU seconds, seconds]."""
        found: dict[str, list[float]] = {}
        for (name, cpu, moment), (_, cpu_after, after) in pairwise(self.marks):
            both = found.setdefault(step_of(name), [0.0, 0.0])
            both[0] += cpu_after - cpu
            both[1] += after - moment
        return found


def step_of(name: str) -> str:
    """Of a stage's name in the log: the labels of its transforms, in brackets."""
    if not name.startswith(_RUNNING):
        return name
    labels = re.findall(r"ref_AppliedPTransform_([^)]*?)_\d+\)", name)
    first = labels[0] if labels else name
    return next((step for step, words in STEPS if re.search(words, first)), "other")


def measured(posts: int, folder: Path, workers: int, global_steps: str = "auto") -> dict[str, Any]:
    """Make the dump, build it, plan shards; what that cost. global_steps: see `execution.global_steps`."""
    shutil.rmtree(folder, ignore_errors=True)
    before = cpu_seconds()
    dumps = write_dump(folder / "raw", posts)
    made = cpu_seconds() - before
    records_graph.Images = StandIn  # type: ignore[attr-defined]
    memory, stages, stop = PeakMemory(share=1.0), Stages(), threading.Event()
    (folder / "none").mkdir()
    private = 0
    of_each: dict[int, int] = {}

    def watch() -> None:
        nonlocal private
        while not stop.wait(0.5):
            memory.look()
            now = private_bytes_of_each(psutil.Process())
            private = max(private, sum(now.values()))
            of_each.update({pid: max(size, of_each.get(pid, 0)) for pid, size in now.items()})

    memory.look()
    base = memory.bytes
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    options = BuildOptions(
        [str(path) for path in dumps], folder / "dataset", folder / "none", features=(), workers=workers,
        progress="none", config=resolve(BuildConfig, {"execution": {"global_steps": global_steps}}),
    )  # fmt: skip
    stages.mark("start")
    counts = build(options).manifest.counts
    stages.mark("shard planning")
    images = list(stored_images(folder / "dataset"))
    planned = [slice_digest(images[shard_slice(i, 64)]) for i in range(shard_count(len(images), 64))]
    stages.mark("end")
    stop.set()
    thread.join()
    dropped = Counter({why: n for reasons in counts["dropped"].values() for why, n in reasons.items()})
    return {
        "posts": posts, "workers": workers, "generator": made, "steps": stages.steps(), "base": base,
        "peak": memory.bytes, "measure": MEASURE, "private": private, "kept": counts["kept"], "dropped": dropped,
        "shards": len(planned), "global_steps": global_steps, "private_of_main": of_each.pop(os.getpid(), 0),
        "private_of_largest_worker": max(of_each.values(), default=0),
    }  # fmt: skip


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--global-steps", choices=("auto", "one_worker", "rounds"), default="auto")
    options = parser.parse_args()
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    print(json.dumps(measured(options.posts, options.folder, options.workers, options.global_steps)))


if __name__ == "__main__":
    main()
