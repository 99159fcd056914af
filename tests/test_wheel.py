"""The package as it would be published: built, installed beside a user's own modules, and run from dumps to scores.

`make release` tests the files of the folder that M3H_DIST names; else they are built here, which needs setuptools.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkout_folder import PACKAGES
from tests.commands import ROOT
from tests.detectron2_folder import install as detectron2_folder
from tests.test_users_folder import IMPORTED, folder_of_a_user

pytestmark = pytest.mark.slow

SOURCES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md")
SOURCES += ("constraints.txt", "docs", *PACKAGES)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made from it."""
    if "M3H_DIST" in os.environ:
        return Path(os.environ["M3H_DIST"]).resolve()
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, tree)
    build = [sys.executable, "-m", "build", "--outdir", str(out), str(tree)]
    done = subprocess.run(build, capture_output=True, text=True, cwd=tree, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel. added: to the top of its packages. programs: to its folder of programs."""

    folder: Path
    packages: Path
    added: set[str]
    programs: set[str]

    def run(self, cwd: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """One of its programs, with nothing of this checkout on the path."""
        line = [str(self.folder / "bin" / program), *words]
        return subprocess.run(line, cwd=cwd, env=clean(), capture_output=True, text=True, timeout=1800, check=False)


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Its dependencies are those of the Python that runs the tests, lent by a path file after the installation."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], env=clean(), check=True)
    python = folder / "bin" / "python"
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(ask, env=clean(), capture_output=True, text=True, check=True).stdout.strip())
    before = {path.name for path in packages.iterdir()}, {path.name for path in (folder / "bin").iterdir()}
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, env=clean(), check=True)
    added = {path.name for path in packages.iterdir()} - before[0]
    programs = {path.name for path in (folder / "bin").iterdir()} - before[1]
    lent = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "lent.pth").write_text("\n".join(lent) + "\n")
    return Installed(folder, packages, added, programs)


def test_the_metadata_and_the_description_are_fit_to_be_published(dist: Path) -> None:
    files = sorted(dist.glob("m3h-*"))
    assert [path.name.endswith((".whl", ".tar.gz")) for path in files] == [True, True]
    check = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_but_m3h_is_added_to_the_environment(installed: Installed) -> None:
    (metadata,) = (name for name in installed.added if name.endswith(".dist-info"))
    assert installed.added == {"m3h", metadata}
    assert {path.name for path in (installed.packages / "m3h").iterdir()} == set(PACKAGES)
    assert installed.programs == {"m3h"}


def test_the_wheel_holds_every_module_and_every_file_beside_them(wheel: Path) -> None:
    """As the checkout has them; each package says that it is typed."""
    found = {name.removeprefix("m3h/") for name in zipfile.ZipFile(wheel).namelist() if name.startswith("m3h/")}
    files = [path for folder in PACKAGES for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert found == {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert {"pipeline/text/tlds.tsv", "pipeline/extractors/detectron/butd.yaml", "sample/dump_v1.jsonl.gz"} <= found
    assert {f"{folder}/py.typed" for folder in PACKAGES} <= found


def test_every_module_can_be_imported(installed: Installed, tmp_path: Path) -> None:
    """detectron2, which has no package, is lent by its folder."""
    code = f"""
import importlib, json, m3h, pkgutil, sys
sys.path.append({str(detectron2_folder())!r})
names = [module.name for module in pkgutil.walk_packages(m3h.__path__, "m3h.")]
files = {{importlib.import_module(name).__file__ for name in names}}
json.dump(sorted(files), sys.stdout)
"""
    done = installed.run(tmp_path, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    files = [Path(name) for name in json.loads(done.stdout.splitlines()[-1])]
    assert all(path.is_relative_to(installed.packages / "m3h") for path in files)
    ours = [path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")]
    assert len(files) == len(ours)


def test_help_and_version_come_from_the_installed_package(installed: Installed, tmp_path: Path) -> None:
    user = folder_of_a_user(tmp_path)
    shown = installed.run(user, "m3h", "--version")
    assert re.fullmatch(r"m3h \d+\.\d+\.\d+\S*\n", shown.stdout), shown.stderr
    listed = installed.run(user, "m3h", "--help").stdout
    assert {"  build ", "  train ", "  demo "} <= {match[0] for match in re.finditer(r"(?m)^  \S+ ", listed)}
    for program in ("pipeline", "model"):
        assert installed.run(user, "python", "-m", f"m3h.{program}", "--help").stdout.startswith(
            "Usage: python -m m3h."
        )
    assert not (user / IMPORTED).exists()


def test_the_demonstration_goes_from_dumps_to_scores_after_an_interruption(
    installed: Installed, tmp_path: Path
) -> None:
    """In a folder with modules of the user's that bear the names of ours, and of the standard library's."""
    user = folder_of_a_user(tmp_path)
    line = [str(installed.folder / "bin" / "m3h"), "demo", "--out", "tried"]
    first = subprocess.Popen(
        line, cwd=user, env=clean(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    while not any((user / "tried").rglob("*")):
        assert first.poll() is None
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGINT)  # as Ctrl-C
    _, error = first.communicate(timeout=300)
    assert first.returncode == 130, error
    assert [text for text in error.splitlines() if text.startswith("error:")] == [
        "error: interrupted; run the same command again."
    ]
    assert "Traceback" not in error

    done = installed.run(user, "m3h", "demo", "--out", "tried")
    assert done.returncode == 0, done.stderr
    shown = [text.split()[2] for text in done.stdout.splitlines() if text.startswith("$ m3h ")]
    assert shown == ["build", "stats", "train", "predict"]
    assert "read 400, kept 360, dropped 40" in done.stdout
    assert re.search(r"(?m)^test \(cmkp, 32 posts\): F1@1 0\.\d+", done.stdout)
    assert "dataset: tried/dataset\nrun:     tried/run\nnext:    " in done.stdout
    assert done.stdout.endswith("m3h serve tried/run\n")
    assert not (user / IMPORTED).exists(), (user / IMPORTED).read_text()
