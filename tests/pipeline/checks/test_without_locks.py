"""Finished shards never change, so no lock keeps anybody from reading them. What writes needs a lock of its own."""

import fcntl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from m3h.pipeline.records.trace_scan import Sought, traces
from m3h.schemas.dataset import Dataset
from tests.commands import ROOT, run
from tests.pipeline.made import image_of


def test_shards_that_somebody_holds_under_lock_are_read(dataset: Path) -> None:
    with ExitStack() as held:
        for shard in dataset.rglob("*.h5"):
            fcntl.flock(held.enter_context(open(shard)), fcntl.LOCK_EX)
            with open(shard) as file, pytest.raises(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert run("pipeline", "verify", "--dataset", dataset).code == 0
        assert image_of(1) in Dataset(dataset).tensors("grid").rows
        assert any("/features/grid/" in line for line in traces(dataset, Sought(images=frozenset({image_of(1)}))))


@pytest.fixture(scope="session")
def no_locks(m3h_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that makes every lock fail as on NFS without a lock service."""
    library = tmp_path_factory.mktemp("nolock") / "nolock.so"
    source = m3h_data / "cases" / "nolock" / "nolock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def test_where_there_are_no_locks_all_can_be_read_and_a_write_is_refused_in_one_line(
    dataset: Path, no_locks: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LD_PRELOAD", str(no_locks))
    code = "import fcntl, sys; fcntl.flock(sys.stdin, fcntl.LOCK_SH)"
    with open(dataset / "manifest.json") as file:
        tried = subprocess.run([sys.executable, "-c", code], stdin=file, capture_output=True, check=False)
    assert b"No locks available" in tried.stderr
    for words in (("verify",), ("stats",), ("diff", "--feature", "grid")):
        done = run("pipeline", *words, "--dataset", dataset)
        assert (done.code, done.err.count("error:")) == (0, 0), done
    train = ("model", "train", "--system", "gen-copy", "--out", tmp_path / "run", "--dataset")
    for words in (("pipeline", "gc", "--dataset"), train):
        done = run(*words, dataset)
        assert (done.code, "Traceback" in done.err) == (1, False), done
        assert "this file system has no locks (No locks available)" in done.error


def test_hdf5_files_are_opened_in_one_place() -> None:
    packages = [path for name in ("model", "pipeline", "schemas") for path in (ROOT / name).rglob("*.py")]
    assert [path.name for path in packages if "h5py.File(" in path.read_text()] == ["shards.py"]
