"""A file of predictions: one JSON object a post and line, with all that scoring it needs.

    {"post_id": "1084067481769032701",
     "tokens": ["this", "is", "how", ...],            the text as the model read it
     "keyphrases": ["ocean waves", "stormy sea"],     the gold ones
     "ocr": ["sale"], "attributes": ["man", "sea"],   of its picture; empty where there are none
     "predictions": [{"phrase": "ocean waves", "score": 0.31, "origin": "classifier"}, ...]}     best first

`score` needs `keyphrases` and `predictions` alone, and of these the `phrase`s.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pydantic

from model.data import Posts
from model.infer import Ranked
from model.lines import read_lines, split_phrases
from model.metrics import Scores, score
from schemas.errors import UsageError
from schemas.files import publish_text


class Prediction(pydantic.BaseModel):
    """One phrase. score: as in `Ranked`; origin: as in `Keyphrase`, where `predict` wrote it."""

    phrase: str
    score: float | None = None
    origin: str | None = None


class Record(pydantic.BaseModel):
    """One line. What is not needed for scoring may be missing."""

    post_id: str = ""
    tokens: list[str] = []
    keyphrases: list[str]
    ocr: list[str] = []
    attributes: list[str] = []
    predictions: list[Prediction]

    @property
    def phrases(self) -> list[str]:
        """The predicted ones, best first; a post without any predicts the empty phrase, as the original release."""
        return [one.phrase for one in self.predictions] or [""]


def records_of(posts: Posts, ranked: Sequence[Sequence[Ranked]]) -> list[Record]:
    """Of a split and what was predicted for it."""
    columns = (posts.ids, posts.tokens, posts.keyphrases, posts.ocr, posts.attributes, ranked)
    return [
        Record(post_id=i, tokens=t, keyphrases=k, ocr=o, attributes=a, predictions=[Prediction(**asdict(p)) for p in r])
        for i, t, k, o, a, r in zip(*columns, strict=True)
    ]


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Inverse of `read_records`."""
    lines = (json.dumps(record.model_dump(exclude_none=True), ensure_ascii=False) for record in records)
    publish_text(path, "".join(f"{line}\n" for line in lines))


def read_records(path: Path) -> list[Record]:
    """UsageError that names the line which is not as described above."""
    records = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            records.append(Record.model_validate_json(line))
        except pydantic.ValidationError as error:
            raise UsageError(f"{path}, line {number}: {_first_fault(error)}") from error
    return records


def _first_fault(error: pydantic.ValidationError) -> str:
    first: Any = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place + ': ' if place else ''}{first['msg']}. Each line is a JSON object with keyphrases and predictions."


def score_files(
    predictions: Path, targets: Path | None, sources: Path | None, definition: str
) -> tuple[int, dict[str, Scores]]:
    """How many posts, and their scores as `metrics.score` gives them. UsageError where the files do not align."""
    if predictions.suffix == ".jsonl":
        return _score_records(predictions, targets or sources, definition)
    if targets is None:
        raise UsageError(f"score: {predictions} has no keyphrases in it; give them with --targets.")
    columns = {path: read_lines(path) for path in (predictions, targets, sources) if path}
    counts = {path: len(lines) for path, lines in columns.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{path} has {count:,} lines" for path, count in counts.items())
        raise UsageError(f"the files do not align, one post a line: {told}.")
    found, wanted = ([split_phrases(line) for line in columns[path]] for path in (predictions, targets))
    texts = [line.split() for line in columns[sources]] if sources else None
    return counts[predictions], score(found, wanted, texts, definition)


def _score_records(predictions: Path, other: Path | None, definition: str) -> tuple[int, dict[str, Scores]]:
    if other:
        raise UsageError(f"score: {predictions} holds the keyphrases and tokens itself; leave {other} out.")
    records = read_records(predictions)
    texts = [record.tokens for record in records] if all(record.tokens for record in records) else None
    wanted = [record.keyphrases for record in records]
    return len(records), score([record.phrases for record in records], wanted, texts, definition)
