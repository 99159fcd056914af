"""Three small runs on a dataset with pictures, words in them, attributes, objects, and texts that are hostile."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from m3h.model.config import Config
from m3h.model.report.folder import RunReport, Wanted, report
from m3h.model.runs.experiment import train_run
from m3h.model.runs.robustness import robustness
from m3h.schemas.dataset import Dataset
from tests.pipeline.report.shown import make

SMALL: dict[str, Any] = {
    **{"word_width": 8, "width": 16, "heads": 2, "head_width": 4, "encoder_layers": 1, "text_layers": 1, "threads": 1},
    **{
        "batch_size": 32,
        "epochs": 6,
        "warmup_epochs": 2,
        "dropout": 0.0,
        "learning_rate": 0.01,
        "beam": 3,
        "n_best": 3,
    },
}


@dataclass(frozen=True)
class Reported:
    """A dataset, runs on it, and their report. The first two runs differ by their seed alone."""

    dataset: Path
    runs: list[Path]
    made: RunReport


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("reported")
    dataset = make(folder / "harbour")
    configs = {
        "full-1": Config(**SMALL, system="cls-m3h+wording", seed=1, vision=("butd_objects",)),
        "full-2": Config(**SMALL, system="cls-m3h+wording", seed=2, vision=("butd_objects",)),
        "text": Config(**SMALL, system="gen-copy", seed=1),
    }
    for name, config in configs.items():
        train_run(config, Dataset(dataset), folder / "runs" / name, progress=lambda batches, title: batches)
    runs = [folder / "runs" / name for name in configs]
    robustness(runs[0], None, "test", definition="cmkp")
    (runs[-1] / "predictions" / "valid.jsonl").unlink()  # its chances are not known, which the page says with a path
    return Reported(dataset, runs, report(runs, folder / "report", Wanted("test", "cmkp")))
