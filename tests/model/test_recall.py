"""Ridge regression on grams against its definition, and leaving a post out against learning without it."""

import math

import pytest
import torch

from model.grams import KINDS, Grams, grams_of
from model.recall import Recall

TEXTS = [
    ["big", "storm", "tonight"],
    ["storm", "over", "the", "sea"],
    ["new", "album", "tonight"],
    ["the", "new", "new", "album", "is", "out"],
    ["sea", "sea", "sea"],
]
LABELS = [[1], [1, 2], [3], [3], [2, 0]]
PENALTY = 0.3


def learned() -> tuple[Recall, torch.Tensor]:
    return Recall.learn(TEXTS, LABELS, 4, PENALTY, tuple(KINDS))


@pytest.mark.parametrize(
    ("kind", "grams"),
    [
        ("words", ["big", "storms", "a"]),
        ("pairs", ["big storms", "storms a"]),
        ("stems", ["~big", "~storm", "~a"]),
        ("pieces", ["=^big", "=big$", "=^sto", "=stor", "=torm", "=orms", "=rms$", "=^a$"]),
    ],
)
def test_what_a_text_is_taken_as(kind: str, grams: list[str]) -> None:
    assert grams_of(["big", "storms", "a"], [kind]) == grams


def test_an_unknown_word_is_like_its_stem_and_pieces() -> None:
    for kinds, alike in ((["words", "pairs"], False), (["stems"], True), (["pieces"], True)):
        recall, _ = Recall.learn(TEXTS, LABELS, 4, PENALTY, kinds)
        assert bool(recall.likeness([["storms"]])[0, 0] > 0) is alike


def test_a_row_by_hand() -> None:
    """Two texts; `a` stands in both, twice in the second, `b` and the pairs in one each."""
    grams = Grams.learn([["a"], ["a", "a", "b"]], ["words", "pairs"])
    rare = math.log(3 / 2) + 1
    weights = {"a": 1 + math.log(2), "b": rare, "a a": rare, "a b": rare}
    length = math.sqrt(sum(weight**2 for weight in weights.values()))
    row = grams.rows([["a", "a", "b"]]).to_dense()[0]
    assert {gram: round(float(row[grams.index[gram]]), 6) for gram in grams.grams} == {
        gram: round(weight / length, 6) for gram, weight in weights.items()
    }


def test_a_text_without_a_known_gram_is_like_nothing() -> None:
    recall, _ = learned()
    assert recall.scores([["unheard"], []]).abs().max() == 0


def test_scores_are_those_of_ridge_regression_on_the_grams() -> None:
    """w = (X^T X + penalty I)^-1 X^T Y, the other way to write it."""
    recall, _ = learned()
    x, y = recall.grams.rows(TEXTS).to_dense().double(), torch.zeros(5, 4, dtype=torch.float64)
    for row, ids in enumerate(LABELS):
        y[row, [i for i in ids if i]] = 1
    w = torch.linalg.solve(x.T @ x + PENALTY * torch.eye(x.size(1), dtype=x.dtype), x.T @ y)
    seen = [["storm", "tonight"], ["the", "album"]]
    expected = recall.grams.rows(seen).to_dense().double() @ w
    torch.testing.assert_close(recall.scores(seen).double(), expected, atol=1e-6, rtol=1e-5)


def test_a_post_left_out_is_scored_as_by_those_who_never_saw_it() -> None:
    recall, left_out_nl = learned()
    for i, text in enumerate(TEXTS):
        others = [j for j in range(len(TEXTS)) if j != i]
        kernel = recall.likeness(TEXTS)[others][:, others] + PENALTY * torch.eye(len(others))
        y = torch.zeros(len(others), 4)
        for row, j in enumerate(others):
            y[row, [label for label in LABELS[j] if label]] = 1
        expected = recall.likeness([text])[:, others] @ torch.linalg.solve(kernel, y)
        torch.testing.assert_close(left_out_nl[i], expected[0], atol=1e-5, rtol=1e-5)


def test_nobody_has_the_unknown_label() -> None:
    recall, left_out_nl = learned()
    assert recall.alpha_nl[:, 0].abs().max() == 0
    assert left_out_nl[:, 0].abs().max() == 0


def test_a_lone_text_is_scored_as_among_many() -> None:
    recall, _ = learned()
    many = recall.scores(TEXTS * 30)
    torch.testing.assert_close(recall.scores(TEXTS[1:2])[0], many[1 + 5 * 20], atol=1e-6, rtol=1e-6)


def test_tensors_and_back_is_the_same() -> None:
    recall, _ = learned()
    again = Recall.from_tensors(recall.grams, recall.as_tensors())
    torch.testing.assert_close(again.scores(TEXTS), recall.scores(TEXTS), atol=0, rtol=0)
