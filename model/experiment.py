"""Whole runs: train and score a system, evaluate a finished run, sum several seeds up."""

import logging
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.config import Config
from model.data import FEATURES, Posts, Reader, available
from model.infer import predict
from model.metrics import score
from model.run import (
    Run,
    finish,
    fresh_run,
    is_finished,
    load_run,
    write_log,
    write_predictions,
)
from model.systems import get_system, wanted_inputs
from model.train import Epoch, Progress, Trainer, seed_everything
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import publish_json

logger = logging.getLogger(__name__)
DEFINITION = "cmkp"


def train_run(config: Config, dataset: Dataset, folder: Path, progress: Progress, overwrite: bool) -> dict[str, Any]:
    """Train one system with one seed into `folder`, score it, and return its summary. Test is read once, at the end."""
    claim(folder, overwrite)
    use_threads(config)
    seed_everything(config.seed)
    inputs = readable_inputs(config, dataset)
    reader = Reader(dataset, inputs)
    train, selection = reader.training_and_selection(config.train_split, config.select)
    run = fresh_run(folder, config, dataset, reader, inputs, train)
    publish_json(folder / "config.json", config.model_dump(mode="json"))
    lines: list[dict[str, object]] = []

    def report(epoch: Epoch) -> None:
        logger.info(epoch.as_text())
        lines.append(epoch.as_json())
        write_log(folder, run.facts, lines)

    trainer = Trainer(run.model, run.encode(train), run.encode(selection), run.vocabularies, config, progress)
    best = trainer.run(report)
    run = replace(run, facts=replace(run.facts, aggregate=best.aggregate))
    run.model.aggregate = best.aggregate
    run.save()
    scores: dict[str, Any] = {"select": _score_split(run, selection, config.select.replace(":", "-"), DEFINITION)}
    if reader.has_split("test") and config.train_split != "test":
        scores["test"] = _score_split(run, reader.split("test"), "test", DEFINITION)
    summary = {"system": config.system, "seed": config.seed, "best_epoch": best.epoch, "definition": DEFINITION}
    finish(folder, {**summary, **scores})
    return {"run": str(folder), **summary, **scores}


def claim(folder: Path, overwrite: bool) -> None:
    """Make sure that `folder` may be written to: new, empty, an unfinished run, or a finished one to overwrite."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "config.json").exists():
        raise UsageError(f"{folder}: not empty, and no run of ours. Give another --out.")
    if is_finished(folder):
        if not overwrite:
            raise UsageError(f"{folder}: a finished run. Give another --out, or --overwrite.")
        (folder / "scores.json").unlink()


def use_threads(config: Config) -> None:
    """As many as the configuration says; without a word torch's own choice stays."""
    if config.threads:
        torch.set_num_threads(config.threads)


def readable_inputs(config: Config, dataset: Dataset) -> list[str]:
    """What the system reads of what this dataset has; says so, and repeats the dataset's own warnings."""
    wanted = wanted_inputs(get_system(config.system), config)
    have = ["text", *available(dataset, wanted)]
    missing = [f"{name} ({FEATURES[name]})" for name in wanted if name not in have]
    left_out = f"; left out, because the dataset has no such feature: {', '.join(missing)}" if missing else ""
    notes = "".join(f"; note: {note}" for note in dataset.manifest.notes)
    logger.info(f"{config.system} reads {', '.join(have)}{left_out}{notes}")
    return have


def _score_split(run: Run, posts: Posts, name: str, definition: str) -> dict[str, Any]:
    predicted = predict(run.model, run.encode(posts), run.vocabularies, run.config)
    write_predictions(run.folder, name, posts, predicted)
    return scores_of(posts, predicted, definition)


def scores_of(posts: Posts, predicted: list[list[str]], definition: str) -> dict[str, Any]:
    """Scores over `all`, `present` and `absent`, where presence is in the text's own tokens."""
    scores = score([phrases or [""] for phrases in predicted], posts.keyphrases, posts.tokens, definition)
    return {"posts": len(posts), **scores}


def evaluate_run(folder: Path, dataset_folder: Path | None, split: str, definition: str) -> dict[str, Any]:
    """Scores of a finished run on a split of its own dataset, or of another one."""
    run = open_run(folder)
    posts = run.reader(Dataset(dataset_folder or run.facts.dataset)).split(split)
    predicted = predict(run.model, run.encode(posts), run.vocabularies, run.config)
    scores = scores_of(posts, predicted, definition)
    return {"run": str(folder), "split": split, "definition": definition, **scores}


def open_run(folder: Path) -> Run:
    """A finished run, ready to predict; UsageError where there is none."""
    if not is_finished(folder):
        raise UsageError(f"{folder}: no finished run. Train one with `python -m model train --out {folder}`.")
    run = load_run(folder)
    use_threads(run.config)
    return run


def summary_of_seeds(folder: Path, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation (of the sample) over seeds, written to summary.json."""
    part = "test" if all("test" in run for run in runs) else "select"
    names = runs[0][part]["all"]
    columns = {name: [run[part]["all"][name] for run in runs] for name in names}
    summary = {
        "runs": list(runs),
        "definition": DEFINITION,
        "split": part,
        "mean": {name: statistics.fmean(values) for name, values in columns.items()},
        "sd": {name: float(np.std(values, ddof=1)) for name, values in columns.items()},
    }
    publish_json(folder / "summary.json", summary)
    return summary
