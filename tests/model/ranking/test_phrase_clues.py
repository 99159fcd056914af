"""Phrases of a text that are no label: which are candidates, and their features, by hand."""

import math
from collections import Counter

import numpy as np
import pytest

from m3h.model.ranking.label_clues import LABEL_CLUES, TUNED_CLUES, ClueMatcher, PostClues
from m3h.model.ranking.label_features import LABEL_FEATURES
from m3h.model.ranking.occurrences import Occurrences, key
from m3h.model.ranking.phrase_clues import PHRASE_CLUES, phrase_columns, unlabelled, unlabelled_features
from m3h.model.ranking.tuned_scores import FoundPhrases

TOKENS = ["big", "storms", "hit", "kca", "!"]
FOUND = FoundPhrases(math.log(0.5), [(0, 2), (3, 4), (1, 2)], [math.log(0.25), math.log(0.125), math.log(0.1)])


def test_the_likeliest_phrases_that_no_other_post_has_are_candidates() -> None:
    assert unlabelled(FOUND, TOKENS, {("kca",)}, 5) == ["big storms", "storms"]
    assert unlabelled(FOUND, TOKENS, set(), 2) == ["big storms", "kca"]


def test_phrase_clues_by_hand() -> None:
    """A label that is the second phrase, one that is no phrase of the text, and the first phrase, which is no label."""
    found = phrase_columns(FOUND, TOKENS, [("kca",), ("hour",), ("big", "storm")], 2)
    none = math.log(0.5)
    expected = [
        [math.log(0.125), 0.125, math.log(2), 0, none],
        [-10, 0, 4, 0, none],
        [math.log(0.25), 0.25, 0, 1, none],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert phrase_columns(FOUND, TOKENS, [], 0).shape == (0, len(PHRASE_CLUES))


@pytest.fixture
def matcher() -> ClueMatcher:
    """`storm` stood in three other texts, and was a word of a keyphrase in one of them."""
    counts = Occurrences(
        Counter({key("word", "storm"): 3, key("label", "big", "storm"): 7}),
        Counter({key("word", "storm"): 1, key("keyphrase word", "storm"): 1, key("label", "big", "storm"): 2}),
    )
    return ClueMatcher(["<unk>", "kca"], idf, counts)


def idf(word: str) -> float:
    return {"storms": 3.0, "big": 1.0}.get(word, 2.0)


def test_features_of_a_phrase_that_is_no_label_by_hand(matcher: ClueMatcher) -> None:
    post = PostClues(TOKENS, ["storm"], np.zeros(40), {}, np.zeros(40))
    (row,) = unlabelled_features(matcher, post, ["big storms"])
    names = (*LABEL_FEATURES, *LABEL_CLUES, *TUNED_CLUES)
    found = {name: round(float(value), 4) for name, value in zip(names, row, strict=True) if value}
    behind = round(math.log1p(40), 4)
    share = [round(value, 4) for value in ((1 + 0.3) / 6, 0.3 / 3)]
    assert found == {
        **{"log frequency": round(math.log(0.3), 4), "unseen": 1.0, "two words": 1.0, "in text": 1.0, "exact": 1.0},
        **{"at start": 1.0, "min idf": 1.0, "max idf": 3.0},
        **dict.fromkeys(("log rank", "text log rank", "meaning log rank", "tuned log rank"), behind),
        **{"keyphrase share": 0.1, "largest word share": share[0], "smallest word share": share[1]},
        **dict.fromkeys(("log share after word", "log share before word"), round(math.log(0.5 / 10), 4)),
        **{"words in text": 1.0, "words in ocr": 0.5, "letters": 9.0},
        **{"tuned log probability": -10.0, "tuned meaning": -5.0, "tuned meaning log probability": -10.0},
    }
    assert unlabelled_features(matcher, post, []).shape == (0, len(names))


def test_a_training_post_s_own_keyphrase_is_not_told_by_counts_of_labels(matcher: ClueMatcher) -> None:
    """Only the post itself has `big storm` as a keyphrase: that other texts were searched for it must not show."""
    counted = unlabelled_features(matcher, PostClues(TOKENS, [], np.zeros(9), {}, np.zeros(9)), ["big storms"])
    for counts in (matcher.occurrences.seen, matcher.occurrences.marked):
        del counts[key("label", "big", "storm")]
    again = unlabelled_features(matcher, PostClues(TOKENS, [], np.zeros(9), {}, np.zeros(9)), ["big storms"])
    np.testing.assert_array_equal(counted, again)
