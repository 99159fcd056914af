"""The weights of `decoding.reranking`, fitted on posts that the model has not learned from.

They are those of the largest log-likelihood of the right phrases, less a penalty on the squared distance from the
classifier's own ranking (weight 1 for log P of the label, 0 for all else). Each distance counts in deviations of its
feature. So few posts change little, and posts without a right phrase nothing. The problem is convex: there is no seed.

Axes: P posts with a right phrase, M phrases of a post, f features.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from m3h.model.data.posts import Posts
from m3h.model.decoding.reranking import FEATURES, Reranker, features
from m3h.model.decoding.rescoring import Probabilities
from m3h.model.ranking.occurrences import Occurrences
from m3h.model.scoring.metrics import score
from m3h.model.text.stemming import stem_phrase

PENALTY = 3.0
FOLDS = 5
"""Of the estimate of F1@1."""
Scored = Sequence[Mapping[str, Probabilities]]


def fit_reranker(scored: Scored, posts: Posts, occurrences: Occurrences) -> Reranker:
    """A reranker that has learned from these posts.

    Args:
        scored: what both parts say of the phrases of each post.
        posts: the same posts.
        occurrences: counts over the training posts.
    """
    feature_rows, target_rows = [], []
    for of_post, tokens, keyphrases in zip(scored, posts.tokens, posts.keyphrases, strict=True):
        gold = {stem_phrase(keyphrase) for keyphrase in keyphrases}
        right_m = torch.tensor([stem_phrase(phrase) in gold for phrase in of_post], dtype=torch.float64)
        if right_m.any():
            feature_rows.append(torch.from_numpy(features(of_post, tokens, occurrences)))
            target_rows.append(right_m / right_m.sum())
    start_f = torch.tensor([float(name == "label") for name in FEATURES], dtype=torch.float64)
    weight_f = fit_weights(feature_rows, target_rows, start_f) if feature_rows else start_f
    return Reranker(dict(zip(FEATURES, weight_f.tolist(), strict=True)), occurrences)


def fit_weights(feature_rows: Sequence[Tensor], target_rows: Sequence[Tensor], start_f: Tensor) -> Tensor:
    """(f,) weights w, where P(phrase) = softmax of w x over the phrases of a post.

    Args:
        feature_rows: of each post, (M, f) x in float64.
        target_rows: of each post, (M,) the share of each phrase in what is right; they sum to one.
        start_f: the weights at no distance.
    """
    all_nf = torch.cat(list(feature_rows))
    deviation_f = all_nf.std(0, correction=0)
    scale_f = torch.where(deviation_f > 0, 1 / deviation_f, 0.0)  # a feature that is always the same tells nothing
    x_pmf = pad_sequence([(row - all_nf.mean(0)) for row in feature_rows], batch_first=True)
    target_pm = pad_sequence(list(target_rows), batch_first=True)
    lengths_p = torch.tensor([len(row) for row in feature_rows])
    padding_pm = torch.arange(x_pmf.size(1)) >= lengths_p[:, None]
    distance_f = torch.zeros_like(start_f, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [distance_f], max_iter=500, tolerance_grad=1e-8, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        log_p_pm = (x_pmf @ (start_f + scale_f * distance_f)).masked_fill(padding_pm, -torch.inf).log_softmax(-1)
        penalty: Tensor = PENALTY / 2 * distance_f.square().sum()
        value = penalty - (target_pm * log_p_pm.masked_fill(padding_pm, 0.0)).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return (start_f + scale_f * distance_f).detach()


def held_out_f1(scored: Scored, posts: Posts, occurrences: Occurrences) -> float:
    """F1@1 (definition cmkp) of these posts, each ranked by what is learned from the other folds.

    Arguments as in `fit_reranker`. Post i is in fold i mod FOLDS.
    """
    best = [""] * len(posts)
    for fold in range(min(FOLDS, len(posts))):
        others = [row for row in range(len(posts)) if row % FOLDS != fold]
        reranker = fit_reranker([scored[row] for row in others], posts.at(others), occurrences)
        for row in range(fold, len(posts), FOLDS):
            best[row] = next((phrase for phrase, _ in reranker.rank(scored[row], posts.tokens[row])), "")
    return score([[phrase] for phrase in best], posts.keyphrases)["all"]["f1@1"]
