"""Who may import whom, read from the source: schemas <- pipeline, schemas <- model, and the rooms of each in order."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.commands import ROOT, environment
from tests.commands import run as run_program
from tests.pipeline.fakes import small_dump

LIGHT = {"numpy", "pyarrow", "h5py", "pydantic", "yaml", "typer", "click", "rich"}
"""What the contract and the plumbing of both programs may stand on."""
TRAINER = LIGHT | {"torch", "safetensors", "nltk"}
OF_PAGES = {"altair", "jinja2", "vl_convert", "PIL"}
"""What makes the pages of reports, imported only where it is used."""
WHEN_USED = OF_PAGES | {"matplotlib", "scipy"}
"""What the trainer imports only where it is used: for figures, for reports, and to compare two runs."""
NEVER_IN_THE_TRAINER = WHEN_USED - {"jinja2"} | {  # which torch brings along
    *("apache_beam", "torchvision", "pytesseract", "ekphrasis", "wordsegment", "py3langid"),
    *("detectron2", "zstandard", "psutil"),
}


OURS = ("schemas", "pipeline", "model")


def imports_of(path: Path) -> set[str]:
    """Packages of every module a file imports, at its top or inside a function; `m3h.schemas` is one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {package_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(package_of(node.module))
    return found - set(sys.stdlib_module_names)


def package_of(module: str) -> str:
    names = module.split(".")
    return ".".join(names[: 2 if names[0] == "m3h" else 1])


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("schemas", LIGHT | OF_PAGES | {"m3h.schemas"}), ("model", TRAINER | WHEN_USED | {"m3h.schemas", "m3h.model"})],
)
def test_a_package_imports_only_what_it_may(package: str, allowed: set[str]) -> None:
    breaches = {
        str(path.relative_to(ROOT)): found for path in sources(package) if (found := imports_of(path) - allowed)
    }
    assert breaches == {}


def test_only_what_pages_share_imports_what_makes_pages() -> None:
    found = {path.relative_to(ROOT).parts[1] for path in sources("schemas") if imports_of(path) & OF_PAGES}
    assert found == {"page"}


def test_the_pipeline_never_imports_the_trainer() -> None:
    assert [path for path in sources("pipeline") if "m3h.model" in imports_of(path)] == []


def test_what_is_ours_is_imported_by_the_name_it_is_installed_by() -> None:
    """A class must not exist twice, as `schemas.posts.Post` and as `m3h.schemas.posts.Post`."""
    everywhere = [path for folder in (*OURS, "tests", "benchmarks", "docker", "sample") for path in sources(folder)]
    assert [path for path in everywhere if imports_of(path) & {*OURS, "sample"}] == []


ROOMS = {
    "pipeline": [
        *("rules", "progress", "runtime", "text", "readers", "cleaning", "images", "crawl", "extractors", "config"),
        *("engine", "dataset", "attributes", "export", "stages", "build", "versions", "checks", "records", "report"),
        *("commands", "cli", "__main__"),
    ],
    "model": [
        *("text", "ranking", "config", "systems", "data", "networks", "decoding", "scoring", "training", "runs"),
        *("api", "study", "report", "commands", "cli", "__main__"),
    ],
}
"""Folders and the modules beside them, from the ground up: each imports only what stands before it."""

WITH_BEAM = ("pipeline/stages", "pipeline/build", "pipeline/runtime")
"""What wires and runs Beam's pipelines. What decides stands outside, as plain functions."""


@cache
def ours() -> dict[str, Path]:
    """Every module of ours by its name; of a package, its `__init__`."""
    files = [path for package in OURS for path in sources(package)]
    names = ["m3h." + ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    return {name.removesuffix(".__init__"): path for name, path in zip(names, files, strict=True)}


def modules_of(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports: at its top, inside a function, or for its types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in ours())
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in ours() else node.module for name in names if node.module in ours())


@cache
def graph() -> dict[str, frozenset[str]]:
    """module -> those it imports. A package is not counted as a part of itself."""
    return {name: frozenset(modules_of(path)) - {name} for name, path in ours().items()}


def room_of(module: str) -> str:
    return module.split(".")[2]


