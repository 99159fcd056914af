"""Which posts are hard: scores of parts of a split.

Every post is in one part of each of `frequency` and `length`; the parts of `picture` may overlap.

frequency   how often the post's rarest keyphrase is one of a training post
length      tokens of the text, without OCR words
picture     posts whose picture has OCR words, or has none (Table 4); whose OCR words hold a word of a keyphrase, and
            whose attributes do
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from model.metrics import AT, Scores, clean_predictions, clean_targets, corpus_averages, judge, stem, values_at
from model.predictions import Record

FREQUENCY_FROM = (0, 1, 10, 20, 50, 100)
LENGTH_FROM = (0, 10, 20, 30, 40)
"""Where each part begins; the last is open (the paper's own limits are not published)."""

Part = tuple[str, str, Callable[[Record], bool]]


def scores_of_parts(
    records: Sequence[Record], training: Mapping[str, int], definition: str
) -> dict[str, dict[str, Scores]]:
    """Group -> part -> its scores and its number of `posts`; posts without keyphrases are in none.

    training: keyphrase -> training posts that have it.
    """
    scored = [record for record in records if record.keyphrases]
    judged = [judge(clean_predictions(record.phrases), clean_targets(record.keyphrases)) for record in scored]
    values = {k: values_at(k, judged, definition) for k in AT}
    groups: dict[str, dict[str, Scores]] = {}
    for group, part, belongs in parts(training):
        mask_n = np.array([belongs(record) for record in scored], bool)
        if mask_n.any():
            chosen = {k: {name: values_n[mask_n] for name, values_n in values[k].items()} for k in values}
            scores = {"posts": int(mask_n.sum()), **corpus_averages(chosen, definition)}
            groups.setdefault(group, {})[part] = scores
    return groups


def parts(training: Mapping[str, int]) -> Iterator[Part]:
    """Every part, in the order of a report."""
    counts = Counter(training)
    for low, high, name in _ranges(FREQUENCY_FROM):
        yield "frequency", name, lambda r, low=low, high=high: low <= _rarest(r, counts) < high  # type: ignore[misc]
    for low, high, name in _ranges(LENGTH_FROM):
        yield "length", name, lambda r, low=low, high=high: low <= len(r.tokens) < high  # type: ignore[misc]
    yield "picture", "OCR words", lambda record: bool(record.ocr)
    yield "picture", "no OCR words", lambda record: not record.ocr
    yield "picture", "OCR has a keyphrase's word", lambda record: _shares(record, record.ocr)
    yield "picture", "attributes have one", lambda record: _shares(record, record.attributes)


def _ranges(starts: Sequence[int]) -> Iterator[tuple[int, float, str]]:
    for low, high in pairwise((*starts, float("inf"))):
        last = f"{int(high) - 1}" if high < float("inf") else ""
        name = f"{low}" if last == str(low) else f"{low}-{last}" if last else f"{low}+"
        yield int(low), high, name


def _rarest(record: Record, training: Mapping[str, int]) -> int:
    return min((training[phrase] for phrase in record.keyphrases), default=0)


def _shares(record: Record, words: Sequence[str]) -> bool:
    stems = {stem(word) for word in words}
    return any(stem(word) in stems for phrase in record.keyphrases for word in phrase.split())
