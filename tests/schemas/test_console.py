"""Exit codes, the one `error:` line, `--json`, and options with several values."""

import json
import subprocess
import sys

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from m3h.schemas import console
from m3h.schemas.errors import IntegrityError, UsageError
from tests.commands import environment

app = typer.Typer(pretty_exceptions_enable=False)


@app.callback()
def _about():
    """A program with commands that end in every way."""


@app.command("add")
def add(seed: list[int] = typer.Option(..., "--seed"), as_json: bool = typer.Option(False, "--json")):  # noqa: B008
    console.say({"sum": sum(seed), "name": "é"}, as_json, f"the sum is {sum(seed)}")


@app.command("end")
def end(how: str):
    endings = {
        "wrong": UsageError("no such\n  thing."),
        "failed": IntegrityError("a file\nchanged."),
        "interrupted": KeyboardInterrupt(),
        "exit": typer.Exit(1),
        "bug": ZeroDivisionError("a bug"),
    }
    raise endings[how]


def run(capsys, *argv):
    code = console.run(app, argv, many={"--seed"})
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("how", "code", "error"),
    [
        ("wrong", console.WRONG_USE, "error: no such thing.\n"),
        ("failed", console.FAILED, "error: a file changed.\n"),
        ("interrupted", console.INTERRUPTED, "error: interrupted; run the same command again.\n"),
        ("exit", 1, ""),
    ],
)
def test_every_ending_has_its_code_and_at_most_one_line(capsys, how, code, error):
    assert run(capsys, "end", how) == (code, "", error)


def test_a_bug_keeps_its_traceback(capsys):
    with pytest.raises(ZeroDivisionError):
        run(capsys, "end", "bug")


@pytest.mark.parametrize("argv", [["nonsense"], ["add"], ["add", "--sed", "1"], ["add", "--seed", "x"], ["end"]])
def test_wrong_use_is_one_error_line_and_code_2(capsys, argv):
    code, out, err = run(capsys, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_json_is_exactly_one_line_alone_on_stdout(capsys):
    code, out, _ = run(capsys, "add", "--seed", "1", "2", "--json")
    assert (code, out.count("\n")) == (0, 1)
    assert json.loads(out) == {"sum": 3, "name": "é"}


def test_without_json_people_read_a_sentence(capsys):
    assert run(capsys, "add", "--seed", "40", "-2")[:2] == (0, "the sum is 38\n")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("--seed 1 2 3", "--seed 1 --seed 2 --seed 3"),
        ("--seed 1 --out x y", "--seed 1 --out x y"),
        ("--seed 1 2 --dumps a b --out c", "--seed 1 --seed 2 --dumps a --dumps b --out c"),
        ("--seed 1 --seed 2", "--seed 1 --seed 2"),
        ("--dumps - a", "--dumps - --dumps a"),
        ("--seed -1 -2", "--seed -1 --seed -2"),
        ("cmd a b", "cmd a b"),
        ("--seed", "--seed"),
        ("", ""),
    ],
)
def test_spread_repeats_an_option_before_each_of_its_values(argv, expected):
    assert console.spread(argv.split(), {"--seed", "--dumps"}) == expected.split()


WORDS = st.lists(st.sampled_from(["--seed", "--dumps", "--out", "-x", "-", "-3", "a", "b", "build"]), max_size=12)


@given(WORDS)
def test_spreading_twice_changes_nothing_more(argv):
    once = console.spread(argv, {"--seed", "--dumps"})
    assert console.spread(once, {"--seed", "--dumps"}) == once


@given(WORDS)
def test_spreading_loses_and_reorders_no_value(argv):
    spread = console.spread(argv, {"--seed", "--dumps"})
    assert [w for w in spread if not w.startswith("--")] == [w for w in argv if not w.startswith("--")]


@pytest.mark.parametrize(("world_size", "ends"), [("", "done\nended\n"), ("1", "done\nended\n"), ("2", "done\n")])
def test_of_several_processes_none_waits_for_the_end_of_python(world_size: str, ends: str) -> None:
    code = "import atexit; from m3h.schemas.console import leave; atexit.register(print, 'ended'); print('done'); "
    size = {"WORLD_SIZE": world_size} if world_size else {}
    argv = [sys.executable, "-c", f"{code}leave(3)"]
    done = subprocess.run(argv, env={**environment(), **size}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, ends)