def test_nothing_of_ours_is_imported_relative_to_where_it_stands() -> None:
    """Or the tests here would not see it."""
    nodes = [(path, node) for path in ours().values() for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    assert [path for path, node in nodes if isinstance(node, ast.ImportFrom) and node.level] == []


@pytest.mark.parametrize("package", ROOMS)
def test_each_room_imports_only_rooms_before_it(package: str) -> None:
    place = {room: i for i, room in enumerate(ROOMS[package])}
    inside = {name: found for name, found in graph().items() if name.startswith(f"m3h.{package}.")}
    assert {room_of(name) for name in inside} == set(place)
    breaches = {
        (name, imported)
        for name, found in inside.items()
        for imported in found & inside.keys()
        if place[room_of(imported)] > place[room_of(name)]
    }
    assert breaches == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_only_what_wires_and_runs_beams_pipelines_imports_beam() -> None:
    with_beam = [str(path.relative_to(ROOT)) for path in ours().values() if "apache_beam" in imports_of(path)]
    assert with_beam
    assert [path for path in with_beam if not path.startswith(WITH_BEAM)] == []


def test_listing_extractors_and_settings_needs_no_torch() -> None:
    code = "import sys, m3h.pipeline.config; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    assert _python(code) == 0


def test_setup_imports_only_setuptools() -> None:
    assert imports_of(ROOT / "setup.py") == {"setuptools"}


def test_the_trainer_runs_where_nothing_of_the_pipeline_is_installed() -> None:
    """Every module of `model`, imported and run with the pipeline's libraries made impossible to import."""
    modules = ["m3h." + str(p.relative_to(ROOT).with_suffix("")).replace("/", ".") for p in sources("model")]
    modules = [name.removesuffix(".__init__") for name in modules if not name.endswith("__main__")]
    code = f"""
import sys, importlib
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NEVER_IN_THE_TRAINER!r} or name.startswith("m3h.pipeline"):
            raise ImportError("not installed with the trainer: " + name)
sys.meta_path.insert(0, Refuse())
for name in {modules!r}:
    importlib.import_module(name)
from m3h.model.cli import main
sys.exit(main(["systems", "--json"]))
"""
    assert _python(code) == 0


HEAVY = ("apache_beam", "torch", "scipy", "PIL", "ekphrasis")


def test_the_pipelines_help_is_given_before_anything_heavy_is_imported() -> None:
    """One process for the help of all commands: what one of them imports is named with the command."""
    code = f"""
import contextlib, io, sys
from m3h.pipeline.cli import COMMANDS, main
assert len(COMMANDS) > 20
for command in ["", *COMMANDS]:
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main([command, "--help"] if command else ["--help"])
    assert code == 0 and "Usage" in said.getvalue(), (command, code, said.getvalue())
    imported = set({HEAVY!r}) & set(sys.modules)
    assert not imported, (command, imported)
"""
    assert _python(code) == 0


def without_beam(*words: object) -> str:
    """Code of a process that runs a command of the pipeline where Beam cannot be imported."""
    return f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "apache_beam":
            raise ImportError("not to be imported: " + name)
sys.meta_path.insert(0, Refuse())
from m3h.pipeline.cli import main
sys.exit(main({[str(word) for word in words]!r}))
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of four posts without features."""
    dump, images = small_dump(tmp_path_factory.mktemp("source"), posts=4)
    made = tmp_path_factory.mktemp("built") / "dataset"
    words = ["--dumps", dump, "--images", images, "--dataset", made, "--features", "none", "--workers", 1]
    done = run_program("pipeline", "build", *words, "--set", "clean.min_hashtag_count=1")
    assert done.code == 0, done.err
    return made


@pytest.mark.parametrize("words", [("stats",), ("verify",), ("summary",), ("dropped",), ("why", "--id", "1000")])
def test_a_finished_dataset_is_looked_at_without_beam(dataset: Path, words: tuple[str, ...]) -> None:
    assert _python(without_beam(*words, "--dataset", dataset)) == 0


def _python(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], env=environment(), cwd=ROOT, check=False).returncode


def test_the_train_extra_installs_no_beam_no_ocr_and_no_detector() -> None:
    """The closure of what `pip install '.[train]'` asks for, over the metadata of what is installed."""
    names = {name.lower().replace("_", "-") for name in closure("m3h", frozenset({"train"}))}
    assert {"torch", "safetensors", "nltk", "h5py", "pyarrow"} <= names
    forbidden = {name.replace("_", "-").lower() for name in NEVER_IN_THE_TRAINER} | {"apache-beam", "pillow"}
    assert names & forbidden == set()


def closure(name: str, extras: frozenset[str], seen: set[str] | None = None) -> set[str]:
    seen = set() if seen is None else seen
    seen.add(name)
    for line in requires(name) or ():
        requirement = Requirement(line)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""})
        )
        if wanted and requirement.name not in seen:
            assert distribution(requirement.name), requirement
            closure(requirement.name, frozenset(requirement.extras), seen)
    return seen


def test_what_the_project_needs_comes_from_an_index() -> None:
    """A dependency on a URL would make the package impossible to publish."""
    assert [line for line in requires("m3h") or () if "@" in line] == []


def test_programs_answer_help_without_a_command() -> None:
    for program, command in (("pipeline", "build"), ("model", "train")):
        done = run_program(program)
        assert done.code == 2
        assert done.out.startswith(f"Usage: python -m m3h.{program} ")
        assert f" {command} --" in done.out
