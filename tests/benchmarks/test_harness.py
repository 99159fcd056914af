"""What `make bench` measures and compares, on sides made for it."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks.cases import CASES
from benchmarks.harness.case import Case, Result, Run, Side, Spread, WrongAnswer, run_case
from benchmarks.harness.measure import CommandFailed, Cost, measured
from benchmarks.harness.table import markdown
from benchmarks.harness.work import Answer, Work, load, named, save

BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
"""A program that uses so much processor time, however busy the machine is."""


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_processor_time_of_a_child_counts(tmp_path: Path) -> None:
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN.format(seconds=0.5)!r}])"
    assert measured(command(child), tmp_path / "log").cpu >= 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody is told of such a process")
def test_processor_time_of_a_child_that_nobody_waits_for_counts(tmp_path: Path) -> None:
    burn = BURN.format(seconds=0.5) + "open('done', 'w').close()"
    waits = "import os, subprocess, sys, time\nos.chdir(sys.argv[1])\n"
    waits += f"subprocess.Popen([sys.executable, '-c', {burn!r}])\nwhile not os.path.exists('done'): time.sleep(.01)"
    orphan = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {waits!r}, sys.argv[1]]).wait()\n"
    assert measured([*command(orphan), str(tmp_path)], tmp_path / "log").cpu >= 0.5


def test_memory_of_a_process_and_its_child_is_added(tmp_path: Path) -> None:
    hold = "held = bytearray(80_000_000)\nheld[::4096] = bytes([1]) * len(held[::4096])\n"
    child = hold + "import time\ntime.sleep(1)"
    both = f"{hold}import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    assert 160 <= measured(command(both), tmp_path / "log").peak_mb <= 260


def test_a_command_that_fails_says_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="exit code 3\nno such thing"):
        measured(command("print('no such thing', flush=True)\nraise SystemExit(3)"), tmp_path / "log")


def test_a_spread_by_hand() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)
    assert Spread.of([4.0, 1.0]) == Spread(2.5, 1.0, 4.0)


def run(cpu: float) -> Run:
    return Run(Cost(wall=1.0, cpu=cpu + 1, peak_mb=10.0), wall=2 * cpu, cpu=cpu)


def case(*sides: Side, prepare: tuple[Side, ...] = ()) -> Case:
    return Case("made", "A title", "things", 4, sides, equal, bound="nothing.", prepare=prepare)


def equal(answers: Mapping[str, Answer]) -> str:
    mine, theirs = answers.values()
    if not np.array_equal(mine["rows"], theirs["rows"]):
        raise WrongAnswer("other rows")
    return "all rows are equal."


def side(name: str) -> Side:
    return Side(name, f"tests.benchmarks.test_harness:{name}", peer=False)


def prepared(work: Work) -> None:
    (work.folder / "input").write_text("7")


def ours(work: Work) -> Answer:
    with work.apart():
        spend(0.5)
    return {"rows": np.full(work.number, int((work.folder / "input").read_text())), "words": ["a"]}


def right(work: Work) -> Answer:
    spend(0.5)
    work.begin()
    return {"rows": np.full(work.number, 7)}


def wrong(work: Work) -> Answer:
    return {"rows": np.full(work.number, 8)}


def spend(seconds: float) -> None:
    import time

    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_ratio_is_of_the_same_round() -> None:
    runs = {"ours": [run(1.0), run(2.0), run(4.0)], "theirs": [run(3.0), run(2.0), run(8.0)]}
    assert Result(case(side("ours")), 4, runs, "", ()).ratio("theirs") == Spread(2.0, 1.0, 3.0)


def test_the_table_by_hand() -> None:
    runs = {"ours": [run(1.0), run(2.0), run(4.0)], "theirs": [run(3.0), run(2.0), run(8.0)]}
    found = Result(case(Side("ours", "a:b"), Side("theirs", "a:b")), 4, runs, "all equal.", [("f", 0.5)])
    assert markdown(found, 3).splitlines()[4:] == [
        "| | CPU s of the work | ms each | CPU s with start | wall s | MB | peer / ours |",
        "|---|---|---|---|---|---|---|",
        "| ours | 2.00 (1.00 to 4.00) | 500 | 3.00 | 4.00 | 10 |  |",
        "| theirs | 3.00 (2.00 to 8.00) | 750 | 4.00 | 6.00 | 10 | 2.00 (1.00 to 3.00) |",
        "",
        "Answers: all equal.",
        "Bound: nothing. Seen in a profile: `f` 50%.",
    ]


def test_sides_take_turns_and_what_is_no_work_does_not_count(tmp_path: Path) -> None:
    found = run_case(case(side("ours"), side("right"), prepare=(side("prepared"),)), tmp_path, size=0.5, rounds=2)
    assert (found.number, found.answers, len(found.runs["ours"]), len(found.runs["right"])) == (
        2,
        "all rows are equal.",
        2,
        2,
    )
    for runs in found.runs.values():
        assert all(run.cpu < 0.5 <= run.whole.cpu for run in runs)


def test_sides_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as our commands set it for the processes they start
    found = run_case(case(side("ours"), side("right"), prepare=(side("prepared"),)), tmp_path, size=0.5, rounds=1)
    assert found.answers == "all rows are equal."


def test_a_wrong_answer_fails_the_case(tmp_path: Path) -> None:
    with pytest.raises(WrongAnswer, match="other rows"):
        run_case(case(side("ours"), side("wrong"), prepare=(side("prepared"),)), tmp_path, size=1, rounds=1)


def test_an_answer_is_read_as_it_was_written(tmp_path: Path) -> None:
    save({"rows": np.arange(3), "words": ["a", "b"]}, tmp_path)
    found = load(tmp_path)
    assert (found["rows"].tolist(), found["words"]) == ([0, 1, 2], ["a", "b"])


GOOD = case(side("ours"), side("right"), prepare=(side("prepared"),))
BAD = case(side("ours"), side("wrong"), prepare=(side("prepared"),))


def test_the_command_fails_with_a_case_and_runs_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = "tests.benchmarks.test_harness"
    monkeypatch.setattr(bench, "CASES", {"bad": f"{here}:BAD", "good": f"{here}:GOOD"})
    assert bench.run(["bad", "good"], 1, 1, result=tmp_path / "bench.json") == 1
    found = json.loads((tmp_path / "bench.json").read_text())
    assert (found["failed"], [one["answers"] for one in found["cases"]]) == (
        ["bad: other rows"],
        ["all rows are equal."],
    )
    assert "failed: other rows" in capsys.readouterr().out


@pytest.mark.parametrize("name", CASES)
def test_every_function_of_a_case_is_there_without_its_peers(name: str) -> None:
    wanted: Case = named(CASES[name])
    assert wanted.name == name
    assert not wanted.sides[0].peer
    assert all(callable(named(each.function)) for each in (*wanted.prepare, *wanted.sides))
