"""`m3h`: every command of both programs, its help, its completion, and what it says where something is missing."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from m3h.schemas.command_line import main
from m3h.schemas.demo import demo_end, demo_steps
from m3h.schemas.programs import Program, programs
from tests.commands import ROOT, command, environment, run
from tests.test_architecture import closure

HEAVY = ("torch", "apache_beam", "numpy", "scipy", "pyarrow", "h5py", "PIL", "nltk", "pandas", "matplotlib")
BY_TITLE = {program.title: program for program in programs()}
COMMANDS = [name for program in programs() for name in program.commands()]


def answers(words: list[str], found: Path) -> tuple[int, list[str]]:
    """Exit code of `m3h` in a process of its own, and which heavy libraries it imported."""
    code = f"""
import json, sys
from m3h.schemas.command_line import main
try:
    code = main({words!r})
except SystemExit as end:
    code = end.code or 0
with open({str(found)!r}, "w") as file:
    json.dump([name for name in {HEAVY!r} if name in sys.modules], file)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=False)
    return done.returncode, json.loads(found.read_text())


def test_the_help_lists_the_commands_of_both_programs_one_line_each() -> None:
    done = run("m3h", "--help")
    assert done.code == 0
    lines = done.out.splitlines()
    assert list(BY_TITLE) == ["Dataset commands", "Model commands"]
    for title, program in BY_TITLE.items():
        first = lines.index(f"{title}:") + 1
        shown = lines[first : first + len(program.commands())]
        assert [line.split()[0] for line in shown] == program.commands()
        assert all(re.fullmatch(r"  \S+ +\S.*[^.]\.", line) for line in shown), "a line is cut"
    assert "  demo  " in done.out


def test_a_command_of_two_programs_is_shared_on_purpose() -> None:
    twice = {name for name in COMMANDS if COMMANDS.count(name) > 1}
    assert twice == {name for program in programs() for name in program.shared} == {"report", "why"}
    assert "demo" not in COMMANDS


@pytest.mark.parametrize("name", ["report", "why"])
def test_the_help_of_a_shared_command_is_that_of_both_programs(name: str) -> None:
    lines = run("m3h", name, "--help").out.splitlines()
    assert [line.split(" [")[0] for line in lines if line.startswith("Usage:")] == [f"Usage: m3h {name}"] * 2
    assert sum(line.strip().startswith("RUN") for line in lines) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report", "--dataset", "no/data"], "error: no/data: no such dataset folder."),
        (["report", "no/run"], "error: no/run: no finished run."),
        (["report", "no/run", "--dataset", "no/data"], "error: no/run: no finished run."),
        (["report", "--out", "x", "no/run"], "error: no/run: no finished run."),
        (["report", "--dataset", "no/data", "no/run"], "error: no/run: no finished run."),
        (["report", "--dataset=no/data", "--json", "no/run"], "error: no/run: no finished run."),
        (["report", "--json", "--dataset", "no/data", "--out", "x"], "error: no/data: no such dataset folder."),
        (["why", "--dataset", "no/data", "--id", "1"], "error: no/data: no such dataset folder."),
        (["why", "no/run", "--prediction", "1"], "error: no/run: no finished run."),
        (["why", "no/run", "--prediction=1", "--dataset", "no/data"], "error: no/run: no finished run."),
    ],
)
def test_a_shared_command_is_run_by_the_program_that_it_is_for(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(says)


def test_without_a_command_the_help_is_wrong_use() -> None:
    done = run("m3h")
    assert done.code == 2
    assert done.out == run("m3h", "--help").out


def test_the_version_is_that_of_the_package() -> None:
    done = run("m3h", "--version")
    assert (done.code, done.out, done.err) == (0, f"m3h {version('m3h')}\n", "")


def test_an_unknown_command_is_one_line_with_the_nearest_name() -> None:
    done = run("m3h", "predit", "runs/full")
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith("error: no command named 'predit'. Did you mean 'predict'? Known: attend, build, ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["build", "--help"], ["train", "--help"]])
def test_help_imports_no_heavy_library(words: list[str], tmp_path: Path) -> None:
    assert answers(words, tmp_path / "found.json") == (0, [])


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--dataset", "no/folder", "--system", "gen-cls-m3h"],
        ["predict", "no/folder", "--text", "a post"],
        *([name, "no/folder"] for name in ("evaluate", "serve", "report")),
        ["attend", "no/folder", "--post", "1"],
        ["reproduce", "table2", "--dataset", "no/folder"],
        *([name, "--dataset", "no/folder"] for name in ("verify", "stats", "report", "summary", "plan", "refresh")),
        ["why", "--dataset", "no/folder", "--id", "1"],
        ["export", "--dataset", "no/folder", "--to", "webdataset", "--out", "new"],
        ["retry", "--dataset", "no/folder"],
        ["forget", "--dataset", "no/folder", "--ids", "ids.txt"],
    ],
    ids=" ".join,
)
def test_a_folder_that_is_not_there_is_said_before_anything_heavy_is_imported(words: list[str], tmp_path: Path) -> None:
    assert answers(words, tmp_path / "found.json") == (2, [])


