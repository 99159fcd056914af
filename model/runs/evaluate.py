"""A finished run on a split: predictions, scores, scores of subsets, and a comparison with another run."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from m3h.model.config import Config, changed_search
from m3h.model.data.altered import alter
from m3h.model.data.posts import Posts
from m3h.model.decoding.attribution import attributed
from m3h.model.decoding.predict import Progress, RankedPhrase, in_silence, predict
from m3h.model.decoding.reranking import RERANKER_FILE
from m3h.model.runs.chances import chooser, counts_of, learned_from
from m3h.model.runs.finished import is_finished, require_finished
from m3h.model.runs.run import Run, dataset_for, is_own_dataset, load_run, predictions_file, read_description
from m3h.model.runs.unseen import unseen_records
from m3h.model.scoring.calibration import Choice
from m3h.model.scoring.metrics import score
from m3h.model.scoring.predictions import Record, make_records, read_records, with_scores, write_records
from m3h.model.scoring.significance import compare, scipy_stats
from m3h.model.scoring.subsets import subset_scores
from m3h.model.systems import TEXT_ENCODER, get_system, input_name, resolve_ranking
from m3h.model.training.allocator import keep_large_blocks
from m3h.schemas.errors import UsageError, unknown_name
from m3h.schemas.files import read_json, validating

logger = logging.getLogger(__name__)
Ways = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Changes:
    """What is changed about a finished run before it predicts.

    sets: FIELD=VALUE of its search, see `changed_search`. ways: `without`, `shuffle` or `noise` -> the inputs that it
    is done to, see `data.altered`. Each is named by itself, by its feature, or by the modality of several.
    """

    sets: Sequence[str] = ()
    ways: Ways = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.sets or any(self.ways.values()))


UNCHANGED = Changes()


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
    changes: Changes = UNCHANGED,
    choice: Choice | None = None,
    progress: Progress = in_silence,
) -> dict[str, Any]:
    """The scores of a finished run on a split: `score_records`, `subsets` of the split, and those without leaks.

    `leak_free` has the scores of the posts that share nothing with training, see `runs.unseen`. `chosen` says how many
    phrases were chosen for how many posts, and the share of them that is right.

    Raises UsageError: there is no finished run, the split has no posts, a field cannot be changed, or scipy is missing
    for a comparison. Raises IntegrityError: a file of the run is missing or damaged.

    Args:
        folder: the run.
        dataset_folder: another dataset; None for the one it was trained on.
        split: train, valid, test or all.
        definition: of the scores.
        against: another run, which adds a `comparison`.
        changes: of this run. The other run stays as it is.
        choice: which phrases of each post count; None for all. Of the other run, the same choice by its own chances.
        progress: shows how far a prediction is.
    """
    if against:
        scipy_stats()  # before anything is predicted
    choose = chooser(require_finished(folder), choice)
    choose_others = chooser(require_finished(against), choice) if against else choose
    if choice:
        for run in (folder, against) if against else (folder,):
            _warn_of_learned(run, dataset_folder, split)
    records = choose(load_or_predict(folder, dataset_folder, split, changes=changes, progress=progress))
    scores: dict[str, Any] = {"run": str(folder), "split": split, "definition": definition}
    scores |= {way: list(names) for way, names in changes.ways.items() if names}
    scores |= {**score_records(records, definition)}
    if choice:
        scores["chosen"] = counts_of(records)
    scores["subsets"] = subset_scores(records, read_frequencies(folder), definition)
    if (unseen := unseen_records(folder, dataset_folder, records)) is not None:
        scores["leak_free"] = score_records(unseen, definition)
    if against:
        scores["against"] = str(against)
        others = choose_others(load_or_predict(against, dataset_folder, split, progress=progress))
        scores["comparison"] = compare(records, others, definition)
    return scores


def _warn_of_learned(folder: Path, dataset_folder: Path | None, split: str) -> None:
    """Say it where a run's chances were learned from the posts that it is asked about, in whatever folder they lie."""
    config, metadata = read_description(folder)
    if learned_from(split, config) and is_own_dataset(metadata, dataset_folder):
        logger.warning(f"{folder}: its chances were learned from these posts, and hold for them more than for others.")


def read_frequencies(folder: Path) -> dict[str, int]:
    """How many training posts of a run have each keyphrase.

    Raises:
        IntegrityError: keyphrases.json is missing or damaged.
    """
    with validating(folder / "keyphrases.json") as path:
        return {str(phrase): int(posts) for phrase, posts in read_json(path).items()}


