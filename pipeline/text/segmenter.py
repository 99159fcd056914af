"""Hashtags to words: the most probable way to part a tag's letters, by word statistics and by how people write it.

ekphrasis parts a tag by the probabilities of words and of pairs of words (Segaran and Hammerbacher, Beautiful Data,
ch. 14). This is the same search with more knowledge: an unknown word costs what a word of its length costs, digits are
words or stand in one (`cwc 19`, `ps4`), and where a capital follows a small letter a word probably begins.
A capital before a plural's `s` begins no word (`LLMs`), and a short tag is rather one word than several (`ai`, `isis`).
On four public test sets 8 to 9 points more hashtags fall into their right words than with ekphrasis alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from pathlib import Path
from typing import NamedTuple

import regex

from m3h.pipeline.text.word_statistics import word_statistics

_PARTS = regex.compile(r"[^\W_]+")
_ORDINAL = regex.compile(r"[0-9]+(?:st|nd|rd|th)")
_PLURAL_OF_CAPITALS = regex.compile(r"(?<=\p{Lu})\p{Lu}s(?!\p{Ll})")
_LONGEST_PART = 100
"""Characters; a longer part is no tag of words and stays whole."""
_LONGEST_WORD = 24
_ROUNDING = 1e-9
"""Scores that are nearer to each other are told apart by the whole sum alone."""
_SHORT = 5
"""Letters; a tag with fewer is more often a name or an abbreviation than a sentence."""

Parted = tuple[float, tuple[str, ...]]
"""A score, and the words it is the score of."""


class _Word(NamedTuple):
    """What the statistics say of a word.

    alone, most: its score behind a word that says nothing of it, and the most that it can have behind any other.
    varies: whether it may have another score than `alone` `_behind` another word. tells: whether one behind it may.
    """

    alone: float
    most: float
    varies: bool
    tells: bool


_Span = tuple[int, str, float, _Word]
"""Where a word ends, the word, what the writing says of a boundary there, and the word's scores."""


@dataclass(frozen=True)
class Weights:
    """Decimal logarithms that add up to a segmentation's score. Fitted on one of four test sets: benchmarks/README.md.

    unknown and unknown_letter: an unknown word, and each of its letters; mixed and mixed_letter: one of digits and
    letters; number: one of digits, with the ending of an ordinal or without; single: one letter that is not `a` or `i`;
    word: each word; whole: no boundary; short: no boundary in letters alone, for each that they are fewer than five.
    article: `i` behind `a`, which is `ai` as a rule.
    camel: a boundary before a capital behind small letters; first: where there is only one of these (`iPhone`), and
    behind a run of capitals (`AIart`); none: a boundary anywhere else in a tag that has capitals of this kind.
    """

    unknown: float = -3.5
    unknown_letter: float = -1.0
    mixed: float = -3.0
    mixed_letter: float = -1.5
    number: float = -2.5
    single: float = -1.25
    word: float = -0.25
    whole: float = 0.25
    short: float = 0.75
    article: float = -2.5
    camel: float = 2.0
    first: float = 0.5
    none: float = -1.0


def letters(hashtag: str) -> str:
    """What a hashtag and its keyphrase have in common: their lower-cased letters and digits."""
    return "".join(_PARTS.findall(hashtag.lower())) or hashtag.lower()


