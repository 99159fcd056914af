"""Chances by score, and how many phrases to give: by hand, and as laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.scoring.calibration import (
    Bin,
    Calibration,
    Choice,
    calibration_error,
    chosen_record,
    reliability,
)
from m3h.model.scoring.predictions import Prediction, Record
from m3h.schemas.errors import UsageError


def record(*scored: tuple[str, float | None], gold: tuple[str, ...] = ("storm hour",)) -> Record:
    return Record(keyphrases=list(gold), predictions=[Prediction(phrase=p, score=s) for p, s in scored])


def posts_of(score: float, right: int, wrong: int) -> list[Record]:
    """So many posts of one phrase with this score, right in the first of them."""
    return [record(("storm hours", score))] * right + [record(("kca", score))] * wrong


def test_chances_are_the_shares_of_right_phrases_and_interpolated_between() -> None:
    """5 of 20 are right at score .2, 15 of 20 at .8: halfway between, half of them."""
    learned = Calibration.fit([*posts_of(0.2, 5, 15), *posts_of(0.8, 15, 5)])
    assert (learned.score_b, learned.chance_b) == ((pytest.approx(0.2), pytest.approx(0.8)), (0.25, 0.75))
    assert learned.chances([0.0, 0.2, 0.5, 0.8, 1.0]) == pytest.approx([0.25, 0.25, 0.5, 0.75, 0.75])
    assert (learned.keyphrases, learned.posts) == (1.0, 40)


def test_bins_that_fall_are_pooled_by_their_phrases() -> None:
    """Shares .5 and .1 of 20 phrases each, then 1 of 20: the first two become .3."""
    learned = Calibration.fit([*posts_of(0.1, 10, 10), *posts_of(0.2, 2, 18), *posts_of(0.9, 20, 0)])
    assert learned.chance_b == pytest.approx((0.3, 0.3, 1.0))


def test_a_few_lucky_phrases_are_no_certainty() -> None:
    learned = Calibration.fit([*posts_of(0.1, 2, 16), *posts_of(0.9, 2, 0)])
    assert learned.chances([0.9]) == pytest.approx([4 / 20])


def test_posts_without_keyphrases_and_phrases_without_scores_say_nothing() -> None:
    posts = [record(("kca", 0.9), gold=()), record(("storm hour", None), ("a .", 0.5), ("storm hour", 0.4))]
    assert Calibration.fit(posts).chance_b == (1.0,)
    for nothing in ([], posts[:1], [record(("storm hour", None))]):
        with pytest.raises(UsageError, match="no post of those"):
            Calibration.fit(nothing)


@pytest.mark.parametrize(
    ("chances", "keyphrases", "wanted"),
    [
        ((), 1.0, 0),
        ((0.0, 0.0), 1.0, 1),  # at least one, if there is one
        ((0.9, 0.1), 1.0, 1),  # 2 x .9 / 2 = .9; 2 x 1 / 3 = .67
        ((0.9, 0.8), 1.0, 2),  # .9; 2 x 1.7 / 3 = 1.13
        ((0.5, 0.25), 1.0, 1),  # .5; 2 x .75 / 3 = .5: the shorter of equal ones
        ((0.5, 0.3), 1.0, 2),  # .5; 2 x .8 / 3 = .53
        ((0.5, 0.3), 3.0, 2),  # 1 / 4; 1.6 / 5
        ((0.1, 0.9), 1.0, 2),  # a generator's list need not fall
    ],
)
def test_how_many_by_hand(chances: tuple[float, ...], keyphrases: float, wanted: int) -> None:
    assert Calibration((0.0,), (0.5,), keyphrases, 1).how_many(np.array(chances)) == wanted


TENTHS = Calibration((0.0, 1.0), (0.0, 1.0), 1.0, 10)
"""The score is the chance."""


@pytest.mark.parametrize(
    ("how_many", "min_score", "kept"),
    [
        ("2", None, ["a", "b"]),
        ("9", None, ["a", "b", "c"]),
        ("auto", None, ["a", "b"]),
        (None, 0.75, ["a"]),
        (None, 0.95, []),
        ("1", 0.0, ["a"]),
        ("auto", 0.8, ["a"]),
    ],
)
def test_the_chosen_phrases_have_their_chances(how_many: str | None, min_score: float | None, kept: list[str]) -> None:
    choice = Choice.of(how_many, min_score)
    assert choice is not None
    chosen = chosen_record(record(("a", 0.9), ("b", 0.7), ("c", 0.05)), choice, TENTHS)
    assert [one.phrase for one in chosen.predictions] == kept
    assert [one.chance for one in chosen.predictions] == [one.score for one in chosen.predictions]


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", "", "²", "1_0"])
def test_a_wrong_number_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError, match=f"--how-many {wrong}: expected a number from 1 to 999999999, or auto"):
        Choice.of(wrong, None)


@pytest.mark.parametrize("wrong", [-0.1, 1.01, float("nan"), float("inf")])
def test_a_chance_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(UsageError, match="expected a chance from 0 to 1"):
        Choice.of(None, wrong)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a number from 1 to 999999999, or auto"):
        Choice.of("9" * 5_000, None)


def test_a_phrase_at_the_limit_is_kept_whatever_rounding_did() -> None:
    assert Choice(None, 0.2).rows([0.5], Calibration((0.5,), (0.19999999999999998,), 1.0, 1)) == [
        (0, 0.19999999999999998)
    ]


def test_without_a_wish_nothing_is_chosen() -> None:
    assert Choice.of(None, None) is None


def test_reliability_by_hand() -> None:
    """Ten phrases at chance .2 of which 1 is right, ten at .8 of which 9 are: 10 points apart, both."""
    posts = [*posts_of(0.2, 1, 9), *posts_of(0.8, 9, 1)]
    found = reliability(posts, TENTHS, bins=2)
    assert found == [
        Bin(pytest.approx(0.2), pytest.approx(0.1), 10),
        Bin(pytest.approx(0.8), pytest.approx(0.9), 10),
    ]
    assert calibration_error(found) == pytest.approx(0.1)
    assert reliability([], TENTHS) == []
    assert calibration_error([]) == 0.0


SCORED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200)


@given(SCORED)
def test_chances_never_fall(scored: list[tuple[float, bool]]) -> None:
    posts = [record(("storm hour" if right else "kca", score)) for score, right in scored]
    learned = Calibration.fit(posts)
    chances = learned.chances(np.linspace(0, 1, 50).tolist())
    assert (np.diff(chances) >= -1e-12).all()
    assert chances.min() >= 0
    assert chances.max() <= 1


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_equal_scores_have_one_chance(right: list[bool]) -> None:
    posts = [record(("storm hour" if one else "kca", 0.5)) for one in right]
    assert Calibration.fit(posts).chances([0.5]) == pytest.approx([sum(right) / len(right)])
    assert len(reliability(posts, TENTHS)) == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.1, 5))
def test_the_chosen_number_has_the_largest_expected_f1(chances: list[float], keyphrases: float) -> None:
    learned = Calibration((0.0,), (0.5,), keyphrases, 1)
    values = [2 * sum(chances[:m]) / (m + keyphrases) for m in range(1, len(chances) + 1)]
    assert values[learned.how_many(np.array(chances)) - 1] == pytest.approx(max(values))
