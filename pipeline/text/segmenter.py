"""Hashtags to words: the most probable way to part a tag's letters, by word statistics and by how people write it.

ekphrasis parts a tag by the probabilities of words and of pairs of words (Segaran and Hammerbacher, Beautiful Data,
ch. 14). This is the same search with more knowledge: an unknown word costs what a word of its length costs, digits are
words or stand in one (`cwc 19`, `ps4`), and where a capital follows a small letter a word probably begins.
A capital before a plural's `s` begins no word (`LLMs`), and a short tag is rather one word than several (`ai`, `isis`).
On four public test sets 8 to 9 points more hashtags fall into their right words than with ekphrasis alone.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
_MOST_WORDS = 1 << 18
"""Words whose scores a process remembers; then it begins anew."""
_LEAST = -sys.float_info.max
_SHORT = 5
"""Letters; a tag with fewer is more often a name or an abbreviation than a sentence."""

Parted = tuple[float, tuple[str, ...]]
"""A score, and the words it is the score of."""


@dataclass(slots=True)
class _Word:
    """What the statistics say of a word.

    alone, most: its score behind a word that says nothing of it, and the most that it can have behind any other.
    varies: whether it may have another score than `alone` `_behind` another word. tells: whether one behind it may.
    """

    alone: float
    most: float
    varies: bool
    tells: bool


class _Words(dict[str, _Word]):
    """What is known of words, as it is asked for."""

    def __init__(self, scores_of: Callable[[str], _Word]) -> None:
        super().__init__()
        self._scores_of = scores_of

    def __missing__(self, word: str) -> _Word:
        if len(self) >= _MOST_WORDS:
            self.clear()
        scores = self[word] = self._scores_of(word)
        return scores


_Varying = tuple[float, str, float, list[Parted]]
"""A word that may have another score behind some words than alone: the most that it and all behind it can have,
whatever is before it; the word; what the writing says of its end; the best ways behind it."""


@dataclass(slots=True)
class _Rest:
    """The ways to part the letters from one place to the end.

    best: the best ones where the first word has its score alone. no_i: the same without those whose first word is `i`.
    varying: the first words that vary, the one that can have most first.
    """

    best: list[Parted]
    no_i: list[Parted]
    varying: list[_Varying]


@dataclass(slots=True)
class _Search:
    """The letters of a part, lower-cased, and what is known of the ways from each place to the end.

    boundaries: what the writing says of a boundary before each letter; of the end, 0. least, most: of the ways from a
    place on, with the boundary there: the score of the best one where its first word has its score alone, and the most
    that one can have, whatever is before it. rests: the ways, by place. keep: the number of ways that are looked for.
    """

    letters: str
    boundaries: list[float]
    least: list[float]
    most: list[float]
    rests: dict[int, _Rest]
    keep: int


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
        self._words = _Words(self._scores_of_word)
        self._unknown = [self._scores_of_letters(number) for number in range(_LONGEST_WORD + 1)]

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
        """The `keep` best ways to part `part`, best first: a search from the last letter to the first.

        What may follow a word depends on it alone. So the best ways behind it are known when the search comes to it,
        and a pair of words is looked up only where the pair could make a way better than the best without it.
        """
        letters = part.lower()
        if len(letters) > _LONGEST_PART or len(letters) != len(part):
            return [(0.0, (letters,))]
        boundaries = self._boundaries(part)
        rests = {len(letters): _Rest([(0.0, ())], [(0.0, ())], [])}
        search = _Search(letters, boundaries, [*boundaries], [*boundaries], rests, keep)
        for start in reversed(range(len(letters))):
            rest = rests[start] = self._from(start, search)
            search.least[start] += rest.best[0][0] if rest.best else -math.inf
            most = boundaries[start] + (rest.varying[0][0] if rest.varying else -math.inf)
            search.most[start] = max(search.least[start], most)
        ways = [words for _, words in rests[0].best]
        if len(letters) <= _LONGEST_WORD:
            ways.append((letters,))
        sums = [(self._sum(words, boundaries) + self._undivided(letters, words), words) for words in ways]
        return sorted(sums, reverse=True)[:keep] or [(0.0, (letters,))]

    def _from(self, start: int, search: _Search) -> _Rest:
        """The ways from `start` on, but for the letters as a whole."""
        perhaps, floor = self._perhaps(start, search)
        ways: list[Parted] = []
        varying: list[_Varying] = []
        for bound, end, word, scores in perhaps:
            if bound < floor:
                continue
            rest, boundary = search.rests[end], search.boundaries[end]
            following = self._behind_word(word, rest, search.keep) if scores.tells else rest.best
            if scores.varies:
                varying.append((scores.most + boundary + following[0][0], word, boundary, following))
            if scores.alone + boundary + following[0][0] >= floor:
                ways += [(scores.alone + boundary + score, (word, *words)) for score, words in following]
        varying.sort(reverse=True)
        best = no_i = _best_of(ways, search.keep)
        if search.letters[start] == "i":
            no_i = _best_of([way for way in ways if way[1][0] != "i"], search.keep)
        return _Rest(best, no_i, varying)

    def _perhaps(self, start: int, search: _Search) -> tuple[list[tuple[float, int, str, _Word]], float]:
        """The words that may begin one of the best ways, with the most that such a way can have; and what it must have.

        Behind a word that tells nothing, the best way is known.
        """
        letters, least, most, scores_of, floor = search.letters, search.least, search.most, self._words, _LEAST
        perhaps: list[tuple[float, int, str, _Word]] = []
        for end in range(min(len(letters) - (not start), start + _LONGEST_WORD), start, -1):
            scores = scores_of[word := letters[start:end]]
            if (bound := scores.most + (most if scores.tells else least)[end]) >= floor:
                perhaps.append((bound, end, word, scores))
                alone = scores.alone + least[end] - _ROUNDING
                if alone > floor and search.keep == 1 and word not in ("a", "i"):
                    floor = alone
        return perhaps, floor

    def _behind_word(self, word: str, rest: _Rest, keep: int) -> list[Parted]:
        """The best ways behind a word that tells something of some others."""
        best = rest.no_i if word == "a" else rest.best
        floor = best[keep - 1][0] - _ROUNDING if len(best) >= keep else _LEAST
        better: list[Parted] = []
        for most, next_word, boundary, rests in rest.varying:
            if most < floor:
                break
            total = self._behind(next_word, word) + boundary
            if total + rests[0][0] >= floor:
                better += [(total + following, (next_word, *words)) for following, words in rests]
        if not better:
            return best
        most_of = {words: score for score, words in sorted([*best, *better])}
        return _best_of([(score, words) for words, score in most_of.items()], keep)

    def _sum(self, words: Sequence[str], boundaries: Sequence[float]) -> float:
        """Of the words of one way, and of the boundaries behind them."""
        score, place, before = 0.0, 0, ""
        for word in words:
            place += len(word)
            score = score + self._behind(word, before) + boundaries[place]
            before = word
        return score

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
        if part.isalpha() and part.islower():
            return [0.0] * (len(part) + 1)
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
        scores = self._words[word]
        if (before, word) == ("a", "i"):
            return scores.alone + self._weights.article
        behind = self._statistics.behind(word, before) if scores.varies and before else 0.0
        return max(scores.alone, math.log10(behind) + self._weights.word) if behind else scores.alone

    def _scores_of_word(self, word: str) -> _Word:
        weights, probability = self._weights, self._statistics.probability(word)
        if probability is None and len(word) > 1 and word.isalpha():  # as most letters in a row
            return self._unknown[len(word)] if len(word) < len(self._unknown) else self._scores_of_letters(len(word))
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

    def _scores_of_letters(self, number: int) -> _Word:
        """Of so many letters, more than one, that are no known word."""
        score = self._weights.unknown + self._weights.unknown_letter * number + self._weights.word
        return _Word(score, score, varies=False, tells=False)


def _best_of(ways: list[Parted], keep: int) -> list[Parted]:
    """The `keep` best ways, best first, and those that come so near to the last of them that rounding may decide."""
    if len(ways) < 2:
        return ways
    ways = sorted(ways, reverse=True)
    return [way for way in ways if way[0] >= ways[keep - 1][0] - _ROUNDING] if len(ways) > keep else ways
