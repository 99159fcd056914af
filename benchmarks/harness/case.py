"""A case: sides that do the same, ours first, each in a process of its own, in turns; their answers are compared."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.measure import Cost, measured
from benchmarks.harness.work import Answer, load

PEERS = Path(sys.prefix) / "bench" / "bin" / "python"
"""The Python of the environment that `make bench` makes for the peers."""
_CHECKOUT = str(Path(__file__).parents[2])
"""Sides are modules of it. They are named by PYTHONPATH, because PYTHONSAFEPATH takes the current folder away."""


class WrongAnswer(Exception):
    """A side found something else than the first one."""


@dataclass(frozen=True)
class Side:
    """One way of doing it.

    function: `module:function`, called with a `Work`. peer: whether it runs in the peers' environment.
    """

    name: str
    function: str
    peer: bool = True


@dataclass(frozen=True)
class Case:
    """What is compared.

    title: in the table. things: what `number` counts, such as "posts". prepare: what makes the input, once, in order.
    compare: answers of one round by side -> a sentence that says how far they are equal; WrongAnswer where they differ.
    bound: what bounds our side, for people. env: variables of all sides.
    """

    name: str
    title: str
    things: str
    number: int
    sides: Sequence[Side]
    compare: Callable[[Mapping[str, Answer]], str]
    bound: str
    prepare: Sequence[Side] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one side cost in one round. whole: its process from start to end. wall, cpu: seconds of its work alone."""

    whole: Cost
    wall: float
    cpu: float


@dataclass(frozen=True)
class Spread:
    """The median of a few numbers, the least and the most of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """Of at least one number."""
        return cls(median(numbers), min(numbers), max(numbers))


@dataclass(frozen=True)
class Result:
    """What a case found.

    runs: of each side, one a round. answers: what `compare` said. mostly: what our side's processor seconds were spent
    in, with shares.
    """

    case: Case
    number: int
    runs: Mapping[str, Sequence[Run]]
    answers: str
    mostly: Sequence[tuple[str, float]]

    def ratio(self, side: str) -> Spread:
        """The side's processor seconds in our own of the same round: above 1, ours is cheaper."""
        ours = self.runs[self.case.sides[0].name]
        return Spread.of([theirs.cpu / mine.cpu for theirs, mine in zip(self.runs[side], ours, strict=True)])

    def json(self) -> dict[str, Any]:
        """All of it."""
        sides = {
            name: {
                "cpu_s": [run.cpu for run in runs], "wall_s": [run.wall for run in runs],
                "whole_cpu_s": [run.whole.cpu for run in runs], "whole_wall_s": [run.whole.wall for run in runs],
                "peak_mb": [run.whole.peak_mb for run in runs], "ratio": vars(self.ratio(name)),
            }
            for name, runs in self.runs.items()
        }  # fmt: skip
        return {
            "case": self.case.name, "title": self.case.title, "number": self.number, "things": self.case.things,
            "sides": sides, "answers": self.answers, "bound": self.case.bound, "mostly": list(self.mostly),
        }  # fmt: skip


def run_case(case: Case, folder: Path, size: float, rounds: int) -> Result:
    """Make the input, let the sides take turns, compare what they found, and look once at where our time goes.

    Args:
        case: what is compared.
        folder: a new one, for the input and the answers.
        size: how many times as many things as the case has by itself.
        rounds: each side's turns.

    Raises:
        WrongAnswer: two sides found different things.
        CommandFailed: a side failed.
    """
    number = max(1, round(case.number * size))
    for step in case.prepare:
        _turn(step, case, folder, number=number)
    runs: dict[str, list[Run]] = {side.name: [] for side in case.sides}
    answers = ""
    for _ in range(rounds):
        found: dict[str, Answer] = {}
        for side in case.sides:
            cost, told, found[side.name] = _turn(side, case, folder, number=number)
            runs[side.name].append(Run(cost, told["wall"], told["cpu"]))
        answers = case.compare(found)
    _, told, _ = _turn(case.sides[0], case, folder, number=number, profile=True)
    return Result(case, number, runs, answers, told["mostly"])


def _turn(
    side: Side, case: Case, folder: Path, *, number: int, profile: bool = False
) -> tuple[Cost, dict[str, Any], Answer]:
    out = folder / "turn"
    out.mkdir(exist_ok=True)
    python = str(PEERS) if side.peer else sys.executable
    words = [python, "-m", "benchmarks.harness.work", side.function, str(folder), str(number), str(out)]
    modules = os.pathsep.join(filter(None, [_CHECKOUT, os.environ.get("PYTHONPATH")]))
    env = {"PYTHONPATH": modules, **case.env}
    cost = measured([*words, *(["--profile"] if profile else [])], out / "log.txt", env)
    return cost, json.loads((out / "cost.json").read_text()), load(out)
