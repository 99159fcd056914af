"""What a run's scores are worth, and which of its phrases to give: `scoring.calibration` over a run folder."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from m3h.model.config import Config
from m3h.model.runs.run import predictions_file, read_description
from m3h.model.scoring.calibration import BIN, Calibration, Choice, chosen_record
from m3h.model.scoring.metrics import match_phrases
from m3h.model.scoring.predictions import Record, read_records
from m3h.schemas.errors import UsageError

logger = logging.getLogger(__name__)


def calibration_of(folder: Path, config: Config) -> Calibration:
    """What a finished run's scores are worth, by what it predicted for the posts that it was selected by.

    Raises:
        UsageError: those predictions are not there, or none of those posts has a keyphrase.
    """
    file = predictions_file(folder, selection_name(config))
    if not file.is_file():
        again = f"m3h evaluate {folder} --split {config.select}" if ":" not in config.select else "train the run again"
        raise UsageError(f"{file}: not there, and chances are learned from it: {again}")
    records = read_records(file)
    try:
        learned = Calibration.fit(records)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    if len(learned.score_b) == 1:
        logger.warning(f"{file}: all scores have one chance: it has fewer than {2 * BIN} phrases, or one score.")
    return learned


def learned_from(split: str, config: Config) -> bool:
    """Whether the run's chances are learned from posts of this split, where they say nothing of other posts."""
    return split in (config.select, "all") or (config.select.startswith("last:") and split == config.train_split)


def selection_name(config: Config) -> str:
    """The name of the selection posts' file of predictions."""
    return config.select.replace(":", "-")


def chooser(folder: Path, choice: Choice | None) -> Callable[[Sequence[Record]], Sequence[Record]]:
    """What leaves the chosen phrases alone in records of a run; all of them where nothing is to be chosen.

    Raises UsageError: as `calibration_of`.
    """
    if choice is None:
        return lambda records: records
    calibration = calibration_of(folder, read_description(folder)[0])
    return lambda records: [chosen_record(record, choice, calibration) for record in records]


def counts_of(records: Sequence[Record]) -> dict[str, Any]:
    """Of posts with keyphrases: how many `phrases`, for how many `posts`, the share that is `right`; None for none."""
    scored = [record for record in records if record.keyphrases and record.predictions]
    right = [hit for record in scored for hit in match_phrases(record.phrases, record.keyphrases, "aimkp").r]
    return {"phrases": len(right), "posts": len(scored), "right": sum(right) / len(right) if right else None}
