"""A file of predictions: one JSON object a post and line, with everything that scoring needs.

    {"post_id": "1084067481769032701",
     "tokens": ["this", "is", "how", ...],            the text as the model read it
     "keyphrases": ["ocean waves", "stormy sea"],     the gold ones
     "ocr": ["sale"], "attributes": ["man", "sea"],   of its image; empty where there are none
     "predictions": [{"phrase": "ocean waves", "score": 0.31, "attribution": "classifier"}, ...]}     best first

`score` needs only `keyphrases`, `predictions`, and the `phrase` of each prediction.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from m3h.model.scoring.metrics import Scores, score
from m3h.model.text.phrase_lines import read_lines, split_phrases
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_text

if TYPE_CHECKING:  # `score` needs neither, and torch takes seconds
    from m3h.model.data.posts import Posts
    from m3h.model.decoding.predict import RankedPhrase


class Prediction(pydantic.BaseModel):
    """One phrase. score: as in `RankedPhrase`. attribution, chance: as in `Keyphrase`, if `predict` wrote the file."""

    phrase: str
    score: pydantic.FiniteFloat | None = None
    attribution: str | None = None
    chance: float | None = None


class Record(pydantic.BaseModel):
    """One line. Fields that scoring does not need may be missing."""

    post_id: str = ""
    tokens: list[str] = []
    keyphrases: list[str]
    ocr: list[str] = []
    attributes: list[str] = []
    predictions: list[Prediction]

    @property
    def phrases(self) -> list[str]:
        """The predicted phrases, best first. None at all count as the empty phrase, as in the original release."""
        return [prediction.phrase for prediction in self.predictions] or [""]


def make_records(posts: "Posts", ranked: "Sequence[Sequence[RankedPhrase]]") -> list[Record]:
    """The records of these posts and their predictions."""
    columns = (posts.ids, posts.tokens, posts.keyphrases, posts.ocr, posts.attributes, ranked)
    return [
        Record(post_id=i, tokens=t, keyphrases=k, ocr=o, attributes=a, predictions=[Prediction(**asdict(p)) for p in r])
        for i, t, k, o, a, r in zip(*columns, strict=True)
    ]


def with_scores(record: Record, known: Record) -> Record:
    """The record with the scores that are known of its phrases; none where none is."""
    pairs = zip(record.predictions, known.predictions, strict=True)
    return record.model_copy(update={"predictions": [p.model_copy(update={"score": q.score}) for p, q in pairs]})


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Inverse of `read_records`."""
    lines = (json.dumps(record.model_dump(exclude_none=True), ensure_ascii=False) for record in records)
    publish_text(path, "".join(f"{line}\n" for line in lines))


def read_records(path: Path) -> list[Record]:
    """The records of a file.

    Raises:
        UsageError: a line is not as described above. The message names the line.
    """
    records = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            records.append(Record.model_validate_json(line))
        except pydantic.ValidationError as error:
            raise UsageError(f"{path}, line {number}: {_first_fault(error)}") from error
    return records


def _first_fault(error: pydantic.ValidationError) -> str:
    first: Any = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field + ': ' if field else ''}{first['msg']}. Each line is a JSON object with keyphrases and predictions."


def score_files(
    predictions: Path, targets: Path | None, sources: Path | None, *, definition: str
) -> tuple[int, dict[str, Scores]]:
    """How many posts, and their scores as in `metrics.score`.

    Args:
        predictions: a .jsonl file of records, or a file of one line a post.
        targets: gold phrases, one line a post; None for a .jsonl file.
        sources: tokens, one line a post, or None.
        definition: of the scores.

    Raises:
        UsageError: a file is missing or wrong, or the files do not have the same number of lines.
    """
    if predictions.suffix == ".jsonl":
        return _score_records(predictions, targets or sources, definition)
    if targets is None:
        raise UsageError(f"score: {predictions} has no keyphrases in it; give them with --targets.")
    columns = {path: read_lines(path) for path in (predictions, targets, sources) if path}
    for path in (predictions, targets):
        _refuse_other_files(path, columns[path])
    counts = {path: len(lines) for path, lines in columns.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{path} has {count:,} lines" for path, count in counts.items())
        raise UsageError(f"the files do not align, one post a line: {listed}.")
    predicted, gold = ([split_phrases(line) for line in columns[path]] for path in (predictions, targets))
    texts = [line.split() for line in columns[sources]] if sources else None
    return counts[predictions], score(predicted, gold, texts, definition=definition)


def _refuse_other_files(path: Path, lines: Sequence[str]) -> None:
    """UsageError for a table or for JSON: each of its lines would count as one wrong phrase."""
    filled = [line for line in lines if line.strip()]
    separator = next((name for name, sign in _SEPARATORS.items() if _is_table(filled, sign)), None)
    if separator or (filled and all(line.lstrip().startswith(("{", "[")) for line in filled)):
        found = f"fields between {separator}" if separator else "JSON"
        raise UsageError(
            f"score: {path}: expected the phrases of one post a line, joined by `;`, found {found}. Write its phrases "
            "so, or give a .jsonl file of predictions."
        )


_SEPARATORS = {"tabs": "\t", "commas": ","}


def _is_table(lines: Sequence[str], separator: str) -> bool:
    """Whether all lines, and more than one, have the separator, and no line the `;` that phrases are joined by."""
    return len(lines) > 1 and all(separator in line and ";" not in line for line in lines)


def _score_records(predictions: Path, superfluous: Path | None, definition: str) -> tuple[int, dict[str, Scores]]:
    if superfluous:
        raise UsageError(f"score: {predictions} holds the keyphrases and tokens itself; leave {superfluous} out.")
    records = read_records(predictions)
    texts = [record.tokens for record in records] if all(record.tokens for record in records) else None
    gold = [record.keyphrases for record in records]
    return len(records), score([record.phrases for record in records], gold, texts, definition=definition)
