"""How good rankings of attributes are. Axes: N pictures, V attributes."""

from typing import Any

import numpy as np


def mean_average_precision(scores_nv: np.ndarray, gold_nv: np.ndarray) -> float:
    """Mean, over the attributes that any picture has, of the average precision of ranking all pictures by its score.

    NaN where no picture has any attribute.
    """
    found = [average_precision(scores_nv[:, i], gold_nv[:, i]) for i in np.flatnonzero(gold_nv.any(0))]
    return float(np.mean(found)) if found else float("nan")


def average_precision(scores: np.ndarray, gold: np.ndarray) -> float:
    """Mean, over pictures that have the attribute, of the precision down to them.

    Pictures of equal score are in no order: what is returned is the mean over all their orders (McSherry and Najork,
    2008). So a score that says nothing gets what a random ranking gets, and no less.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])) + 1, len(order))  # of each run of equal scores
    sizes = np.diff(ends, prepend=0)
    hits = np.diff(np.cumsum(gold[order])[ends - 1], prepend=0)
    size, hit, before, above = (np.repeat(each, sizes) for each in (sizes, hits, ends - sizes, np.cumsum(hits) - hits))
    rank = np.arange(1, len(order) + 1)
    beside = (rank - before - 1) * (hit - 1) / np.maximum(size - 1, 1)  # expected hits of its run above a hit
    return float((hit / size * (above + beside + 1) / rank).sum() / gold.sum())


def recall_at(k: int, scores_nv: np.ndarray, gold_nv: np.ndarray) -> float:
    """Mean over pictures with attributes of the share of these among the k highest scores. NaN without such a picture.

    Equal scores keep the vocabulary's order. A picture with more than k attributes cannot reach 1.
    """
    some = gold_nv.any(1)
    if not some.any():
        return float("nan")
    best = np.argsort(-scores_nv[some], axis=1, kind="stable")[:, :k]
    gold = gold_nv[some]
    return float((np.take_along_axis(gold, best, 1).sum(1) / gold.sum(1)).mean())


def both(scores_nv: np.ndarray, gold_nv: np.ndarray) -> dict[str, Any]:
    """`map` and `recall_at_5`."""
    return {"map": mean_average_precision(scores_nv, gold_nv), "recall_at_5": recall_at(5, scores_nv, gold_nv)}
