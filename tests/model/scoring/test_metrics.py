"""The metrics: hand-made cases of the original release, cases worked out by hand, and laws."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.scoring.metrics import (
    CUTOFFS,
    DEFINITIONS,
    clean_predictions,
    clean_targets,
    corpus_scores,
    match,
    score,
)
from m3h.model.text.stemming import stem
from m3h.schemas.errors import UsageError

WORDS = st.sampled_from(["game", "games", "throne", "new", "music", "<unk>", ",", "walking", "walk", "a_b", "a", "b"])
PHRASE = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
POSTS = st.lists(st.tuples(st.lists(PHRASE, max_size=7), st.lists(PHRASE, min_size=1, max_size=4)), max_size=6)
GOLDEN = {"precision": "precision", "recall": "recall", "AP": "map", "NDCG": "ndcg"}


def test_every_case_of_the_original_release(m3h_data: Path) -> None:
    cases = json.loads((m3h_data / "cmkp" / "metric_cases.json").read_text(encoding="utf-8"))["cases"]
    compared = 0
    for case in cases:
        ours = score([case["predictions"]], [case["targets"]], [case["src"].split()])
        expected = case["expected"]
        kept = [" ".join(p) for p in clean_predictions(case["predictions"])]
        assert kept == expected["filtered_stemmed_predictions"]
        assert [" ".join(p) for p in clean_targets(case["targets"])] == expected["unique_stemmed_targets"]
        for part in ("all", "present", "absent"):
            for theirs, name in GOLDEN.items():
                for k in CUTOFFS:
                    wanted = expected[part][f"{theirs}@{k}"] if expected[part] else 0.0
                    assert ours[part][f"{name}@{k}"] == pytest.approx(wanted, abs=1e-9), (case["name"], part, name, k)
                    compared += 1
    assert compared == len(cases) * 3 * 4 * 3


def two_posts() -> list:
    """Post 1: miss, hit, hit of 3 targets, 4 kept. Post 2: nothing right, 1 kept, 1 target."""
    return [
        match([("x",), ("a",), ("b",), ("y",)], [("a",), ("b",), ("c",)]),
        match([("x",)], [("a",)]),
    ]


@pytest.mark.parametrize(
    ("definition", "name", "expected"),
    [
        ("cmkp", "precision@3", (2 / 3 + 0) / 2),
        ("cmkp", "precision@5", (2 / 4 + 0) / 2),
        ("fixed-k", "precision@5", (2 / 5 + 0) / 2),
        ("per-post", "precision@5", (2 / 5 + 0) / 2),
        ("cmkp", "recall@5", (2 / 3 + 0) / 2),
        ("cmkp", "f1@5", 2 * (1 / 4) * (1 / 3) / (1 / 4 + 1 / 3)),
        ("fixed-k", "f1@5", 2 * (1 / 5) * (1 / 3) / (1 / 5 + 1 / 3)),
        ("per-post", "f1@5", (2 * (2 / 5) * (2 / 3) / (2 / 5 + 2 / 3)) / 2),
        ("cmkp", "map@5", ((1 / 2 + 2 / 3) / 3) / 2),
        ("fixed-k", "map@3", ((1 / 2 + 2 / 3) / 3) / 2),
        ("per-post", "map@5", ((0 + 1 / 2 + 2 / 3 + 2 / 4) / 4) / 2),
        ("per-post", "map@1", 0.0),
        ("cmkp", "ndcg@3", ((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3))) / 2),
        ("cmkp", "ndcg@1", 0.0),
        ("cmkp", "precision@M", (2 / 4 + 0) / 2),
        ("cmkp", "recall@M", (2 / 3 + 0) / 2),
        ("per-post", "f1@M", (2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3)) / 2),
        ("per-post", "precision@O", (2 / 3 + 0) / 2),
        ("cmkp", "f1@O", 1 / 3),
    ],
)
def test_two_posts_by_hand(definition: str, name: str, expected: float) -> None:
    assert corpus_scores(two_posts(), definition)[name] == pytest.approx(expected, abs=1e-12)


def test_aimkp_keeps_repeated_phrases_by_hand() -> None:
    """`b` is predicted twice and wanted twice: it counts once, takes up two places, and T is 3."""
    predictions, targets = ["b", "x", "b", "<unk> c", "a"], ["a", "b", "b"]
    ours = score([predictions], [targets], definition="aimkp")["all"]
    assert ours["precision@1"] == 1.0
    assert ours["recall@1"] == pytest.approx(1 / 3)
    assert ours["f1@1"] == pytest.approx(2 * 1 * (1 / 3) / (1 + 1 / 3))
    assert ours["precision@3"] == pytest.approx(1 / 3)
    assert ours["map@5"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 2 / 5) / 5)
    cleaned = score([predictions], [targets], definition="per-post")["all"]
    assert cleaned["precision@3"] == pytest.approx(2 / 3)  # b, x, a
    assert cleaned["recall@1"] == pytest.approx(1 / 2)


def test_no_prediction_at_all_is_the_empty_phrase_in_f1_at_m() -> None:
    assert corpus_scores([match([], [("a",)]), match([("a",)], [("a",)])], "per-post")["f1@M"] == 0.5


def test_the_ideal_ranking_sorts_the_whole_list_before_it_is_cut() -> None:
    post = match([("a",), ("x",), ("y",), ("b",)], [("a",), ("b",)])
    assert corpus_scores([post])["ndcg@3"] == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_no_posts_give_zeros() -> None:
    assert set(corpus_scores([]).values()) == {0.0}


def test_an_unknown_definition_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="Did you mean 'per-post'"):
        corpus_scores([], "per_post")


def test_special_tokens_are_not_stemmed_and_words_are_lower_cased() -> None:
    assert [stem(w) for w in ("<number>", "<unk>", "Walking", "BREXIT")] == ["<number>", "<unk>", "walk", "brexit"]


@pytest.mark.parametrize(
    ("predictions", "kept"),
    [
        ([""], [("",)]),
        (["a_b", "a b"], [("a_b",)]),
        (["dogs", "dog", "<unk> dog", "dog .", ","], [("dog",)]),
    ],
)
def test_predictions_are_cleaned(predictions: list[str], kept: list[tuple[str, ...]]) -> None:
    assert clean_predictions(predictions) == kept


def test_presence_is_word_by_word() -> None:
    scores = score([["throne", "hrone"]], [["throne", "hrone"]], [["the", "thrones"]])
    assert scores["present"]["recall@1"] == 1.0
    assert scores["absent"]["recall@1"] == 1.0  # `hrone` is no word of the source


@given(POSTS, st.sampled_from(DEFINITIONS))
def test_scores_lie_between_zero_and_one(posts: list, definition: str) -> None:
    scores = score([p for p, _ in posts], [t for _, t in posts], [["new", "music"]] * len(posts), definition=definition)
    assert all(0.0 <= value <= 1.0 + 1e-12 for part in scores.values() for value in part.values())


@given(POSTS)
def test_recall_grows_with_k(posts: list) -> None:
    scores = score([p for p, _ in posts], [t for _, t in posts])["all"]
    assert scores["recall@1"] <= scores["recall@3"] <= scores["recall@5"]


@given(POSTS)
def test_the_order_of_posts_does_not_matter(posts: list) -> None:
    forth = score([p for p, _ in posts], [t for _, t in posts])["all"]
    back = score([p for p, _ in posts[::-1]], [t for _, t in posts[::-1]])["all"]
    assert forth == pytest.approx(back)


@given(st.lists(st.lists(PHRASE.filter(lambda p: clean_predictions([p])), min_size=1, max_size=1), max_size=5))
def test_one_right_prediction_a_post_is_perfect(targets: list) -> None:
    scores = score(targets, targets)["all"]
    assert all(
        scores[f"{name}@1"] == (1.0 if targets else 0.0) for name in ("precision", "recall", "f1", "map", "ndcg")
    )


@given(POSTS, st.sampled_from([d for d in DEFINITIONS if d != "cmkp"]))
def test_a_list_that_is_as_long_as_k_scores_the_same_at_m(posts: list, definition: str) -> None:
    """Distinct phrases that cleaning leaves alone, 3 a post."""
    predictions = [["game", "new", "music"] for _ in posts]
    scores = score(predictions, [t for _, t in posts], definition=definition)["all"]
    assert [scores[f"{name}@M"] for name in ("precision", "recall", "f1")] == [
        scores[f"{name}@3"] for name in ("precision", "recall", "f1")
    ]


@given(POSTS)
def test_at_o_precision_equals_recall_where_enough_is_predicted(posts: list) -> None:
    predictions = [[f"w{i}" for i in range(8)] for _ in posts]
    scores = score(predictions, [[*t, "w3"] for _, t in posts], definition="per-post")["all"]
    assert scores["precision@O"] == pytest.approx(scores["recall@O"]) == pytest.approx(scores["f1@O"])
