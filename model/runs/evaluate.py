"""A finished run on a split: predictions, scores, scores of subsets, and a comparison with another run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from m3h.model.config import Config, changed_search
from m3h.model.data.posts import Posts
from m3h.model.decoding.predict import predict
from m3h.model.runs.run import Run, is_finished, load_run
from m3h.model.scoring.metrics import score
from m3h.model.scoring.predictions import Record, make_records, read_records, write_records
from m3h.model.scoring.significance import compare, scipy_stats
from m3h.model.scoring.subsets import subset_scores
from m3h.model.systems import get_system, input_name, resolve_ranking
from m3h.model.training.allocator import keep_large_blocks
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError, unknown_name
from m3h.schemas.files import read_json, validating


def score_records(records: Sequence[Record], definition: str) -> dict[str, Any]:
    """`posts`, and the scores of `all`, `present` and `absent` phrases. Presence is in the text's own tokens."""
    predicted, gold = [record.phrases for record in records], [record.keyphrases for record in records]
    scores = score(predicted, gold, [record.tokens for record in records], definition=definition)
    return {"posts": len(records), **scores}


def evaluate_run(
    folder: Path,
    dataset_folder: Path | None,
    split: str,
    *,
    definition: str,
    against: Path | None = None,
    sets: Sequence[str] = (),
    without: Sequence[str] = (),
) -> dict[str, Any]:
    """The scores of a finished run on a split: `score_records`, and `subsets` of the split.

    Raises UsageError: there is no finished run, the split has no posts, a field cannot be changed, or scipy is missing
    for a comparison. Raises IntegrityError: a file of the run is missing or damaged.

    Args:
        folder: the run.
        dataset_folder: another dataset; None for the one it was trained on.
        split: train, valid, test or all.
        definition: of the scores.
        against: another run, which adds a `comparison`.
        sets: FIELD=VALUE of the search of this run, see `changed_search`. The other run stays as it is.
        without: inputs that this run is not shown, though it was trained with them.
    """
    if against:
        scipy_stats()  # before anything is predicted
    records = load_or_predict(folder, dataset_folder, split, sets=sets, without=without)
    with validating(folder / "keyphrases.json") as path:
        training = {str(phrase): int(posts) for phrase, posts in read_json(path).items()}
    scores: dict[str, Any] = {"run": str(folder), "split": split, "definition": definition}
    scores |= {"without": list(without)} if without else {}
    scores |= {**score_records(records, definition), "subsets": subset_scores(records, training, definition)}
    if against:
        scores["against"] = str(against)
        scores["comparison"] = compare(records, load_or_predict(against, dataset_folder, split), definition)
    return scores


def load_or_predict(
    folder: Path, dataset_folder: Path | None, split: str, *, sets: Sequence[str] = (), without: Sequence[str] = ()
) -> list[Record]:
    """The predictions of a finished run: those in its folder, or new ones.

    New predictions for the run's own dataset are stored in its folder, unless the search or the inputs are changed.

    Raises UsageError: there is no finished run, the split has no posts, or the run does not read an input.

    Args:
        folder: the run.
        dataset_folder: another dataset; None for the one it was trained on.
        split: train, valid, test or all.
        sets: FIELD=VALUE of the search.
        without: inputs that the run is not shown.
    """
    file = predictions_file(folder, split)
    if dataset_folder is None and is_finished(folder) and file.exists() and not sets and not without:
        return read_records(file)
    run = open_run(folder, sets)
    posts = run.reader(Dataset(dataset_folder or run.metadata.dataset)).split(split)
    if dataset_folder is None and not sets and not without:
        return predict_split(run, split, posts)
    encoded = run.encode(posts.without(_known(run, without)))
    return make_records(posts, predict(run.model, encoded, run.vocabularies, config=run.config))


def _known(run: Run, without: Sequence[str]) -> list[str]:
    """The inputs by the names that the run has for them.

    Raises:
        UsageError: the run does not read one, or it is the text.
    """
    known = [name for name in run.metadata.inputs if name != "text"]
    for name in map(input_name, without):
        if name not in known:
            raise unknown_name(f"input of {run.folder}", name, known)
    return [input_name(name) for name in without]


def open_run(folder: Path, sets: Sequence[str] = ()) -> Run:
    """A finished run, ready to predict. sets: FIELD=VALUE of its search.

    Raises:
        UsageError: there is no finished run, or a field cannot be changed.
    """
    if not is_finished(folder):
        raise UsageError(f"{folder}: no finished run. Train one with `m3h train --out {folder}`.")
    config = changed_search(folder / "config.json", sets)
    resolve_ranking(get_system(config.system), config)
    run = replace(load_run(folder), config=config)
    configure_cpu(config)
    return run


def predict_split(run: Run, name: str, posts: Posts) -> list[Record]:
    """Predict these posts and store the predictions in the run folder.

    Args:
        run: a trained run.
        name: of the file, such as `test`.
        posts: of the split.
    """
    ranked = predict(run.model, run.encode(posts), run.vocabularies, config=run.config)
    records = make_records(posts, ranked)
    write_records(predictions_file(run.folder, name), records)
    return records


def predictions_file(folder: Path, split: str) -> Path:
    """Where a run stores its predictions of a split."""
    return folder / "predictions" / f"{split}.jsonl"


def configure_cpu(config: Config) -> None:
    """Set the number of threads, if the configuration has one, and keep freed memory for the next step."""
    keep_large_blocks()
    if config.threads:
        torch.set_num_threads(config.threads)
