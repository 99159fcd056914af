"""Kernel ridge regression on TF-IDF against its definition, and leave-one-out scores against a new fit."""

import math
import subprocess
import sys
import tempfile

import pytest
import torch

from m3h.model.ranking import kernel_ridge
from m3h.model.ranking.kernel_ridge import KernelRidge
from m3h.model.ranking.tfidf import TERM_KINDS, TfidfVectorizer, terms_of
from tests.commands import ROOT, environment

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
    ridge, leave_one_out = KernelRidge.fit(TEXTS, LABELS, 4, penalty=PENALTY, kinds=tuple(TERM_KINDS))
    return ridge, leave_one_out[:]


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


def made_texts(n: int) -> list[list[str]]:
    """Texts of words of which few are frequent."""
    random = torch.Generator().manual_seed(n)
    return [[f"w{int(i)}" for i in 60 * torch.rand(8, generator=random) ** 3] for _ in range(n)]


def test_tiles_give_the_scores_of_the_whole_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave-one-out scores and those of new texts, with vectors and further targets, within 0.002."""
    monkeypatch.setattr(kernel_ridge, "TILE", 70)  # so that a tile is more than one block, and the last one is smaller
    texts, labels = made_texts(200), [[1 + i % 7, 0] for i in range(200)]
    random = torch.Generator().manual_seed(0)
    vector_nv, target_nt = torch.randn(200, 4, generator=random) / 4, torch.randn(200, 2, generator=random)
    (dense, dense_loo), (tiled, tiled_loo) = (
        KernelRidge.fit(
            *(texts, labels, 8),
            penalty=PENALTY,
            kinds=tuple(TERM_KINDS),
            vector_nv=vector_nv,
            target_nt=target_nt,
            solver=solver,
        )
        for solver in ("dense", "tiled")
    )
    torch.testing.assert_close(tiled_loo[:], dense_loo[:], atol=0.002, rtol=0.002)
    new, vector_pv = made_texts(50), torch.randn(50, 4, generator=random) / 4
    torch.testing.assert_close(tiled.scores(new, vector_pv), dense.scores(new, vector_pv), atol=0.002, rtol=0.002)


@pytest.mark.parametrize(("from_posts", "same_as"), [(5, "tiled"), (6, "dense")])
def test_many_posts_are_solved_in_tiles(from_posts: int, same_as: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_ridge, "TILED_FROM", from_posts)
    (_, chosen), (_, expected) = (
        KernelRidge.fit(TEXTS, LABELS, 4, penalty=PENALTY, kinds=["words"], solver=solver)
        for solver in ("auto", same_as)
    )
    assert torch.equal(chosen[:], expected[:])


def test_training_posts_are_as_similar_as_their_texts() -> None:
    ridge, _ = fitted()
    torch.testing.assert_close(ridge.training_similarity(slice(1, 9)), ridge.similarity(TEXTS)[1:], atol=0, rtol=0)


@pytest.mark.parametrize("solver", ["dense", "tiled"])
def test_a_limit_of_threads_changes_no_score(solver: str) -> None:
    """Tesseract wants OMP_THREAD_LIMIT=1, also of a process whose torch asks for more threads."""
    code = f"""
import sys, torch
from m3h.model.ranking.kernel_ridge import KernelRidge
from m3h.model.ranking.tfidf import TERM_KINDS
from tests.model.ranking.test_kernel_ridge import made_texts
torch.set_num_threads(2)
texts = made_texts(200)
labels = [[1 + i % 7] for i in range(len(texts))]
ridge, left_out = KernelRidge.fit(texts, labels, 8, penalty=0.3, kinds=TERM_KINDS, solver="{solver}")
torch.save([ridge.similarity(texts), ridge.training_similarity(slice(0, 200)), left_out[:]], sys.argv[1])
"""
    found = []
    for limit in ({}, {"OMP_THREAD_LIMIT": "1"}):
        given = {name: value for name, value in environment().items() if name != "OMP_THREAD_LIMIT"} | limit
        with tempfile.NamedTemporaryFile() as file:
            subprocess.run([sys.executable, "-c", code, file.name], env=given, cwd=ROOT, check=True)
            found.append(torch.load(file.name))
    for free, limited in zip(*found, strict=True):
        torch.testing.assert_close(free, limited)
