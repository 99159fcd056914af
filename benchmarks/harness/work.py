"""One side of a case in a process of its own: it runs the function that it is told, and writes its answer and its cost.

    python -m benchmarks.harness.work benchmarks.cases.ocr:ours FOLDER NUMBER OUT

A peer's side runs in another environment, so this module needs numpy and psutil and nothing of m3h.
"""

import argparse
import cProfile
import importlib
import json
import pstats
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.measure import cpu_seconds

Answer = Mapping[str, Any]
"""Names and what was found: arrays, or what JSON can hold."""
_SHOWN = 3
_SMALLEST_SHARE = 0.03


class Work:
    """What a side is given: the case's folder, how many things there are, and the clock of its work.

    What a side does before `begin` (imports, loading a network) and inside `apart` is not its work. A side that never
    calls `begin` is all work.
    """

    def __init__(self, folder: Path, number: int, profile: bool = False) -> None:
        self.folder, self.number = folder, number
        self._charged: dict[str, Any] = {}
        self._profile = cProfile.Profile(time.process_time) if profile else None
        self.begin()

    def begin(self) -> None:
        """From here on it counts."""
        self._apart = np.zeros(3)
        self._began = _now()
        if self._profile:
            self._profile.disable()
            self._profile.clear()
            self._profile.enable()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What costs, but is no work."""
        before = _now()
        try:
            yield
        finally:
            self._apart += _now() - before

    def charge(self, wall: float, cpu: float) -> None:
        """The seconds of its work, where a side measures commands itself."""
        self._charged = {"wall": wall, "cpu": cpu, "mostly": []}

    def end(self) -> dict[str, Any]:
        """Seconds by the clock and of processors since `begin`; with a profile, what took most of them."""
        if self._profile:
            self._profile.disable()
        if self._charged:
            return self._charged
        wall, cpu, own = _now() - self._began - self._apart
        found: dict[str, Any] = {"wall": wall, "cpu": cpu}
        if self._profile:
            found["mostly"] = _mostly(self._profile, cpu, own)
        return found


def _now() -> np.ndarray:
    return np.array([time.monotonic(), cpu_seconds(), time.process_time()])


def _mostly(profile: cProfile.Profile, cpu: float, own: float) -> list[tuple[str, float]]:
    """What most processor seconds were spent in, with its share: other processes, or functions by their own time."""
    stats: Any = pstats.Stats(profile)
    shares = [(_function(place), times[2] / cpu) for place, times in stats.stats.items()]
    shares.append(("processes it started", (cpu - own) / cpu))
    shares.sort(key=lambda pair: -pair[1])
    return [(name, share) for name, share in shares[:_SHOWN] if share >= _SMALLEST_SHARE]


def _function(place: tuple[str, int, str]) -> str:
    file, _, name = place
    if file == "~":
        return name.strip("<>{}").removeprefix("built-in method ").removeprefix("method ")
    return f"{Path(file).stem}.{name}"


def save(answer: Answer, folder: Path) -> None:
    """Arrays as .npz, the rest as JSON."""
    arrays: dict[str, Any] = {name: value for name, value in answer.items() if isinstance(value, np.ndarray)}
    np.savez(folder / "answer.npz", **arrays)
    rest = {name: value for name, value in answer.items() if name not in arrays}
    (folder / "answer.json").write_text(json.dumps(rest))


def load(folder: Path) -> dict[str, Any]:
    """What `save` wrote."""
    with np.load(folder / "answer.npz", allow_pickle=False) as arrays:
        return {**json.loads((folder / "answer.json").read_text()), **dict(arrays)}


def named(name: str) -> Any:
    """What `module:name` names."""
    module, _, inside = name.partition(":")
    return getattr(importlib.import_module(module), inside)


def main() -> None:
    """Run a function of a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("function")
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    function = named(options.function)
    work = Work(options.folder, options.number, options.profile)
    answer = function(work)
    (options.out / "cost.json").write_text(json.dumps(work.end()))
    save(answer or {}, options.out)


if __name__ == "__main__":
    main()
