"""Fixtures for all tests."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.commands import ROOT, run

os.environ["XDG_STATE_HOME"] = str(Path(tempfile.gettempdir(), f"m3h-tests-{os.getuid()}"))
"""The key that seals what builds remember: of the tests, and the same in all processes that run them."""


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Puts the environment back after each test: a command run in this process sets variables for its children."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(scope="session")
def m3h_data() -> Path:
    """The folder of real data that M3H_DATA names; skipped where it is not set."""
    folder = os.environ.get("M3H_DATA")
    if not folder:
        pytest.skip("M3H_DATA is not set: it names the folder of real data")
    return Path(folder)


@dataclass(frozen=True)
class Built:
    """A dataset and the summary its build printed."""

    folder: Path
    summary: dict[str, Any]


def built_once(tmp_path_factory: pytest.TempPathFactory, name: str, *words: object) -> Built:
    """A dataset that the first of the processes that run the tests builds, for all of them to read."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        summary = folder / "summary.json"
        if not summary.is_file():
            done = run("pipeline", "build", *words, "--dataset", folder / "dataset", "--json")
            assert done.code == 0, done.err
            summary.write_text(done.out)
    return Built(folder / "dataset", json.loads(summary.read_text()))


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The bundled sample, built as `make demo` builds it."""
    dumps = (ROOT / "sample" / "dump_v1.jsonl.gz", ROOT / "sample" / "dump_plain.jsonl")
    rest = ("--images", ROOT / "sample" / "images", "--config", ROOT / "sample" / "build.yaml")
    return built_once(tmp_path_factory, "sample", "--dumps", *dumps, *rest)


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """What must become of every record of the sample."""
    return json.loads((ROOT / "sample" / "expected.json").read_text())


@pytest.fixture(scope="session")
def sample_run(sample: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small M3H-Att model that has seen the sample once."""
    folder = tmp_path_factory.mktemp("sample-run") / "run"
    small = ("width=16", "word_width=8", "batch_size=32", "epochs=1", "warmup_epochs=1", "threads=1")
    words = ("--dataset", sample.folder, "--system", "gen-cls-m3h", "--out", folder, "--set", *small)
    done = run("model", "train", *words)
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="session")
def released(m3h_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The released dataset's validation and test splits, imported."""
    return built_once(tmp_path_factory, "released", "--format", "cmkp", "--dumps", m3h_data / "cmkp")