def test_systems_are_listed_without_a_heavy_library(tmp_path: Path) -> None:
    assert answers(["systems"], tmp_path / "found.json") == (0, [])


def test_scoring_a_file_needs_numpy_alone(tmp_path: Path) -> None:
    found, wanted = tmp_path / "found.txt", tmp_path / "wanted.txt"
    found.write_text("a phrase\n")
    wanted.write_text("a phrase\n")
    words = ["score", "--predictions", str(found), "--targets", str(wanted)]
    assert answers(words, tmp_path / "found.json") == (0, ["numpy"])


def test_no_command_s_help_imports_a_heavy_library(tmp_path: Path) -> None:
    code = f"""
import sys
from m3h.schemas.command_line import main
codes = {{name: main([name, "--help"]) for name in {[*COMMANDS, "demo"]!r}}}
sys.exit(f"{{codes}} {{[name for name in {HEAVY!r} if name in sys.modules]}}")
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    codes = dict.fromkeys([*COMMANDS, "demo"], 0)
    assert done.stderr == f"{codes} []\n"


def test_a_module_is_imported_without_what_its_package_imports() -> None:
    code = """
import sys
from m3h.schemas.programs import import_alone
stemmer = import_alone("nltk.stem.porter").PorterStemmer()
assert (stemmer.stem("generously"), stemmer.stem("dying")) == ("gener", "die")
assert not [name for name in sys.modules if name.partition(".")[0] in ("nltk", "numpy", "scipy")]
"""
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 0


@pytest.mark.slow
def test_a_package_is_whole_after_one_of_its_modules_was_imported_alone() -> None:
    code = """
from m3h.schemas.programs import import_alone
alone = import_alone("nltk.stem.porter").PorterStemmer().stem
import nltk
from nltk.stem import PorterStemmer
assert nltk.word_tokenize and alone("generously") == PorterStemmer().stem("generously")
"""
    assert subprocess.run([sys.executable, "-c", code], env=environment(), check=False).returncode == 0


@pytest.mark.parametrize("name", ["build", "train", "demo"])
def test_the_usage_names_the_command_as_it_was_called(name: str) -> None:
    assert run("m3h", name, "--help").out.startswith(f"Usage: m3h {name} ")


def test_what_follows_two_dashes_is_beams(tmp_path: Path) -> None:
    dump = tmp_path / "d.jsonl"
    dump.write_text('{"id": 1, "text": "a", "image": "a.jpg"}\n')
    words = ["build", "--dumps", dump, "--images", tmp_path, "--dataset", tmp_path / "d"]
    done = run("m3h", *words, "--", "--runner=NoSuchRunner")
    assert done.code == 2
    assert "no runner named 'NoSuchRunner'" in done.error
    assert "No such option" in run("m3h", *words, "--runner=NoSuchRunner").error


# Completion: as a shell asks for it

NAME_THE_SHELL = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"
"""Lets the command line name the shell, which else is the one that started us; the tests are started by any program."""


def completed(line: str, tmp_path: Path) -> list[str]:
    """What bash is given for a line whose last word is being typed."""
    words = line.split(" ")
    asked = {"_M3H_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        command("m3h"), env={**environment(), **asked}, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("m3h bu", {"build"}),
        ("m3h tra", {"train", "train-attributes"}),
        ("m3h ", {*COMMANDS, "demo"}),
        ("m3h build --da", {"--dataset"}),
        ("m3h build --dumps a b c --im", {"--images"}),
        ("m3h train --s", {"--system", "--seed", "--select", "--set"}),
        ("m3h demo --o", {"--out"}),
        ("m3h report --c", {"--class-names"}),
        ("m3h report --s", {"--split"}),
        ("m3h why --i", {"--id", "--image"}),
        ("m3h why --p", {"--prediction"}),
        ("m3h nothing --o", set()),
    ],
)
def test_commands_and_options_of_both_programs_are_completed(line: str, found: set[str], tmp_path: Path) -> None:
    assert set(completed(line, tmp_path)) == found


@pytest.mark.parametrize("line", ["m3h t", "m3h build --", "m3h train --"])
def test_completion_imports_no_heavy_library(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_M3H_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    assert answers([], tmp_path / "found.json") == (0, [])


def test_bash_completes_by_the_script_that_we_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "m3h.sh"
    monkeypatch.setenv(NAME_THE_SHELL, "1")
    script.write_text(run("m3h", "--show-completion", "bash").out)
    asks = f"""
