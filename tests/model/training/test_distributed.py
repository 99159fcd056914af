"""A batch computed in parts or by several processes is the same step."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from m3h.model.config import Config
from m3h.model.runs.experiment import train_run
from m3h.schemas.dataset import Dataset
from tests.commands import environment
from tests.model.training.test_resume import StopAt, small, words

PLAIN = {"dropout": 0.0, "log_steps": 1, "epochs": 1, "learning_rate": 3e-3}


def train(dataset: Path, config: Config, out: Path) -> Path:
    train_run(config, Dataset(dataset), out, progress=StopAt(None))
    return out


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def assert_same(first: Path, second: Path) -> None:
    np.testing.assert_allclose(losses(first), losses(second), rtol=1e-4)
    weights, others = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    for name, values in weights.items():
        torch.testing.assert_close(others[name], values, rtol=2e-3, atol=2e-4)


@pytest.fixture(scope="module")
def alone(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tiny_dataset, small(**PLAIN, batch_size=16), tmp_path_factory.mktemp("alone") / "run")


@pytest.mark.parametrize("parts", [3, 16])
def test_a_batch_in_parts_makes_the_same_step(parts: int, alone: Path, tiny_dataset: Path, tmp_path: Path) -> None:
    config = small(**PLAIN, batch_size=16, accumulate=parts)  # the last batch has 12 pairs: four parts are empty
    assert_same(alone, train(tiny_dataset, config, tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{}, {"second_phase": "released"}, {"system": "cls-max", "distillation_weight": 0.5, "select_on": "loss"}],
    ids=["paper", "released", "distilled"],
)
def test_two_processes_train_as_one_with_both_their_batches(
    changes: dict[str, Any], tiny_dataset: Path, tmp_path: Path
) -> None:
    """A classifier learns all soft labels by their weights; those of a generator would be drawn differently.

    The teacher's epoch is chosen by the loss, because epochs of equal F1@1 differ in the last bit.
    """
    config = small(**{**PLAIN, "epochs": 2}, batch_size=16, **changes)
    alone, out = train(tiny_dataset, config, tmp_path / "alone"), tmp_path / "run"
    argv = words(tiny_dataset, config, out)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    train_again = [sys.executable, *launcher, *argv[1:], "--json"]
    done, again = (
        subprocess.run(train_again, env=environment(), capture_output=True, text=True, check=False) for _ in range(2)
    )
    assert done.returncode == 0, done.stderr
    assert_same(alone, out)
    assert json.loads(done.stdout)["test"] == json.loads((out / "scores.json").read_text())["test"]
    assert again.returncode != 0
    assert "a finished run" in again.stderr
