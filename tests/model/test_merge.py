"""Lists of two rankers made one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.merge import Candidate, merge
from model.metrics import stem_phrase

GENERATED = [("storm hour", 0.5), ("game nights", 0.2), ("kca", 0.1)]
CLASSIFIED = [("game night", 0.6), ("maga", 0.3), ("storm hour", 0.05)]
RANKED = st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1)), max_size=6)


def phrases(ranked: list[Candidate]) -> list[str]:
    return [phrase for phrase, _ in ranked]


def test_beside_each_phrase_stands_what_it_is_ranked_by() -> None:
    worth = [value for _, value in merge(GENERATED, CLASSIFIED, "probabilities", 0.5)]
    assert worth == pytest.approx([0.4, 0.275, 0.15, 0.05])
    assert merge(GENERATED, [], "turns", 0.5) == GENERATED


@pytest.mark.parametrize(
    ("how", "weight", "expected"),
    [
        ("turns", 0.5, ["storm hour", "game night", "maga", "kca"]),
        ("probabilities", 0.5, ["game night", "storm hour", "maga", "kca"]),  # .40, .275, .15, .05
        ("probabilities", 0.8, ["storm hour", "game night", "kca", "maga"]),  # .41, .28, .08, .06
        ("ranks", 0.5, ["game night", "storm hour", "maga", "kca"]),  # .75, .667, .25, .167
        ("ranks", 0.9, ["storm hour", "game night", "kca", "maga"]),  # .933, .55, .3, .05
    ],
)
def test_merging_by_hand(how: str, weight: float, expected: list[str]) -> None:
    assert phrases(merge(GENERATED, CLASSIFIED, how, weight)) == expected


@given(RANKED, RANKED, st.sampled_from(["turns", "probabilities", "ranks"]))
def test_every_phrase_is_listed_once(one: list, other: list, how: str) -> None:
    merged = phrases(merge(one, other, how, 0.5))
    assert {stem_phrase(phrase) for phrase in merged} == {stem_phrase(phrase) for phrase, _ in [*one, *other]}
    assert len(merged) == len(set(merged))


@given(RANKED, st.sampled_from(["turns", "ranks"]))
def test_a_list_merged_with_nothing_keeps_its_order(one: list, how: str) -> None:
    distinct = list(dict(one))
    assert phrases(merge(one, [], how, 0.5)) == distinct
    assert phrases(merge([], one, how, 0.5)) == distinct
