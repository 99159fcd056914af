"""Who may import whom, read from the source: schemas <- pipeline, schemas <- model, and nothing else."""

import ast
import sys
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.commands import ROOT, environment
from tests.commands import run as run_program

LIGHT = {"numpy", "pyarrow", "h5py", "pydantic", "yaml", "typer", "click", "rich"}
"""What the contract and the plumbing of both programs may stand on."""
TRAINER = LIGHT | {"torch", "safetensors", "nltk"}
WITH_FIGURES = {"matplotlib"}
"""What the trainer imports only while it draws, where it is installed."""
NEVER_IN_THE_TRAINER = WITH_FIGURES | {
    *("apache_beam", "pipeline", "torchvision", "PIL", "pytesseract", "ekphrasis", "wordsegment", "py3langid"),
    *("detectron2", "zstandard", "psutil"),
}


def imports_of(path: Path) -> set[str]:
    """Top-level names of every module a file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names)


def sources(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize(
    ("package", "allowed"), [("schemas", LIGHT | {"schemas"}), ("model", TRAINER | WITH_FIGURES | {"schemas", "model"})]
)
def test_a_package_imports_only_what_it_may(package: str, allowed: set[str]) -> None:
    breaches = {
        str(path.relative_to(ROOT)): found for path in sources(package) if (found := imports_of(path) - allowed)
    }
    assert breaches == {}


def test_the_pipeline_never_imports_the_trainer() -> None:
    assert [path for path in sources("pipeline") if "model" in imports_of(path)] == []


def test_extractors_never_import_beam() -> None:
    plain = [
        *sources("pipeline/extractors"),
        *sources("pipeline/readers"),
        *sources("pipeline/crawl"),
        *sources("pipeline/ocr"),
        ROOT / "pipeline" / "engine.py",
    ]
    assert [path for path in plain if "apache_beam" in imports_of(path)] == []


def test_listing_extractors_and_settings_needs_no_torch() -> None:
    code = "import sys, pipeline.config; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    assert _python(code) == 0


def test_setup_imports_only_setuptools() -> None:
    assert imports_of(ROOT / "setup.py") == {"setuptools"}


def test_the_trainer_runs_where_nothing_of_the_pipeline_is_installed() -> None:
    """Every module of `model`, imported and run with the pipeline's libraries made impossible to import."""
    modules = [str(p.relative_to(ROOT).with_suffix("")).replace("/", ".") for p in sources("model")]
    modules = [name.removesuffix(".__init__") for name in modules if not name.endswith("__main__")]
    code = f"""
import sys, importlib
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NEVER_IN_THE_TRAINER!r}:
            raise ImportError("not installed with the trainer: " + name)
sys.meta_path.insert(0, Refuse())
for name in {modules!r}:
    importlib.import_module(name)
from model.cli import main
sys.exit(main(["systems", "--json"]))
"""
    assert _python(code) == 0


def _python(code: str) -> int:
    import subprocess

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
    for program in ("pipeline", "model"):
        done = run_program(program)
        assert done.code == 2
        assert f"python -m {program}" in done.out + done.err
