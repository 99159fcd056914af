"""Clues to labels: each by hand, and what a post says of itself is left out."""

import math

import numpy as np
import pytest
import torch

from m3h.model.ranking.label_clues import (
    LABEL_CLUES,
    ClueMatcher,
    Nearest,
    PostClues,
    centred,
    mean_names,
)
from m3h.model.ranking.occurrences import END, START, Occurrences, key, total
from m3h.model.text.stemming import stem, stem_phrase

NAMES = ["<unk>", "storm hour", "kca", "world health day"]
LABELS = {stem_phrase(name) for name in NAMES}
WEIGHTS = {"storm": 2.0, "hour": 1.0}
SCORE = np.array([0.0, 0.4, 0.3, 0.5], np.float32)


def counted(text: str, *keyphrases: str) -> Occurrences:
    tokens = text.split()
    return Occurrences.of(tokens, [stem(token) for token in tokens], map(stem_phrase, keyphrases), LABELS)


TEXTS = (
    counted("a storm hour tonight", "storm hour"),
    counted("the storm hour", "storm hour"),
    counted("storm hour again", "kca"),
)


def features_of(text: str, ocr: str = "", own: Occurrences | None = None) -> dict[str, dict[str, float]]:
    """Label -> its features."""
    matcher = ClueMatcher(NAMES, lambda word: WEIGHTS.get(word, 4.0), total(TEXTS))
    cosines = {"text": np.array([0.0, 0.1, 0.2, -0.3], np.float32), "meaning": np.array([0.0, 0.9, 0.5, 0.1])}
    nearest = np.array([0.0, 0.7, 0.2, 0.1], np.float32)
    post = PostClues(text.split(), ocr.split(), SCORE, cosines, nearest, own or Occurrences())
    rows = matcher.features(post, np.array([1, 2, 3]))
    assert rows.shape == (3, len(LABEL_CLUES))
    named = [dict(zip(LABEL_CLUES, map(float, row), strict=True)) for row in rows]
    return dict(zip(NAMES[1:], named, strict=True))


def test_the_counts_of_a_text_by_hand() -> None:
    found = counted("a storm hour !", "storm hour", "not there")
    assert found.marked == {
        **{key("label", "storm", "hour"): 1, key("before", "a"): 1, key("after", "!"): 1},
        **{key("word", "storm"): 1, key("word", "hour"): 1},
        **{key("keyphrase word", word): 1 for word in ("storm", "hour", "not", stem("there"))},
    }
    assert found.seen[key("label", "storm", "hour")] == 1
    assert found.seen[key("before", START)] == found.seen[key("after", END)] == 1
    assert found.seen[key("before", "a")] == found.seen[key("word", "a")] == 1


def test_features_of_a_label_in_the_text_by_hand() -> None:
    found = features_of("a storm hour tonight", "hour")["storm hour"]
    assert found == pytest.approx(
        {
            **{"log rank": math.log(2), "nearest": 0.7, "letters": 9},
            **{"text cosine": 0.1, "text log rank": math.log(2), "meaning cosine": 0.9, "meaning log rank": 0.0},
            **{"log texts": math.log(4), "keyphrase share": 2.1 / 4, "largest word share": 2.3 / 6},
            **{"smallest word share": 2.3 / 6, "log share after word": math.log(1.5 / 11)},
            **{"log share before word": math.log(1.5 / 11), "words in text": 1.0, "words in ocr": 0.5},
            **{"acronym": 0, "one token": 0, "log keyphrase words": math.log(3)},
        },
        abs=1e-6,
    )


def test_what_a_training_post_added_is_left_out() -> None:
    found = features_of("a storm hour tonight", own=TEXTS[0])["storm hour"]
    assert found["log texts"] == pytest.approx(math.log(3))
    assert found["keyphrase share"] == pytest.approx(1.1 / 3)
    assert found["log share after word"] == pytest.approx(math.log(0.5 / 10))
    assert found["log keyphrase words"] == pytest.approx(math.log(2))


def test_a_label_written_as_one_token_or_by_its_first_letters() -> None:
    assert features_of("stormhour again")["storm hour"]["one token"] == 1
    assert features_of("join whd today")["world health day"]["acronym"] == 1
    assert features_of("my health")["world health day"]["words in text"] == pytest.approx(1 / 3)
    assert features_of("nothing")["kca"]["log texts"] == 0


def test_the_nearest_post_with_a_label_by_hand() -> None:
    nearest = Nearest(np.array([0, 0, 1, 2]), np.array([3, 1, 1, 3]), 5)
    assert nearest.similarities(np.array([0.9, 0.5, 0.2], np.float32)).tolist() == pytest.approx([0, 0.9, 0, 0.9, 0])
    left_out = nearest.similarities(np.array([0.9, 0.5, 0.2], np.float32), but=0)
    assert left_out.tolist() == pytest.approx([0, 0.5, 0, 0.2, 0])
    assert not Nearest(np.zeros(0, int), np.zeros(0, int), 2).similarities(np.ones(3)).any()


def test_names_are_centred_and_a_post_without_a_label_has_zeros() -> None:
    name_nv = centred(torch.tensor([[3.0, 0.0], [1.0, 0.0]]))
    assert name_nv.tolist() == [[1.0, 0.0], [-1.0, 0.0]]
    assert mean_names([[0], [0, 1], []], name_nv).tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
