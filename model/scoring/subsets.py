"""Scores of subsets of a split, to see which posts are hard.

Every post is in one subset of `frequency` and in one of `length`. The subsets of `picture` may overlap.

frequency   how many training posts have the post's rarest keyphrase
length      tokens of the text, without OCR words
picture     posts whose image has OCR words, or has none (Table 4); posts whose OCR words contain a word of a keyphrase;
            posts whose attributes do
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from m3h.model.scoring.metrics import Scores, corpus_averages, match_phrases, values_by_cutoff
from m3h.model.scoring.predictions import Record
from m3h.model.text.stemming import stem

FREQUENCY_FROM = (0, 1, 10, 20, 50, 100)
LENGTH_FROM = (0, 10, 20, 30, 40)
"""Where each range begins. The last one is open. The paper does not publish its limits."""

Subset = tuple[str, str, Callable[[Record], bool]]
"""Group, name, and whether a post belongs to it."""


def subset_scores(
    records: Sequence[Record], training: Mapping[str, int], definition: str
) -> dict[str, dict[str, Scores]]:
    """Group -> subset -> its scores and its number of `posts`. A post without keyphrases is in no subset.

    Args:
        records: of one split.
        training: keyphrase -> how many training posts have it.
        definition: of the scores.
    """
    scored = [record for record in records if record.keyphrases]
    matched = [match_phrases(record.phrases, record.keyphrases, definition) for record in scored]
    values = values_by_cutoff(matched, definition)
    groups: dict[str, dict[str, Scores]] = {}
    for group, name, belongs in subsets(training):
        mask_n = np.array([belongs(record) for record in scored], bool)
        if mask_n.any():
            chosen = {k: {score: values_n[mask_n] for score, values_n in values[k].items()} for k in values}
            scores = {"posts": int(mask_n.sum()), **corpus_averages(chosen, definition)}
            groups.setdefault(group, {})[name] = scores
    return groups


def subsets(training: Mapping[str, int]) -> Iterator[Subset]:
    """Every subset, in the order of a report."""
    counts = Counter(training)
    for low, high, name in _ranges(FREQUENCY_FROM):
        yield "frequency", name, _within(lambda record: _rarest(record, counts), low, high)
    for low, high, name in _ranges(LENGTH_FROM):
        yield "length", name, _within(lambda record: len(record.tokens), low, high)
    yield "picture", "OCR words", lambda record: bool(record.ocr)
    yield "picture", "no OCR words", lambda record: not record.ocr
    yield "picture", "OCR has a keyphrase's word", lambda record: _shares(record, record.ocr)
    yield "picture", "attributes have one", lambda record: _shares(record, record.attributes)


def _within(value: Callable[[Record], int], low: int, high: float) -> Callable[[Record], bool]:
    return lambda record: low <= value(record) < high


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
