"""The images' recipes: linted, pinned, of what the build context holds, run by nobody with rights."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout_folder import PACKAGES
from tests.commands import ROOT

RECIPES = sorted((ROOT / "docker").glob("*.Dockerfile"))
LOCAL = sorted((ROOT / "docker" / "local").glob("*.Dockerfile"))
IDS = [path.stem for path in RECIPES]
NO_DIGEST = ("docker.io/apache/beam_", "docker.io/library/flink:")
"""Bases whose digest nobody here has seen."""


def context() -> set[str]:
    """Names at the root that .dockerignore lets into the context."""
    return {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}


def stages(recipe: Path) -> list[str]:
    return re.split(r"(?m)^(?=FROM )", recipe.read_text())[1:]


def bases(recipe: Path) -> dict[str, str]:
    """The image that each of its base arguments names by default."""
    return dict(re.findall(r"(?m)^ARG (\w+_BASE)=(\S+)$", re.split(r"(?m)^FROM ", recipe.read_text())[0]))


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_the_linter_passes(recipe: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", recipe], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_bases_are_arguments_and_pinned_and_name_their_registry(recipe: Path) -> None:
    """Podman and buildah know no registry by default."""
    used = [stage.split()[1] for stage in stages(recipe)]
    assert set(used) == {f"${{{name}}}" for name in bases(recipe)}
    for image in bases(recipe).values():
        digest = "" if image.startswith(NO_DIGEST) else "@sha256:[0-9a-f]{64}"
        assert re.fullmatch(rf"docker\.io/[\w./]+:[\w.-]*\d[\w.-]*{digest}", image), image


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_nobody_runs_as_root_and_every_image_says_what_it_is_and_how_it_is(recipe: Path) -> None:
    last = stages(recipe)[-1]
    user = re.findall(r"(?m)^USER (\S+)", last)
    assert user
    assert user[-1].isdigit()
    assert int(user[-1]) > 0
    assert {"title", "description", "version", "licenses"} == set(re.findall(r"opencontainers\.image\.(\w+)=", last))
    for word in ("STOPSIGNAL", "HEALTHCHECK"):
        assert re.search(rf"(?m)^{word} ", last)


@pytest.mark.parametrize("recipe", [*RECIPES, *LOCAL], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_apt_keeps_for_itself_is_removed_in_the_same_layer(recipe: Path) -> None:
    layers = re.findall(r"(?m)^RUN (?:.*\\\n)*.*$", recipe.read_text())
    for layer in layers:
        if "apt-get install" in layer or "install-tesseract" in layer:
            assert "rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin" in layer


def test_one_version_of_beam_and_of_us_everywhere() -> None:
    """Of the worker's image, of the boot program that is built here, and of Python's package."""
    (pinned,) = re.findall(r"(?m)^apache-beam==(\S+)", (ROOT / "constraints.txt").read_text())
    (built,) = re.findall(r"(?m)^BEAM=(\S+)", (ROOT / "docker" / "build.sh").read_text())
    assert {
        built,
        *(image.rpartition(":")[2] for r in RECIPES for n, image in bases(r).items() if n == "BEAM_BASE"),
    } == {pinned}
    (ours,) = re.findall(r'version="([\d.]+)"', (ROOT / "setup.py").read_text())
    for recipe in RECIPES:
        assert f'org.opencontainers.image.version="{ours}"' in recipe.read_text()


@pytest.mark.parametrize("recipe", RECIPES, ids=IDS)
def test_only_what_is_in_the_context_is_copied(recipe: Path) -> None:
    for words in re.findall(r"(?m)^COPY (?!--from)(.+)$", recipe.read_text()):
        for source in words.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in context(), source


def test_the_context_is_small() -> None:
    def size(names: set[str]) -> int:
        files = [p for name in names for p in [ROOT / name, *(ROOT / name).rglob("*")] if p.is_file()]
        return sum(path.stat().st_size for path in files if "__pycache__" not in path.parts)

    assert size({"sample"}) < 3_000_000
    assert size(context() - {"sample"}) < 3_000_000


@pytest.mark.parametrize(
    "recipe", [path for path in RECIPES if "install-m3h.sh" in stages(path)[-1]], ids=lambda p: p.stem
)
def test_an_image_that_installs_us_has_all_that_the_package_is_made_of(recipe: Path) -> None:
    copied = {word for words in re.findall(r"(?m)^COPY (?!--from)(.+)$", stages(recipe)[-1]) for word in words.split()}
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", *PACKAGES} <= copied


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["--worker_pool"], "boot"),
        (["--id=1-1", "--provision_endpoint=localhost:1"], "boot"),
        (["stats", "--dataset", "d"], "m3h"),
        ([], "m3h"),
    ],
)
def test_the_entrypoint_tells_beams_boot_protocol_from_a_command(
    tmp_path: Path, words: list[str], program: str
) -> None:
    assert enter(tmp_path, *words, home=tmp_path).split()[1:] == [program, *words]


@pytest.mark.parametrize(("words", "got"), [([], "none"), (["bash"], "bash"), (["job-manager", "x"], "job-manager x")])
def test_flinks_entrypoint_says_what_it_expects(words: list[str], got: str) -> None:
    line = [ROOT / "docker" / "local" / "flink-entrypoint.sh", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    error = f"error: expected the word jobmanager or taskmanager, got {got}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", error)


@pytest.mark.parametrize("writable", [True, False])
def test_word_statistics_of_the_image_are_linked_into_the_users_cache_or_are_all_of_it(
    tmp_path: Path, writable: bool
) -> None:
    """The first word that `enter` gets is XDG_CACHE_HOME."""
    link = tmp_path / ".cache" / "m3h" / "statistics"
    for _ in range(2):  # a folder that an earlier container left
        cache = enter(tmp_path, "stats", home=tmp_path if writable else Path("/dev/null")).split()[0]
    assert cache == ("unset" if writable else "/m3h/cache")
    assert link.is_symlink() == writable
    assert not writable or link.readlink() == Path("/m3h/cache/m3h/statistics")


def enter(folder: Path, *words: str, home: Path) -> str:
    """What the entry point starts, by programs in a folder that print XDG_CACHE_HOME, their names and words."""
    script = (ROOT / "docker" / "entrypoint.sh").read_text().replace("/opt/apache/beam/boot", str(folder / "boot"))
    for name in ("boot", "m3h"):
        (folder / name).write_text(f'#!/bin/sh\necho "${{XDG_CACHE_HOME:-unset}}" {name} "$@"\n')
        (folder / name).chmod(0o755)
    line = ["/bin/sh", "-c", script, "entrypoint", *words]
    environment = {"PATH": f"{folder}:/bin", "HOME": str(home)}
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=True).stdout
