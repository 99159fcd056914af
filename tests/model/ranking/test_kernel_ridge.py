"""Kernel ridge regression on TF-IDF against its definition, and leave-one-out scores against a new fit."""

import math

import pytest
import torch

from m3h.model.ranking.kernel_ridge import KernelRidge
from m3h.model.ranking.tfidf import TERM_KINDS, TfidfVectorizer, terms_of

TEXTS = [
    ["big", "storm", "tonight"],
    ["storm", "over", "the", "sea"],
    ["new", "album", "tonight"],
    ["the", "new", "new", "album", "is", "out"],
    ["sea", "sea", "sea"],
]
LABELS = [[1], [1, 2], [3], [3], [2, 0]]
PENALTY = 0.3


def fitted() -> tuple[KernelRidge, torch.Tensor]:
    return KernelRidge.fit(TEXTS, LABELS, 4, penalty=PENALTY, kinds=tuple(TERM_KINDS))


@pytest.mark.parametrize(
    ("kind", "terms"),
    [
        ("words", ["big", "storms", "a"]),
        ("bigrams", ["big storms", "storms a"]),
        ("stems", ["~big", "~storm", "~a"]),
        ("char_ngrams", ["=^big", "=big$", "=^sto", "=stor", "=torm", "=orms", "=rms$", "=^a$"]),
    ],
)
def test_terms_of_a_text(kind: str, terms: list[str]) -> None:
    assert terms_of(["big", "storms", "a"], [kind]) == terms


def test_an_unknown_word_is_similar_by_its_stem_and_character_ngrams() -> None:
    for kinds, similar in ((["words", "bigrams"], False), (["stems"], True), (["char_ngrams"], True)):
        ridge, _ = KernelRidge.fit(TEXTS, LABELS, 4, penalty=PENALTY, kinds=kinds)
        assert bool(ridge.similarity([["storms"]])[0, 0] > 0) is similar


def test_a_row_by_hand() -> None:
    """Two texts; `a` is in both, twice in the second, `b` and the bigrams in one each."""
    tfidf = TfidfVectorizer.fit([["a"], ["a", "a", "b"]], ["words", "bigrams"])
    rare = math.log(3 / 2) + 1
    weights = {"a": 1 + math.log(2), "b": rare, "a a": rare, "a b": rare}
    length = math.sqrt(sum(weight**2 for weight in weights.values()))
    row = tfidf.transform([["a", "a", "b"]]).to_dense()[0]
    assert {term: round(float(row[tfidf.index[term]]), 6) for term in tfidf.terms} == {
        term: round(weight / length, 6) for term, weight in weights.items()
    }


def test_a_text_without_a_known_term_is_similar_to_nothing() -> None:
    ridge, _ = fitted()
    assert ridge.scores([["unheard"], []]).abs().max() == 0


def test_scores_are_those_of_ridge_regression_on_the_terms() -> None:
    """w = (X^T X + penalty I)^-1 X^T Y, the primal form."""
    ridge, _ = fitted()
    x, y = ridge.vectorizer.transform(TEXTS).to_dense().double(), torch.zeros(5, 4, dtype=torch.float64)
    for row, ids in enumerate(LABELS):
        y[row, [i for i in ids if i]] = 1
    w = torch.linalg.solve(x.T @ x + PENALTY * torch.eye(x.size(1), dtype=x.dtype), x.T @ y)
    texts = [["storm", "tonight"], ["the", "album"]]
    expected = ridge.vectorizer.transform(texts).to_dense().double() @ w
    torch.testing.assert_close(ridge.scores(texts).double(), expected, atol=1e-6, rtol=1e-5)


def test_a_leave_one_out_score_is_that_of_a_regression_without_the_post() -> None:
    ridge, loo_score_nl = fitted()
    for i, text in enumerate(TEXTS):
        others = [j for j in range(len(TEXTS)) if j != i]
        kernel = ridge.similarity(TEXTS)[others][:, others] + PENALTY * torch.eye(len(others))
        y = torch.zeros(len(others), 4)
        for row, j in enumerate(others):
            y[row, [label for label in LABELS[j] if label]] = 1
        expected = ridge.similarity([text])[:, others] @ torch.linalg.solve(kernel, y)
        torch.testing.assert_close(loo_score_nl[i], expected[0], atol=1e-5, rtol=1e-5)


def test_the_unknown_label_has_no_score() -> None:
    ridge, loo_score_nl = fitted()
    assert ridge.alpha_nl[:, 0].abs().max() == 0
    assert loo_score_nl[:, 0].abs().max() == 0


def test_a_text_has_the_same_score_alone_and_among_many() -> None:
    ridge, _ = fitted()
    many = ridge.scores(TEXTS * 30)
    torch.testing.assert_close(ridge.scores(TEXTS[1:2])[0], many[1 + 5 * 20], atol=1e-6, rtol=1e-6)


def test_tensors_and_back_is_the_same() -> None:
    ridge, _ = fitted()
    again = KernelRidge.from_tensors(ridge.vectorizer, ridge.as_tensors())
    torch.testing.assert_close(again.scores(TEXTS), ridge.scores(TEXTS), atol=0, rtol=0)