def load_or_predict(
    folder: Path,
    dataset_folder: Path | None,
    split: str,
    *,
    changes: Changes = UNCHANGED,
    progress: Progress = in_silence,
) -> list[Record]:
    """The predictions of a finished run: those in its folder, or new ones.

    New predictions for the run's own dataset are stored in its folder, unless the search or the inputs are changed.

    Raises UsageError: there is no finished run, the split has no posts, or the run does not read an input.

    Args:
        folder: the run.
        dataset_folder: another dataset; None for the one it was trained on.
        split: train, valid, test or all.
        changes: of the run.
        progress: shows how far a prediction is.
    """
    file = predictions_file(folder, split)
    if dataset_folder is None and is_finished(folder) and file.exists() and not changes:
        return read_records(file)
    run = open_run(folder, changes.sets)
    posts = run.reader(dataset_for(folder, run.metadata, dataset_folder)).split(split)
    if dataset_folder is None and not changes:
        return predict_split(run, split, posts, progress)
    return predict_altered(run, posts, changes.ways, progress=progress)


def predict_altered(run: Run, posts: Posts, ways: Ways, *, progress: Progress = in_silence) -> list[Record]:
    """The predictions of a run whose inputs are altered. Text and words of the records are those of the posts.

    Raises UsageError: the run does not read an input, or two things are to be done to one.

    Args:
        run: a trained run.
        posts: of one split.
        ways: as in `Changes`.
        progress: shows how far it is.
    """
    named = {way: [known for name in names for known in named_inputs(run, name)] for way, names in ways.items()}
    every = [name for names in named.values() for name in names]
    if twice := next((name for name in every if every.count(name) > 1), None):
        raise UsageError(f"the input {twice} is named twice; one thing can be done to it at a time.")
    readable = run.with_sentences(posts) if TEXT_ENCODER in every else posts
    encoded = run.encode(alter(readable, named) if every else posts)
    ranked = predict(run.model, encoded, run.vocabularies, config=run.config, reranker=run.reranker, progress=progress)
    return make_records(posts, ranked)


def named_inputs(run: Run, name: str) -> list[str]:
    """The inputs that a name stands for: one, by its name or its feature's; or all of a modality.

    Raises:
        UsageError: the run does not read one.
    """
    inputs, kinds = run.metadata.inputs, run.metadata.kinds
    if input_name(name) in inputs:
        return [input_name(name)]
    if found := [known for known in inputs if kinds.get(known) == name and known != TEXT_ENCODER]:
        return found
    raise unknown_name(f"input of {run.folder}", name, inputs)


def open_run(folder: Path, sets: Sequence[str] = ()) -> Run:
    """A finished run, ready to predict. sets: FIELD=VALUE of its search.

    Raises:
        UsageError: there is no finished run, a field cannot be changed, or the run has no reranker for its ranking.
    """
    require_finished(folder)
    config = changed_search(folder / "config.json", sets)
    ranking = resolve_ranking(get_system(config.system), config)
    run = replace(load_run(folder), config=config)
    if ranking == "reranked" and run.reranker is None:
        raise UsageError(
            f"ranking=reranked: {folder} has no {RERANKER_FILE}. Runs of before there was such a ranking have none: "
            "choose another one, or train again."
        )
    configure_cpu(config)
    return run


def predict_split(run: Run, name: str, posts: Posts, progress: Progress = in_silence) -> list[Record]:
    """Predict these posts and store the predictions in the run folder.

    Args:
        run: a trained run.
        name: of the file, such as `test`.
        posts: of the split.
        progress: shows how far it is.
    """
    records = predict_records(run, posts, progress=progress)
    write_records(predictions_file(run.folder, name), records)
    return records


def predict_records(
    run: Run, posts: Posts, known: Sequence[Record] | None = None, *, progress: Progress = in_silence
) -> list[Record]:
    """Predictions of these posts that say where each phrase comes from.

    Args:
        run: a trained run.
        posts: of one split.
        known: its predictions of these posts, to which only that is added; None predicts.
        progress: shows how far it is.
    """
    encoded = run.encode(posts)
    ranked: Sequence[Sequence[RankedPhrase]] = [
        [RankedPhrase(one.phrase, one.score or 0.0) for one in record.predictions] for record in known or ()
    ] or predict(run.model, encoded, run.vocabularies, config=run.config, reranker=run.reranker, progress=progress)
    found = attributed(run.model, encoded, run.vocabularies, config=run.config, ranked=ranked, progress=progress)
    records = make_records(posts, found)
    return [with_scores(*pair) for pair in zip(records, known, strict=True)] if known else records


def configure_cpu(config: Config) -> None:
    """Set the number of threads, if the configuration has one, and keep freed memory for the next step."""
    keep_large_blocks()
    if config.threads:
        torch.set_num_threads(config.threads)
