"""What a run's scores are worth, and which of its phrases to give: `scoring.calibration` over a run folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from m3h.model.config import Config
from m3h.model.runs.run import predictions_file, read_description
from m3h.model.scoring.calibration import Calibration, Choice, chosen_record, phrases_right
from m3h.model.scoring.predictions import Record, read_records
from m3h.schemas.errors import UsageError


def calibration_of(folder: Path, config: Config) -> Calibration:
    """What a finished run's scores are worth, by what it predicted for the posts that it was selected by.

    Raises:
        UsageError: those predictions are not there, or none of those posts has a keyphrase.
    """
    file = predictions_file(folder, selection_name(config))
    if not file.is_file():
        raise UsageError(f"{file}: not there, and chances are learned from it. Train the run again.")
    try:
        return Calibration.fit(read_records(file))
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


def selection_name(config: Config) -> str:
    """The name of the selection posts' file of predictions."""
    return config.select.replace(":", "-")


def chosen(records: Sequence[Record], folder: Path, choice: Choice) -> list[Record]:
    """The records of a run with the chosen phrases alone. Raises UsageError: as `calibration_of`."""
    calibration = calibration_of(folder, read_description(folder)[0])
    return [chosen_record(record, choice, calibration) for record in records]


def counts_of(records: Sequence[Record]) -> dict[str, Any]:
    """How many `phrases` were chosen, for how many `posts`, and the share of them that is `right`; None for none."""
    counts = [len(record.predictions) for record in records]
    right = [hit for record in records if record.keyphrases for _, hit in phrases_right(record)]
    share = sum(right) / len(right) if right else None
    return {"phrases": sum(counts), "posts": sum(map(bool, counts)), "right": share}