. {script}
COMP_WORDS=(m3h train --sys) COMP_CWORD=2
_m3h_completion m3h
echo "${{COMPREPLY[@]}}"
"""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "--norc", "-c", asks], env={**environment(), "PATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("--system\n", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_a_shell(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(NAME_THE_SHELL, "1")
    done = run("m3h", "--install-completion", shell)
    assert done.code == 0, done.err
    assert f"{shell} completion installed" in done.out
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert f"complete_{shell}" in written


# What is not installed


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.extra.name)
def test_a_program_s_extra_is_what_it_looks_for(program: Program) -> None:
    """Every package that the extra asks for is looked for by the name it is imported by, and no other."""
    lines = [Requirement(line) for line in requires("m3h") or ()]
    asked = {normal(line.name) for line in lines if line.marker and line.marker.evaluate({"extra": program.extra.name})}
    looked_for = [{name for name in asked if package in imported(name)} for package in program.extra.packages]
    assert all(looked_for)
    assert set().union(*looked_for) == asked


def imported(name: str) -> set[str]:
    """What a package puts at the top of what can be imported. Python 3.10 looks into `top_level.txt` alone."""
    return {file.parts[0].removesuffix(".py") for file in distribution(name).files or ()}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def only(folder: Path, *extras: str) -> dict[str, str]:
    """Environment of a process that finds m3h and what these extras install, and no other package."""
    folder.mkdir()
    for name in closure("m3h", frozenset(extras)):
        files = () if name == "m3h" else distribution(name).files or ()
        for top in {file.parts[0] for file in files if ".." not in file.parts}:
            where = Path(str(distribution(name).locate_file(top)))
            if where.exists() and not (folder / top).exists():
                (folder / top).symlink_to(where)
    metadata = distribution("m3h")._path  # type: ignore[attr-defined]
    (folder / metadata.name).symlink_to(metadata)
    (folder / "m3h").symlink_to(ROOT / ".venv" / "checkout" / "m3h")
    return {**os.environ, "PYTHONPATH": str(folder)}


def run_with_only(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-S", "-c", "import sys; from m3h.schemas.command_line import main; sys.exit(main())"]
    return subprocess.run([*start, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_with_the_trainer_alone_the_other_commands_say_what_to_install(tmp_path: Path) -> None:
    alone = only(tmp_path / "trainer", "train")
    shown = run_with_only(tmp_path, alone, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "\nDataset commands (not installed: pip install 'm3h[pipeline]'):\n  build  " in shown.stdout
    assert "\nModel commands:\n  train  " in shown.stdout
    refused = run_with_only(tmp_path, alone, "build", "--dumps", "d.jsonl", "--dataset", "d")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: build: not installed here: aiohttp, apache_beam, datasketch and ")
    assert refused.stderr.endswith(" more. Install what it needs: pip install 'm3h[pipeline]'\n")
    assert refused.stderr.count("\n") == 1
    assert "pip install 'm3h[pipeline]'" in run_with_only(tmp_path, alone, "demo").stderr
    assert run_with_only(tmp_path, alone, "build", "--help").returncode == 0
    systems = run_with_only(tmp_path, alone, "systems")
    assert systems.returncode == 0, systems.stderr


def test_with_neither_program_s_packages_each_command_says_what_to_install(tmp_path: Path) -> None:
    bare = only(tmp_path / "bare")
    assert run_with_only(tmp_path, bare, "--version").stdout == f"m3h {version('m3h')}\n"
    for name, extra in (("train", "train"), ("verify", "pipeline")):
        refused = run_with_only(tmp_path, bare, name, "--dataset", str(tmp_path))
        assert refused.returncode == 2
        assert refused.stderr.endswith(f"pip install 'm3h[{extra}]'\n")


# The demonstration


def test_the_demonstration_runs_the_commands_of_both_programs_on_the_sample() -> None:
    steps = demo_steps(ROOT / "sample", Path("out"))
    assert [step[0] for step in steps] == ["build", "stats", "train", "predict"]
    named = [Path(word) for step in steps for word in step if word.startswith(str(ROOT))]
    assert len(named) == 5
    assert all(path.exists() for path in named)


def test_the_demonstration_ends_with_commands_that_the_shell_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(folder))
    assert demo_end(Path("demo"))[2:] == ["next:    m3h report --dataset demo/dataset", "         m3h serve demo/run"]
    monkeypatch.setenv("PATH", str(tmp_path))  # after `make demo`, which runs .venv/bin/m3h
    monkeypatch.chdir(folder.parent.parent)
    name = (folder / "m3h").relative_to(folder.parent.parent)
    assert demo_end(Path("demo"))[3] == f"         {name} serve demo/run"
