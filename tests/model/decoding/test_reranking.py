"""A log-linear model over what both parts say: features and lists by hand, and what is stored."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from m3h.model.data.posts import Posts
from m3h.model.decoding.reranking import FEATURES, RERANKER_FILE, Reranker, features, phrase_occurrences
from m3h.model.ranking.occurrences import Occurrences
from m3h.schemas.errors import IntegrityError
from m3h.schemas.vocab import Vocabulary

SEEN = Counter({"label: storm hour": 6, "label: kca": 3, "word: kca": 3, "word: rain": 8})
MARKED = Counter({"label: storm hour": 2, "label: kca": 3})
OCCURRENCES = Occurrences(SEEN, MARKED)
NONE = dict.fromkeys(FEATURES, 0.0)


def test_features_by_hand() -> None:
    scored = {"storm hours": (math.exp(-6), 0.25), "rain": (math.exp(-4), 0.0), "kca": (0.0, 0.5), "zebra": (0.5, 0.0)}
    found = features(scored, ["Storm", "hour", "and", "rain", "and", "zebra"], OCCURRENCES)
    floor = math.log(1e-7)
    expected = [
        [math.log(0.25), 0, -2, 1, -6, math.log(2.5 / 8), 2],  # two of six texts, stemmed; three words with <eos>
        [floor, 1, -2, 1, -4, math.log(0.5 / 10), 1],  # no label: the word stood in eight texts
        [math.log(0.5), 0, floor / 2, 0, 0, 0, 1],  # stands in no text: whatever the counts
        [floor, 1, math.log(0.5) / 2, 1, math.log(0.5), math.log(0.5 / 2), 1],  # in no training text
    ]
    np.testing.assert_allclose(found, expected)
    assert features({}, ["rain"], OCCURRENCES).shape == (0, len(FEATURES))


def test_a_score_is_the_share_of_the_post() -> None:
    """Scores of log 0.2 and log 0.1 + 1: the shares are 0.2 and 0.1 e, over their sum."""
    reranker = Reranker({**NONE, "label": 1.0, "in text": 1.0}, OCCURRENCES)
    found = reranker.rank({"kca": (0.3, 0.2), "rain": (0.1, 0.1)}, ["rain"])
    whole = 0.2 + 0.1 * math.e
    assert [phrase for phrase, _ in found] == ["rain", "kca"]
    assert [p for _, p in found] == pytest.approx([0.1 * math.e / whole, 0.2 / whole])
    assert reranker.rank({}, ["rain"]) == []


def test_phrases_of_equal_score_keep_their_order() -> None:
    found = Reranker(NONE, OCCURRENCES).rank({"b": (0.1, 0.2), "a": (0.3, 0.4)}, [])
    assert found == [("b", 0.5), ("a", 0.5)]


def test_occurrences_are_counted_once_a_text_after_stemming() -> None:
    texts = ["storm hours and storm hour", "a storm", "kca kca"]
    keyphrases = [["storm hour"], ["storm hour"], ["other"]]
    posts = Posts(["1", "2", "3"], [t.split() for t in texts], keyphrases, [[]] * 3, [[]] * 3, [-1] * 3)
    found = phrase_occurrences(posts, Vocabulary(["<unk>", "storm hour", "kca"]))
    assert found.seen["label: storm hour"] == 1
    assert found.marked["label: storm hour"] == 1
    assert found.seen["label: kca"] == 1
    assert found.marked["label: kca"] == 0
    assert found.seen["word: storm"] == 2
    assert {name.split(":")[0] for name in found.seen} == {"word", "label"}
    assert {name.split(":")[0] for name in found.marked} == {"label"}


def test_what_is_stored_ranks_the_same(tmp_path: Path) -> None:
    assert Reranker.read(tmp_path) is None
    weights = {name: 0.1 * (i + 1) for i, name in enumerate(FEATURES)}
    reranker = Reranker(weights, OCCURRENCES)
    reranker.write(tmp_path)
    assert Reranker.read(tmp_path) == reranker


@pytest.mark.parametrize(
    "change",
    [
        {"weights": {**NONE, "more": 1.0}},
        {"weights": {"label": 1.0}},
        {"weights": []},
        {"weights": {**NONE, "label": math.nan}},
        {"weights": {**NONE, "label": 1e308}},
        {"weights": {**NONE, "label": 10**400}},
        {"seen": {"a": "b"}},
        {"seen": {"label: storm": -2}},
        {"marked": {"label: storm": 10**400}},
        {"marked": {"label: storm": 0.5}},
    ],
)
def test_a_damaged_file_is_named(change: dict[str, object], tmp_path: Path) -> None:
    Reranker(NONE, OCCURRENCES).write(tmp_path)
    file = tmp_path / RERANKER_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(IntegrityError, match=RERANKER_FILE):
        Reranker.read(tmp_path)
