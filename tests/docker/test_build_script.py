"""docker/build.sh with a stand-in for buildah, which says how it was called: no image is built."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands import ROOT

TOOLS = ("bash", "cat", "dirname", "env", "git", "id", "mkdir", "mktemp", "python3", "rm", "sed", "tr")
CALLED = 'echo "${BUILDAH_ISOLATION:-default} $*"'


def build(
    folder: Path, *words: str, programs: tuple[str, ...] = (), **variables: str
) -> "subprocess.CompletedProcess[str]":
    """programs: what this machine has beside the tools of every system and buildah."""
    for name in TOOLS:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    for name in ("buildah", *programs):
        (folder / name).write_text(f"#!/bin/sh\n{CALLED}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": str(folder), "HOME": str(folder), **variables}
    line = [ROOT / "docker" / "build.sh", *words]
    return subprocess.run(line, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(
    ("programs", "variables", "isolation"),
    [
        ((), {}, "chroot"),
        (("crun",), {}, "default"),
        (("runc",), {}, "default"),
        ((), {"BUILDAH_ISOLATION": "rootless"}, "rootless"),
    ],
)
def test_buildah_does_without_a_runtime_of_containers_where_there_is_none(
    tmp_path: Path, programs: tuple[str, ...], variables: dict[str, str], isolation: str
) -> None:
    done = build(tmp_path, "trainer", programs=programs, **variables)
    assert done.returncode == 0, done.stderr
    called, said = done.stdout.splitlines()
    assert called.startswith(f"{isolation} build ")
    assert said.startswith("m3h-trainer: built in ")


def test_an_image_that_is_none_and_a_machine_without_an_engine_get_one_line(tmp_path: Path) -> None:
    done = build(tmp_path, "trainr")
    assert (done.returncode, done.stderr) == (
        2,
        "error: no image 'trainr'; there are: trainer worker-cpu flink worker-gpu\n",
    )
    (tmp_path / "buildah").unlink()
    line = [ROOT / "docker" / "build.sh"]
    done = subprocess.run(line, capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: none of docker, podman, buildah works here; install one ")
