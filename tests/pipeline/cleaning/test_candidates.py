"""Near copies: what the keys promise, what the truth decides, and that Beam finds what plain code finds."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.cleaning.candidates import REACH, candidates, near_pairs
from m3h.pipeline.cleaning.minhash import TextLikeness, shingles, similarity, text_name
from m3h.pipeline.rules import CleanRules
from m3h.pipeline.stages.dedup import Dedup
from m3h.pipeline.stages.near_duplicates import NearPairs
from m3h.schemas.posts import Post
from tests.pipeline.edits import caption_edits, captions

KEYED = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=60)


def pairs_of(keyed):
    keys = np.array([key for key, _ in keyed], dtype=np.uint32)
    pairs = candidates(keys, np.array([owner for _, owner in keyed], dtype=np.uint64))
    return [(one, other) for one, other in pairs.tolist()]


@given(KEYED, st.randoms(use_true_random=False))
def test_candidates_share_a_key_and_their_order_does_not_matter(keyed, rng):
    pairs = pairs_of(keyed)
    owners = {}
    for key, owner in keyed:
        owners.setdefault(owner, set()).add(key)
    assert all(one < other and owners[one] & owners[other] for one, other in pairs)
    rng.shuffle(keyed)
    assert pairs_of(keyed) == pairs


def test_all_pairs_of_a_small_key_are_compared():
    expected = [(a, b) for a in range(REACH + 1) for b in range(a + 1, REACH + 1)]
    assert pairs_of([(3, owner) for owner in range(REACH + 1)]) == expected


def test_a_key_that_everybody_has_costs_linearly_and_still_chains_them():
    pairs = pairs_of([(1, owner) for owner in range(2000)])
    assert len(pairs) <= 2000 * REACH
    assert set(pairs) >= {(owner, owner + 1) for owner in range(1999)}


def test_similarity_by_hand():
    assert shingles("abcdef") == {"abcd", "bcde", "cdef"}
    assert shingles("abc") == {"abc"}
    assert similarity("abcdef", "abcdeg") == 2 / 4
    assert similarity("abc", "abd") == 0
    assert similarity("abc", "abc") == 1


def test_edited_captions_are_found_and_nothing_else():
    texts = captions(400)
    edited = dict(zip(texts, caption_edits(texts), strict=True))
    items = {text_name(text): text for text in {*edited, *edited.values()}}
    found = {frozenset((items[a], items[b])) for a, b in near_pairs(items, TextLikeness(0.7))}
    planted = {frozenset(pair) for pair in edited.items()}
    assert len(found & planted) >= 0.95 * len(planted)
    assert all(similarity(*pair) >= 0.7 for pair in map(tuple, found))


@pytest.mark.parametrize("in_rounds", [False, True])
@pytest.mark.parametrize("number", [0, 1, 700])
def test_beam_finds_what_plain_code_finds(number, in_rounds):
    texts = captions(number)
    check_near([*texts, *caption_edits(texts)], in_rounds)


ALIKE = st.lists(
    st.lists(st.sampled_from(["red", "sea", "sun", "old"]), min_size=1, max_size=8).map(" ".join), max_size=80
)


@settings(max_examples=3, deadline=None)
@given(ALIKE)
def test_many_texts_alike_are_compared_in_rounds_as_by_plain_code(texts):
    check_near([*texts, *(f"win a brand new phone today {i % 7}" for i in range(30))], in_rounds=True)


def check_near(texts, in_rounds):
    items = {text_name(text): text for text in texts}
    likeness = TextLikeness(0.7)
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        found = root | beam.Create(list(items.items())) | NearPairs(likeness, in_rounds)
        as_sets = found | "sets" >> beam.Map(lambda pair: tuple(sorted(pair)))
        expected = [tuple(sorted(pair)) for pair in near_pairs(items, likeness)]
        assert_that(as_sets, equal_to(expected))


def said(number, text):
    return Post(str(number), text, tokens=tuple(text.split()), image_sha256=f"i{number}", position=number)


@pytest.mark.parametrize("in_rounds", [False, True])
def test_near_texts_go_where_that_is_asked_for_and_name_the_first(in_rounds):
    posts = [
        said(1, "the old bridge over the river in the morning light"),
        said(2, "the old bridge over the river in the morning lights"),
        said(3, "the old bridge over the river in the early morning lights"),
        said(4, "a quite different thing altogether"),
        said(5, "<url> <mention>"),
        said(6, "<mention> <url>"),
    ]
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        kept, dropped = (root | beam.Create(posts), root | "none" >> beam.Create([])) | Dedup(
            CleanRules(drop_near_texts=True), in_rounds
        )
        assert_that(kept | "ids" >> beam.Map(lambda p: p.post_id), equal_to(list("1456")), "kept")
        why = dropped | "all" >> beam.Flatten() | "why" >> beam.Map(lambda d: (d.record_id, d.reason, d.detail))
        assert_that(why, equal_to([(i, "near_duplicate_text", "1") for i in "23"]), "dropped")
