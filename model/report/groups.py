"""Finished runs with their predictions, in groups: runs that differ by their seed alone are one group."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from m3h.model.config import Config
from m3h.model.decoding.predict import Progress, in_silence
from m3h.model.runs.chances import calibration_of, learned_from
from m3h.model.runs.evaluate import open_run, predict_records, read_frequencies
from m3h.model.runs.finished import SCORES, require_finished
from m3h.model.runs.robustness import Robustness, read_robustness
from m3h.model.runs.run import RunMetadata, dataset_for, is_own_dataset, predictions_file, read_description
from m3h.model.scoring.calibration import Calibration
from m3h.model.scoring.predictions import Record, read_records, write_records
from m3h.model.training.state import Epoch
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import M3hError, UsageError
from m3h.schemas.files import parsed_json, read_json, validating

logger = logging.getLogger(__name__)
_FOLLOWING = ("inputs", "features")
"""Parts of an identity that mostly follow from its settings."""


@dataclass(frozen=True)
class FinishedRun:
    """A finished run and its predictions of one split. is_own: whether the posts are of the dataset it learned from."""

    folder: Path
    config: Config
    metadata: RunMetadata
    split: str
    records: Sequence[Record]
    is_own: bool = True

    @cached_property
    def best_epoch(self) -> int:
        """The epoch of the weights; 0 for a system without training."""
        with validating(self.folder / SCORES) as path:
            return int(read_json(path)["best_epoch"])

    @cached_property
    def epochs(self) -> list[Epoch]:
        """The epochs of the log; none for a system without training."""
        log = self.folder / "log.jsonl"
        if not log.is_file():
            return []
        with validating(log):
            lines = [parsed_json(line, log) for line in log.read_bytes().splitlines()]
            return [Epoch.from_json(line) for line in lines if "f1" in line]

    @cached_property
    def frequencies(self) -> dict[str, int]:
        """How many training posts have each keyphrase."""
        return read_frequencies(self.folder)

    @cached_property
    def robustness(self) -> Robustness | None:
        """What `evaluate --robustness` kept of the split; None where it never ran."""
        return read_robustness(self.folder, self.split)

    @cached_property
    def chances(self) -> Calibration | str:
        """What its scores are worth; or why that is not known, or would be no test of it here."""
        if self.is_own and learned_from(self.split, self.config):
            return f"{self.folder}: its chances were learned from these posts; make a report of others."
        try:
            return calibration_of(self.folder, self.config)
        except M3hError as error:
            return str(error)

    @property
    def identity(self) -> dict[str, Any]:
        """All that two runs of one group have in common."""
        settings = self.config.model_dump(mode="json", exclude={"seed", "device", "threads", "tensorboard"})
        return {**settings, "inputs": self.metadata.inputs, "features": self.metadata.features}


@dataclass(frozen=True)
class Group:
    """Runs of one system, one a seed."""

    label: str
    runs: Sequence[FinishedRun]


def dataset_of(folder: Path, dataset_folder: Path | None) -> Dataset:
    """The dataset whose posts a run is asked about.

    Raises UsageError: there is no finished run, or no such dataset. Raises IntegrityError: a file is damaged.

    Args:
        folder: the run.
        dataset_folder: where the posts are; None for the dataset that the run was trained on.
    """
    require_finished(folder)
    return dataset_for(folder, read_description(folder)[1], dataset_folder)


def read_run(folder: Path, dataset_folder: Path | None, split: str, progress: Progress = in_silence) -> FinishedRun:
    """A finished run with its predictions, which say where each phrase comes from. New predictions are stored.

    Raises UsageError: there is no finished run, or the split has no posts. Raises IntegrityError: a file is damaged.

    Args:
        folder: the run.
        dataset_folder: where the posts are; None for the dataset that the run was trained on.
        split: train, valid, test or all.
        progress: shows how far a prediction is.
    """
    dataset = dataset_of(folder, dataset_folder)
    config, metadata = read_description(folder)
    is_own = is_own_dataset(metadata, dataset_folder)
    stored = predictions_file(folder, split)
    records = read_records(stored) if is_own and stored.is_file() else []
    if not records or any(one.attribution is None for record in records for one in record.predictions):
        records = _predicted(folder, dataset, split, records=records, progress=progress)
        if is_own:
            write_records(stored, records)
    return FinishedRun(folder, config, metadata, split, records, is_own)


def _predicted(
    folder: Path, dataset: Dataset, split: str, *, records: list[Record], progress: Progress
) -> list[Record]:
    """New predictions; of those that are there, where the phrases come from, if the dataset still has these posts."""
    run = open_run(folder)
    posts = run.reader(dataset).split(split)
    if records and [record.post_id for record in records] != posts.ids:
        return records
    logger.info(f"{folder}: {'where the phrases come from' if records else 'predicting'} ({split})")
    return predict_records(run, posts, records or None, progress=progress)


def grouped(runs: Sequence[FinishedRun]) -> list[Group]:
    """The runs in groups, in the order in which the groups begin. A label names the system and what sets it apart.

    Raises:
        UsageError: the runs predicted other posts, or a run is given twice.
    """
    if len({run.folder.resolve() for run in runs}) < len(runs):
        raise UsageError("report: a run is named twice.")
    first = runs[0]
    for run in runs[1:]:
        if [(r.post_id, r.keyphrases) for r in run.records] != [(r.post_id, r.keyphrases) for r in first.records]:
            raise UsageError(
                f"report: {first.folder} and {run.folder} were not scored on the same posts. Make a report of each, or "
                "name one --dataset for both."
            )
    members: dict[str, list[FinishedRun]] = {}
    for run in runs:
        members.setdefault(str(run.identity), []).append(run)
    identities = [found[0].identity for found in members.values()]
    labels = [_label(identity, identities) for identity in identities]
    return [Group(label, found) for label, found in zip(labels, members.values(), strict=True)]


def _label(identity: dict[str, Any], identities: Sequence[dict[str, Any]]) -> str:
    """The system, and the fields in which groups of the same system differ."""
    same = [other for other in identities if other["system"] == identity["system"]]
    names = [name for name in identity if len({str(other[name]) for other in same}) > 1]
    settings = [name for name in names if name not in _FOLLOWING] or names
    return " ".join([str(identity["system"]), *(f"{name}={_value(identity[name])}" for name in settings)])


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{of}" for name, of in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
