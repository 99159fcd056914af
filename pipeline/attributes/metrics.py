"""Metrics of attribute scores. Axes: N pictures, V attributes."""

from typing import TypedDict

import numpy as np


class Metrics(TypedDict):
    """map: mean average precision. recall_at_5: see `recall_at`."""

    map: float
    recall_at_5: float


class EpochRecord(Metrics):
    """The losses and the validation metrics of one epoch. epoch: its number, from 1."""

    epoch: int
    train_loss: float
    valid_loss: float


def mean_average_precision(scores_nv: np.ndarray, gold_nv: np.ndarray) -> float:
    """The mean of `average_precision` over the attributes that any picture has. NaN when no picture has attributes."""
    precisions = [average_precision(scores_nv[:, i], gold_nv[:, i]) for i in np.flatnonzero(gold_nv.any(0))]
    return float(np.mean(precisions)) if precisions else float("nan")


def average_precision(scores: np.ndarray, gold: np.ndarray) -> float:
    """The average precision of ranking the pictures by `scores` for one attribute. gold: which pictures have it.

    It is the mean, over the pictures with the attribute, of the precision at their ranks. Pictures with equal scores
    have no order: the result is the mean over all their orders (McSherry and Najork, 2008). So constant scores get the
    average precision of a random ranking.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])) + 1, len(order))  # the end of each run of equal scores
    sizes = np.diff(ends, prepend=0)
    hits = np.diff(np.cumsum(gold[order])[ends - 1], prepend=0)
    size, hit, before, above = (np.repeat(each, sizes) for each in (sizes, hits, ends - sizes, np.cumsum(hits) - hits))
    rank = np.arange(1, len(order) + 1)
    within = (rank - before - 1) * (hit - 1) / np.maximum(size - 1, 1)  # expected hits above it within its run
    return float((hit / size * (above + within + 1) / rank).sum() / gold.sum())


def recall_at(k: int, scores_nv: np.ndarray, gold_nv: np.ndarray) -> float:
    """The mean share of a picture's attributes that are among its k highest scores.

    Pictures without attributes are left out; NaN when no picture is left. Equal scores keep the vocabulary's order. A
    picture with more than k attributes cannot reach 1.

    Args:
        k: the number of highest scores.
        scores_nv: the scores.
        gold_nv: whether a picture has an attribute.
    """
    has_attributes = gold_nv.any(1)
    if not has_attributes.any():
        return float("nan")
    best = np.argsort(-scores_nv[has_attributes], axis=1, kind="stable")[:, :k]
    gold = gold_nv[has_attributes]
    return float((np.take_along_axis(gold, best, 1).sum(1) / gold.sum(1)).mean())


def validation_metrics(scores_nv: np.ndarray, gold_nv: np.ndarray) -> Metrics:
    """The metrics of all pictures and attributes."""
    return {"map": mean_average_precision(scores_nv, gold_nv), "recall_at_5": recall_at(5, scores_nv, gold_nv)}
