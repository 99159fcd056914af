"""Fixtures for all tests."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT, run


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


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The bundled sample, built as `make demo` builds it."""
    folder = tmp_path_factory.mktemp("sample") / "dataset"
    dumps = (ROOT / "sample" / "dump_v1.jsonl.gz", ROOT / "sample" / "dump_plain.jsonl")
    done = run(
        *("pipeline", "build", "--dumps", *dumps, "--images", ROOT / "sample" / "images"),
        *("--dataset", folder, "--config", ROOT / "sample" / "build.yaml", "--json"),
    )
    assert done.code == 0, done.err
    return Built(folder, done.json)


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """What must become of every record of the sample."""
    return json.loads((ROOT / "sample" / "expected.json").read_text())


@pytest.fixture(scope="session")
def released(m3h_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The released dataset's validation and test splits, imported."""
    folder = tmp_path_factory.mktemp("released") / "dataset"
    done = run("pipeline", "build", "--format", "cmkp", "--dumps", m3h_data / "cmkp", "--dataset", folder, "--json")
    assert done.code == 0, done.err
    return Built(folder, done.json)
