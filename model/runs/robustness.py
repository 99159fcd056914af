"""How much of a run's score each input carries: it is taken away, exchanged among posts, or replaced by noise.

robustness-SPLIT.json in the run folder keeps the scores; a report shows them.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3h.model.data.altered import WAYS
from m3h.model.data.posts import Posts
from m3h.model.decoding.predict import Progress, in_silence
from m3h.model.runs.evaluate import load_or_predict, open_run, predict_altered, score_records
from m3h.model.runs.run import Run, dataset_for
from m3h.model.scoring.predictions import Record
from m3h.model.scoring.significance import paired_difference
from m3h.model.systems import TEXT_ENCODER
from m3h.schemas.files import publish_json, read_json, validating

logger = logging.getLogger(__name__)
PICTURE = "all of the picture"
"""Everything that a run reads but the text, as one input."""
SCORE = ("f1", 1)


def robustness(
    folder: Path, dataset_folder: Path | None, split: str, *, definition: str, progress: Progress = in_silence
) -> dict[str, Any]:
    """The scores of a finished run with each of its inputs altered in each way.

    `rows` has one entry for each input and way: the scores of `all`, `present` and `absent`, the `difference` of F1@1
    from the plain run, and `p` of a paired t-test, None without scipy. Of the run's own dataset it is also stored.

    Raises UsageError: there is no finished run, or the split has no posts.

    Args:
        folder: the run.
        dataset_folder: another dataset; None for the one it was trained on.
        split: train, valid, test or all.
        definition: of the scores.
        progress: shows how far a prediction is.
    """
    plain = load_or_predict(folder, dataset_folder, split, progress=progress)
    run = open_run(folder)
    posts = run.reader(dataset_for(folder, run.metadata, dataset_folder)).split(split)
    found = {
        **{"run": str(folder), "split": split, "definition": definition},
        **score_records(plain, definition),
        "rows": [
            {"input": name, "way": way, **_scored(records, plain, definition)}
            for name, way, records in _altered(run, posts, progress)
        ],
    }
    if dataset_folder is None:
        publish_json(robustness_file(folder, split), found)
    return found


def _altered(run: Run, posts: Posts, progress: Progress) -> Iterator[tuple[str, str, list[Record]]]:
    inputs = {name: [name] for name in run.metadata.inputs}
    of_picture = [name for name in inputs if name not in ("text", TEXT_ENCODER)]
    if len(of_picture) > 1:
        inputs[PICTURE] = of_picture
    for name, altered in inputs.items():
        for way in WAYS:
            logger.info(f"{run.folder}: {name}, {way}")
            yield name, way, predict_altered(run, posts, {way: altered}, progress=progress)


def _scored(records: Sequence[Record], plain: Sequence[Record], definition: str) -> dict[str, Any]:
    scores = score_records(records, definition)
    difference, p = paired_difference(records, plain, SCORE, definition=definition)
    return {**scores, "difference": difference, "p": p}


def robustness_file(folder: Path, split: str) -> Path:
    """Where a run keeps its robustness on a split."""
    return folder / f"robustness-{split}.json"


@dataclass(frozen=True)
class Robustness:
    """What `robustness` stored of a run: F1@1 of the plain run, and of each input and way, with p."""

    definition: str
    plain: float
    altered: Mapping[tuple[str, str], tuple[float, float | None]]


def read_robustness(folder: Path, split: str) -> Robustness | None:
    """What `robustness` stored; None where it never ran.

    Raises:
        IntegrityError: the file is damaged.
    """
    if not robustness_file(folder, split).is_file():
        return None
    with validating(robustness_file(folder, split)) as path:
        found = read_json(path)
        altered = {(str(row["input"]), str(row["way"])): (_f1(row), _number(row["p"])) for row in found["rows"]}
        return Robustness(str(found["definition"]), _f1(found), altered)


def _f1(scores: Mapping[str, Any]) -> float:
    return float(scores["all"]["f1@1"])


def _number(p: Any) -> float | None:
    return None if p is None else float(p)
