"""What the scores of a run are worth: the chance that a phrase of such a score is right, and how many phrases to give.

A system's scores order its phrases, but 0.3 of one system is not 0.3 of another, and seldom a chance. The chance is
learned from posts that the system did not learn from: isotonic regression (Zadrozny and Elkan, KDD 2002) of "the phrase
is right" on its score, over means of at least BIN phrases, so that a few lucky phrases at the top are no certainty.

How many phrases to give a post follows from their chances. If p_1, p_2, ... are those of its phrases, best first, and T
is the mean number of keyphrases a post, the first m of them have some sum p_i right ones, and F1 is expected to be near
2 sum p_i / (m + T). The m with the largest value is chosen.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from m3h.model.scoring.metrics import clean_predictions, clean_targets, match
from m3h.model.scoring.predictions import Record
from m3h.schemas.errors import UsageError

BIN = 20
"""Phrases of neighbouring scores whose share of right ones counts as one measurement."""

_ROUNDING = 1e-9
"""A mean of shares that is 0.2 may come out as 0.19999999999999998."""


@dataclass(frozen=True)
class Bin:
    """Phrases of neighbouring scores or chances: their mean, the share of them that is right, and how many they are."""

    mean: float
    right: float
    phrases: int


@dataclass(frozen=True)
class Calibration:
    """Chances by score.

    score_b, chance_b: of neighbouring bins, neither falling. Between them the chance is interpolated. keyphrases: the
    mean number of them a post (T). posts: that this was learned from.
    """

    score_b: tuple[float, ...]
    chance_b: tuple[float, ...]
    keyphrases: float
    posts: int

    @classmethod
    def fit(cls, records: Sequence[Record]) -> "Calibration":
        """From posts that the run did not learn from.

        Raises:
            UsageError: none of these posts has a keyphrase and a prediction with a score.
        """
        scored = [record for record in records if record.keyphrases]
        pairs = [pair for record in scored for pair in phrases_right(record)]
        if not pairs:
            raise UsageError("no post of those that the run was selected by has a keyphrase and a scored prediction.")
        bins = _bins(pairs, BIN)
        rising = _rising([part.right for part in bins], [part.phrases for part in bins])
        wanted = sum(len(record.keyphrases) for record in scored) / len(scored)
        return cls(tuple(part.mean for part in bins), tuple(rising), wanted, len(scored))

    def chances(self, score_p: Sequence[float]) -> np.ndarray:
        """(p,) the chance of each score, in [0, 1]."""
        found: np.ndarray = np.interp(np.asarray(score_p, np.float64), self.score_b, self.chance_b)
        return found

    def how_many(self, chance_p: np.ndarray) -> int:
        """How many phrases of a post to give, of which these are the chances, best first; 0 for none."""
        if not len(chance_p):
            return 0
        expected_p = 2 * chance_p.cumsum() / (np.arange(1, len(chance_p) + 1) + self.keyphrases)
        return int(expected_p.argmax()) + 1


def _bins(pairs: Sequence[tuple[float, bool]], least: int) -> list[Bin]:
    """Bins of at least so many phrases, by rising values, if there are so many. Equal values are in one bin."""
    value_u, inverse_p, count_u = np.unique([value for value, _ in pairs], return_inverse=True, return_counts=True)
    right_u = np.bincount(inverse_p, weights=[right for _, right in pairs], minlength=len(value_u))
    ends, begun = [], 0
    for u, count in enumerate(count_u):
        begun += int(count)
        if begun >= least:
            ends.append(u + 1)
            begun = 0
    ends = [*ends[:-1], len(value_u)]  # what is left over belongs to the last bin
    starts = [0, *ends[:-1]]
    parts = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
    return [
        Bin(
            float(np.average(value_u[part], weights=count_u[part])),
            float(right_u[part].sum() / count_u[part].sum()),
            int(count_u[part].sum()),
        )
        for part in parts
    ]


def _rising(values: Sequence[float], weights: Sequence[int]) -> list[float]:
    """The nearest values that never fall, by weighted squares (pool adjacent violators)."""
    pools: list[tuple[float, int, int]] = []  # mean, weight, number of values
    for value, weight in zip(values, weights, strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            mean, heavy, count = pools.pop()
            total = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / total, total, count + pool[2])
        pools.append(pool)
    return [mean for mean, _, count in pools for _ in range(count)]


def phrases_right(record: Record) -> list[tuple[float, bool]]:
    """Score and whether it is a keyphrase, of each prediction with a score that cleaning leaves as it is."""
    wanted = clean_targets(record.keyphrases)
    found = []
    for one in record.predictions:
        if one.score is not None and (cleaned := clean_predictions([one.phrase])):
            found.append((one.score, match(cleaned, wanted).r[0]))
    return found


@dataclass(frozen=True)
class Choice:
    """Which phrases of a ranked list to give. how_many: 0 for as many as `Calibration.how_many` says, None for all.

    min_chance: what chance a phrase must have at least.
    """

    how_many: int | None = None
    min_chance: float = 0.0

    @classmethod
    def of(cls, how_many: int | str | None, min_score: float | None) -> "Choice | None":
        """From what a user asks for; None if all phrases are to be given.

        Raises:
            UsageError: not a number from 1, and not `auto`; or the chance is none.
        """
        if how_many is None and min_score is None:
            return None
        if min_score is not None and not 0 <= min_score <= 1:
            raise UsageError(f"--min-score {min_score!r}: expected a chance from 0 to 1.")
        if how_many is None or how_many == "auto":
            return cls(None if how_many is None else 0, min_score or 0.0)
        if not re.fullmatch("[1-9][0-9]{0,8}", str(how_many)):
            raise UsageError(f"--how-many {str(how_many)[:20]}: expected a number from 1 to 999999999, or auto.")
        return cls(int(how_many), min_score or 0.0)

    def rows(self, score_p: Sequence[float], calibration: Calibration) -> list[tuple[int, float]]:
        """Place and chance of each chosen phrase.

        Args:
            score_p: of a post's phrases, best first.
            calibration: of the run.
        """
        chance_p = calibration.chances(score_p)
        wanted = {None: len(chance_p), 0: calibration.how_many(chance_p)}.get(self.how_many, self.how_many)
        places = range(min(wanted or 0, len(chance_p)))
        least = self.min_chance - _ROUNDING
        return [(place, float(chance_p[place])) for place in places if chance_p[place] >= least]


def chosen_record(record: Record, choice: Choice, calibration: Calibration) -> Record:
    """The record with the chosen predictions and their chances. A prediction without a score has that of score 0."""
    rows = choice.rows([one.score or 0.0 for one in record.predictions], calibration)
    kept = [record.predictions[place].model_copy(update={"chance": chance}) for place, chance in rows]
    return record.model_copy(update={"predictions": kept})


def reliability(records: Sequence[Record], calibration: Calibration, bins: int = 10) -> list[Bin]:
    """Whether chances hold on these posts: groups of about equally many phrases, from the lowest chance on.

    Args:
        records: posts that the calibration was not learned from.
        calibration: of the run.
        bins: at most so many groups. Phrases of one chance are in one group.
    """
    pairs = [pair for record in records if record.keyphrases for pair in phrases_right(record)]
    if not pairs:
        return []
    chances = calibration.chances([score for score, _ in pairs]).tolist()
    by_chance = [(chance, right) for chance, (_, right) in zip(chances, pairs, strict=True)]
    return _bins(by_chance, math.ceil(len(pairs) / bins))


def calibration_error(found: Sequence[Bin]) -> float:
    """The mean distance of chance and share, weighted by phrases (expected calibration error)."""
    phrases = sum(part.phrases for part in found)
    return sum(abs(part.mean - part.right) * part.phrases for part in found) / phrases if phrases else 0.0
