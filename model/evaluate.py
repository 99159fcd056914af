"""A finished run on a split: its predictions, their scores, parts of the split, and another run on the same posts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from model.compare import compare
from model.config import Config, changed_search
from model.data import Posts
from model.infer import predict
from model.memory import keep_large_blocks
from model.metrics import score
from model.predictions import Record, read_records, records_of, write_records
from model.run import Run, is_finished, load_run
from model.subsets import scores_of_parts
from model.systems import get_system, ranking_of
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import read_json, told_of

DEFINITION = "cmkp"


def scores_of(records: Sequence[Record], definition: str) -> dict[str, Any]:
    """Scores over `all`, `present` and `absent`, where presence is in the text's own tokens."""
    found, wanted = [record.phrases for record in records], [record.keyphrases for record in records]
    scores = score(found, wanted, [record.tokens for record in records], definition)
    return {"posts": len(records), **scores}


def evaluate_run(
    folder: Path,
    dataset_folder: Path | None,
    split: str,
    definition: str,
    against: Path | None = None,
    sets: Sequence[str] = (),
) -> dict[str, Any]:
    """Scores of a finished run on a split of its own dataset, or of another one.

    sets: changes of how the run searches and ranks, see `changed_search`; the other run's stay as they were. Besides
    `scores_of`: `parts` of the split, and with another run `against` it the comparison of the two.
    """
    records = predictions_of(folder, dataset_folder, split, sets)
    with told_of(folder / "keyphrases.json") as path:
        training = {str(phrase): int(posts) for phrase, posts in read_json(path).items()}
    told: dict[str, Any] = {"run": str(folder), "split": split, "definition": definition}
    told |= {**scores_of(records, definition), "parts": scores_of_parts(records, training, definition)}
    if against:
        told["against"] = str(against)
        told["comparison"] = compare(records, predictions_of(against, dataset_folder, split), definition)
    return told


def predictions_of(folder: Path, dataset_folder: Path | None, split: str, sets: Sequence[str] = ()) -> list[Record]:
    """Of a finished run: those it has for its own dataset, else made now; with `sets`, made and not kept."""
    file = predictions_file(folder, split)
    if dataset_folder is None and is_finished(folder) and file.exists() and not sets:
        return read_records(file)
    run = open_run(folder, sets)
    posts = run.reader(Dataset(dataset_folder or run.facts.dataset)).split(split)
    if dataset_folder is None and not sets:
        return predicted(run, split, posts)
    return records_of(posts, predict(run.model, run.encode(posts), run.vocabularies, run.config))


def open_run(folder: Path, sets: Sequence[str] = ()) -> Run:
    """A finished run, ready to predict, its search changed by `sets`; UsageError where there is none."""
    if not is_finished(folder):
        raise UsageError(f"{folder}: no finished run. Train one with `python -m model train --out {folder}`.")
    config = changed_search(folder / "config.json", sets)
    ranking_of(get_system(config.system), config)
    run = replace(load_run(folder), config=config)
    use_threads(config)
    return run


def predicted(run: Run, name: str, posts: Posts) -> list[Record]:
    """Predictions of a split, kept in the run's folder."""
    ranked = predict(run.model, run.encode(posts), run.vocabularies, run.config)
    records = records_of(posts, ranked)
    write_records(predictions_file(run.folder, name), records)
    return records


def predictions_file(folder: Path, split: str) -> Path:
    """Where a run keeps them."""
    return folder / "predictions" / f"{split}.jsonl"


def use_threads(config: Config) -> None:
    """As many as the configuration says, or torch's own choice; freed memory is kept for the next step."""
    keep_large_blocks()
    if config.threads:
        torch.set_num_threads(config.threads)
