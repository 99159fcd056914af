"""Which regions are the objects of a picture: by the original procedure, or by that of the later ports.

original (Anderson et al. 2018, generate_tsv.py): boxes are the proposals themselves. Each class suppresses overlapping
proposals by its own scores; a proposal's confidence is its best score in a class that keeps it. Those of at least 0.2
are objects, at least 10 and at most 100 of them, or 36 and 36.

regressed (the detectron2 port, transformers' LXMERT example): boxes are regressed for the likeliest class. All suppress
each other whatever their class, by an overlap that rises until enough are left.

Ties go to the earlier proposal. Axes: N regions, C classes without background.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.extractors.butd.boxes import Convention
from pipeline.extractors.butd.proposals import suppressed


@dataclass(frozen=True)
class SelectionRules:
    """fewest, most: objects a picture; fewer only where there are fewer proposals. overlap: within a class (original).

    confidence: of an object (original). rising_from: the first overlap of 0.1 apart up to 0.9 (regressed).
    """

    fewest: int = 36
    most: int = 36
    confidence: float = 0.2
    overlap: float = 0.3
    rising_from: float = 0.5


def original(boxes_n4: np.ndarray, score_nc: np.ndarray, rules: SelectionRules, edge: float) -> np.ndarray:
    """Indices of the objects among the proposals; by confidence where they were too few or too many, else in order.

    boxes_n4: in pixels of the picture. edge: what a box is wider than x2 - x1.
    """
    confidence_n = confidences(overlaps(boxes_n4, edge) > np.float32(rules.overlap), score_nc)
    sure = np.flatnonzero(confidence_n >= np.float32(rules.confidence))
    if rules.fewest <= len(sure) <= rules.most:
        return sure
    best = np.argsort(-confidence_n, kind="stable")
    return best[: rules.fewest if len(sure) < rules.fewest else rules.most]


def overlaps(boxes_n4: np.ndarray, edge: float) -> np.ndarray:
    """(N, N) intersections over unions."""
    low_n2, high_n2 = boxes_n4[:, :2], boxes_n4[:, 2:] + boxes_n4.dtype.type(edge)
    area_n = (high_n2 - low_n2).prod(axis=1)
    shared_nn2 = np.minimum(high_n2[:, None], high_n2) - np.maximum(low_n2[:, None], low_n2)
    shared_nn = shared_nn2.clip(min=0).prod(axis=2)
    union_nn = area_n[:, None] + area_n - shared_nn
    return np.divide(shared_nn, union_nn, out=np.zeros_like(shared_nn), where=union_nn > 0)


def confidences(rivals_nn: np.ndarray, score_nc: np.ndarray) -> np.ndarray:
    """(N,) best score of each region in a class whose suppression keeps it, or 0.

    rivals_nn: which regions suppress each other. All classes go through their suppression side by side, one rank after
    the other; a class's suppressed regions are the bits of a row of words.
    """
    regions, classes = score_nc.shape
    words = -(-max(regions, 1) // 64)
    bits = np.packbits(rivals_nn, axis=1, bitorder="little")
    rivals_nw = np.pad(bits, ((0, 0), (0, 8 * words - bits.shape[1]))).view(np.uint64)
    gone_cw = np.zeros((classes, words), np.uint64)
    kept_nc = np.zeros(score_nc.shape, bool)
    for region_c in np.argsort(-score_nc, axis=0, kind="stable"):
        word_c = np.take_along_axis(gone_cw, region_c[:, None] // 64, axis=1)[:, 0]
        class_k = np.flatnonzero((word_c >> (region_c % 64).astype(np.uint64)) & np.uint64(1) == 0)
        region_k = region_c[class_k]
        kept_nc[region_k, class_k] = True
        gone_cw[class_k] |= rivals_nw[region_k]
    return np.where(kept_nc, score_nc, 0).max(axis=1, initial=0)


def regressed(boxes_n4: Tensor, score_n: Tensor, rules: SelectionRules, convention: Convention) -> np.ndarray:
    """Indices of the objects, by score. boxes_n4, score_n: of the likeliest class."""
    kept = torch.zeros(0, dtype=torch.int64)
    for tenths in range(round(10 * rules.rising_from), 10):
        kept = suppressed(boxes_n4, score_n, tenths / 10, convention)[: rules.most]
        if len(kept) >= rules.fewest:
            break
    return kept.cpu().numpy()