class Segmenter:
    """statistics: the user's folder, or None for the installed ones."""

    def __init__(self, statistics: Path | None = None, weights: Weights | None = None) -> None:
        self._statistics = word_statistics(statistics)
        self._weights = weights or Weights()
        self._word = lru_cache(maxsize=1 << 18)(self._score_of_word)
        self._unknown = lru_cache(maxsize=1 << 10)(self._score_of_letters)

    def __call__(self, hashtag: str) -> str:
        """The hashtag's words, lower-cased, joined by spaces. Its capitals count; underscores part words."""
        words = [word for part in _PARTS.findall(hashtag) for word in self._best(part, 1)[0][1]]
        return " ".join(words) or hashtag.lower()

    def certainty(self, hashtag: str, keyphrase: str) -> float:
        """0 to 1: how probable `keyphrase` is against the best other way to part the hashtag, by its letters alone.

        1 where there is no other way, 0.5 where both are as good, 0 where `keyphrase` has other letters.
        """
        words, certainty = keyphrase.split(), 1.0
        if not _PARTS.search(hashtag):
            return float(keyphrase == hashtag.lower())
        for part in _PARTS.findall(hashtag.lower()):
            count = next((n for n in range(len(words) + 1) if "".join(words[:n]) == part), 0)
            parted, words = tuple(words[:count]), words[count:]
            if not parted:
                return 0.0
            alternatives = [score for score, way in self._best(part, 2) if way != parted]
            if alternatives:
                certainty /= 1 + 10 ** min(300.0, alternatives[0] - self._score(part, parted))
        return 0.0 if words else certainty

    def _best(self, part: str, keep: int) -> list[Parted]:
        """The `keep` best ways to part `part`, best first: a search from left to right over (end, last word).

        A word is not tried where the best way to it, and the most that the rest can have, stay below ways that are
        there by their words alone.
        """
        letters = part.lower()
        if len(letters) > _LONGEST_PART or len(letters) != len(part):
            return [(0.0, (letters,))]
        end, spans = len(letters), self._spans(letters, self._boundaries(part))
        rest, enough = self._bounds(spans, keep)
        enough += min(0.0, self._undivided(letters, (letters,))) - _ROUNDING
        at: list[list[Parted]] = [[(0.0, ())], *([] for _ in letters)]
        for start in range(end):
            known = self._distinct(at[start], keep)
            for stop, word, boundary, scores in spans[start] if known else ():
                if known[0][0] + scores.most + boundary + rest[stop] >= enough or word == letters:
                    at[stop] += self._continued(known, word, boundary, scores, keep=keep)
        ways = [(score + self._undivided(letters, words), words) for score, words in at[end]]
        return sorted(ways, reverse=True)[:keep] or [(0.0, (letters,))]

    def _spans(self, letters: str, boundaries: Sequence[float]) -> list[list[_Span]]:
        """The words that may begin at each place."""
        end = len(letters)
        return [
            [
                (stop, word := letters[start:stop], boundaries[stop], self._word(word))
                for stop in range(start + 1, min(end, start + _LONGEST_WORD) + 1)
                if boundaries[stop] > -math.inf
            ]
            for start in range(end)
        ]

    def _bounds(self, spans: Sequence[Sequence[_Span]], keep: int) -> tuple[list[float], float]:
        """The most that the letters from each place on can have, and what the `keep` best ways have at least."""
        most = [*(-math.inf for _ in spans), 0.0]
        least: list[list[float]] = [*([] for _ in spans), [0.0]]  # of the ways to the end, by the words alone
        for start in reversed(range(len(spans))):
            ways: list[float] = []
            for stop, word, boundary, scores in spans[start]:
                if (score := scores.most + boundary + most[stop]) > most[start]:
                    most[start] = score
                alone = scores.alone + boundary + (min(0.0, self._weights.article) if word == "i" else 0.0)
                ways += [alone + score for score in least[stop]]
            least[start] = nlargest(keep, ways)
        return most, least[0][keep - 1] if len(least[0]) >= keep else -math.inf

    def _distinct(self, ways: Sequence[Parted], keep: int) -> list[Parted]:
        """The ways to one place that may become the `keep` best ones, best first.

        What follows costs the same for all whose last word tells nothing of the next, so a few of these are enough.
        """
        distinct: list[Parted] = []
        others: list[float] = []
        for way in sorted(ways, reverse=True):
            if not way[1] or not self._word(way[1][-1]).tells:
                if len(others) >= keep and way[0] < others[keep - 1] - _ROUNDING:
                    continue
                others.append(way[0])
            distinct.append(way)
        return distinct

    def _continued(
        self, known: Sequence[Parted], word: str, boundary: float, scores: _Word, *, keep: int
    ) -> list[Parted]:
        """The `keep` best ways that go on with `word`, best first.

        known: ways to the place where it begins, best first. One is left out only where the word would not bring it
        among the best even if it had the most that it can have behind the last one.
        """
        ways: list[Parted] = []
        if not scores.varies and (len(known) <= keep or known[keep][0] < known[keep - 1][0] - _ROUNDING):
            return [(score + scores.alone + boundary, (*words, word)) for score, words in known[:keep]]
        for score, words in known:
            if len(ways) >= keep and score + scores.most + boundary < ways[keep - 1][0] - _ROUNDING:
                break
            cost = self._behind(word, words[-1]) if scores.varies and words else scores.alone
            ways.append((score + cost + boundary, (*words, word)))
            if len(ways) > 1:
                ways.sort(reverse=True)
        return ways[:keep]

    def _score(self, part: str, words: Sequence[str]) -> float:
        """Of one way to part lower-cased letters, by the same sums as the search."""
        pairs = zip(words, ("", *words), strict=False)
        return sum(self._behind(word, before) for word, before in pairs) + self._undivided(part, words)

    def _undivided(self, part: str, words: Sequence[str]) -> float:
        """What speaks for letters that stay one word."""
        missing = max(0, _SHORT - len(part)) if part.isalpha() else 0
        return self._weights.whole + self._weights.short * missing if len(words) == 1 else 0.0

    def _boundaries(self, part: str) -> list[float]:
        """What the writing says of a boundary before each character; numbers are not parted."""
        weights, capitals = self._weights, any(map(str.isupper, part[1:])) and not part.isupper()
        scores = [weights.none if capitals else 0.0] * len(part) + [0.0]
        plurals = {match.start() for match in _PLURAL_OF_CAPITALS.finditer(part)}
        for i in range(1, len(part)):
            before, here = part[i - 1], part[i]
            if before.isdigit() and here.isdigit():
                scores[i] = -math.inf
            elif before.isdigit() or here.isdigit():
                scores[i] = 0.0
            elif here.isupper() and i not in plurals and (before.islower() or part[i + 1 : i + 2].islower()):
                scores[i] = weights.first if i == 1 else weights.camel
                if before.isupper():  # or the run of capitals is a word of its own
                    scores[i + 1] = weights.first
        return scores

    def _behind(self, word: str, before: str) -> float:
        alone = self._word(word).alone
        if (before, word) == ("a", "i"):
            return alone + self._weights.article
        behind = self._statistics.behind(word, before) if before else 0.0
        return max(alone, math.log10(behind) + self._weights.word) if behind else alone

    def _score_of_word(self, word: str) -> _Word:
        weights, probability = self._weights, self._statistics.probability(word)
        if probability is None and len(word) > 1 and word.isalpha():
            return self._unknown(len(word))  # as most letters in a row are no word
        if word.isdigit() or (word[0].isdigit() and _ORDINAL.fullmatch(word)):
            score = weights.number
        elif probability:
            score = math.log10(probability)
        elif word.isalpha():
            score = weights.unknown + weights.unknown_letter * len(word)
        else:
            score = weights.mixed + weights.mixed_letter * len(word)
        score += weights.word + weights.single * (len(word) == 1 and word.isalpha() and word not in "ai")
        begins, likeliest = self._statistics.in_pairs(word) if probability is not None else (False, 0.0)
        most = max(score, math.log10(likeliest) + weights.word) if likeliest else score
        if word == "i":
            most = max(most, score + weights.article)
        return _Word(score, most, varies=most > score or word == "i", tells=begins or word == "a")

    def _score_of_letters(self, number: int) -> _Word:
        """Of so many letters, more than one, that are no known word."""
        score = self._weights.unknown + self._weights.unknown_letter * number + self._weights.word
        return _Word(score, score, varies=False, tells=False)
