"""Fitted weights: by hand, and what they must do whatever the posts."""

import math

import pytest
import torch

from m3h.model.data.posts import Posts
from m3h.model.decoding.reranking import FEATURES
from m3h.model.ranking.occurrences import Occurrences
from m3h.model.training.reranker import PENALTY, fit_reranker, fit_weights, held_out_f1

NO_TEXTS = Occurrences()


def posts_of(keyphrases: list[list[str]], text: str = "rain") -> Posts:
    n = len(keyphrases)
    return Posts([str(i) for i in range(n)], [text.split()] * n, keyphrases, [[]] * n, [[]] * n, [-1] * n)


def test_a_weight_is_where_likelihood_and_penalty_balance() -> None:
    """Of n posts with phrases x = 1 and x = -1 the first is right in 3 of 4: n (3/4 - P(1)) = PENALTY (w - w0).

    The deviation of the feature is one; P(1) = sigmoid(2 w), and its derivative by w counts twice.
    """
    n = 400
    rows = [torch.tensor([[1.0], [-1.0]], dtype=torch.float64)] * n
    right = [torch.tensor([1.0, 0.0] if i % 4 else [0.0, 1.0], dtype=torch.float64) for i in range(n)]
    w = float(fit_weights(rows, right, torch.tensor([0.2], dtype=torch.float64)))
    assert 2 * n * (0.75 - 1 / (1 + math.exp(-2 * w))) == pytest.approx(PENALTY * (w - 0.2), abs=1e-6)
    assert w == pytest.approx(math.log(3) / 2, abs=0.01)


def test_padding_and_constant_features_change_nothing() -> None:
    short = torch.tensor([[1.0, 5.0], [-1.0, 5.0]], dtype=torch.float64)
    long = torch.tensor([[1.0, 5.0], [0.0, 5.0], [-2.0, 5.0]], dtype=torch.float64)
    right = [torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 0.5, 0.5], dtype=torch.float64)]
    start = torch.tensor([0.0, 0.7], dtype=torch.float64)
    both = fit_weights([short, long], right, start)
    turned = fit_weights([long.flip(0), short], [right[1].flip(0), right[0]], start)
    torch.testing.assert_close(both, turned, rtol=0, atol=1e-6)
    assert float(both[1]) == pytest.approx(0.7)


def test_without_right_phrases_the_classifier_ranks() -> None:
    scored = [{"kca": (0.9, 0.1), "maga": (0.1, 0.6), "rain": (0.8, 0.0)}]
    reranker = fit_reranker(scored, posts_of([["other"]]), NO_TEXTS)
    assert reranker.weights == {name: float(name == "label") for name in FEATURES}
    assert [phrase for phrase, _ in reranker.rank(scored[0], ["rain"])] == ["maga", "kca", "rain"]


def test_it_learns_whom_to_believe() -> None:
    """The generator is always right, of labels and of others; the classifier prefers another label."""
    scored = [{"kca": (0.9, 0.2), "maga": (0.01, 0.6)}, {"rain": (0.9, 0.0), "maga": (0.01, 0.6)}] * 30
    posts = posts_of([["kca"], ["rains"]] * 30)
    reranker = fit_reranker(scored, posts, NO_TEXTS)
    assert [reranker.rank(of_post, ["rain"])[0][0] for of_post in scored[:2]] == ["kca", "rain"]
    assert reranker.weights["generator"] > 0
    assert fit_reranker(scored[::-1], posts.at(range(59, -1, -1)), NO_TEXTS).weights == pytest.approx(
        reranker.weights, abs=1e-5
    )


def test_a_post_is_judged_by_the_other_folds() -> None:
    """Only posts of the first fold have a phrase of the text, and there it is right. Others cannot teach that."""
    of_text, other = {"rain": (0.5, 0.2), "maga": (0.5, 0.6)}, {"kca": (0.5, 0.2), "maga": (0.5, 0.6)}
    scored = [of_text, other, other, other, other] * 12
    posts = posts_of([["rain"], ["maga"], ["maga"], ["maga"], ["maga"]] * 12)
    assert held_out_f1(scored, posts, NO_TEXTS) == pytest.approx(0.8)
    assert fit_reranker(scored, posts, NO_TEXTS).rank(of_text, ["rain"])[0][0] == "rain"


def test_few_posts_have_an_estimate_too() -> None:
    assert held_out_f1([{"kca": (0.5, 0.2), "maga": (0.5, 0.6)}], posts_of([["maga"]]), NO_TEXTS) == pytest.approx(1.0)
    assert held_out_f1([{}, {}], posts_of([["maga"]] * 2), NO_TEXTS) == 0.0
