"""Two ranked lists fused into one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.decoding.rank_fusion import Candidate, fuse_rankings
from m3h.model.text.stemming import stem_phrase

GENERATED = [("storm hour", 0.5), ("game nights", 0.2), ("kca", 0.1)]
CLASSIFIED = [("game night", 0.6), ("maga", 0.3), ("storm hour", 0.05)]
RANKED = st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1)), max_size=6)


def phrases(ranked: list[Candidate]) -> list[str]:
    return [phrase for phrase, _ in ranked]


def test_each_phrase_has_the_score_it_is_ranked_by() -> None:
    scores = [value for _, value in fuse_rankings(GENERATED, CLASSIFIED, "interpolated", weight=0.5)]
    assert scores == pytest.approx([0.4, 0.275, 0.15, 0.05])
    assert fuse_rankings(GENERATED, [], "interleaved", weight=0.5) == GENERATED


@pytest.mark.parametrize(
    ("method", "weight", "expected"),
    [
        ("interleaved", 0.5, ["storm hour", "game night", "maga", "kca"]),
        ("interpolated", 0.5, ["game night", "storm hour", "maga", "kca"]),  # .40, .275, .15, .05
        ("interpolated", 0.8, ["storm hour", "game night", "kca", "maga"]),  # .41, .28, .08, .06
        ("reciprocal_rank", 0.5, ["game night", "storm hour", "maga", "kca"]),  # .75, .667, .25, .167
        ("reciprocal_rank", 0.9, ["storm hour", "game night", "kca", "maga"]),  # .933, .55, .3, .05
    ],
)
def test_fusion_by_hand(method: str, weight: float, expected: list[str]) -> None:
    assert phrases(fuse_rankings(GENERATED, CLASSIFIED, method, weight=weight)) == expected


@given(RANKED, RANKED, st.sampled_from(["interleaved", "interpolated", "reciprocal_rank"]))
def test_every_phrase_is_listed_once(generated: list, classified: list, method: str) -> None:
    fused = phrases(fuse_rankings(generated, classified, method, weight=0.5))
    assert {stem_phrase(phrase) for phrase in fused} == {stem_phrase(phrase) for phrase, _ in [*generated, *classified]}
    assert len(fused) == len(set(fused))


@given(RANKED, st.sampled_from(["interleaved", "reciprocal_rank"]))
def test_a_list_fused_with_nothing_keeps_its_order(ranked: list, method: str) -> None:
    distinct = list(dict(ranked))
    assert phrases(fuse_rankings(ranked, [], method, weight=0.5)) == distinct
    assert phrases(fuse_rankings([], ranked, method, weight=0.5)) == distinct
