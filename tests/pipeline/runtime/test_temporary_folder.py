"""Temporary folders of processes that are killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from m3h.pipeline.runtime.temporary_folder import temporary_folder
from tests.commands import ROOT, environment

PREFIX = "m3h-graph-"
HOLDS = f"""
from m3h.pipeline.runtime.temporary_folder import temporary_folder
with temporary_folder("{PREFIX}") as folder:
    (folder / "network.onnx.data").write_bytes(b"weights")
    print(folder, flush=True)
    input()
"""


def holder(place: Path) -> tuple["subprocess.Popen[str]", Path]:
    """A process with a folder of its own."""
    given = {**environment(), "TMPDIR": str(place)}
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", HOLDS], env=given, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (living, used), (killed, left) = holder(tmp_path), holder(tmp_path)
    killed.kill()
    killed.communicate()
    others = tmp_path / f"{PREFIX}of-somebody"
    others.mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(left)
    assert left.is_dir()
    with temporary_folder(PREFIX) as own:
        assert (used / "network.onnx.data").is_file()
        assert not left.exists()
        assert own.is_dir()
    assert living.communicate("\n") is not None
    assert living.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {others.name, f"{PREFIX}link"}
