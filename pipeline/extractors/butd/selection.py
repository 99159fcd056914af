"""Selects the objects of a picture among its regions, by the original procedure or by that of the later ports.

original (Anderson et al. 2018, generate_tsv.py): the boxes are the proposals themselves. Non-maximum suppression runs
for each class with its own scores. The confidence of a proposal is its best score in a class that keeps it. Proposals
with a confidence of at least 0.2 are objects: at least 10 and at most 100 of them, or exactly 36.

regressed (the detectron2 port, transformers' LXMERT example): the boxes are regressed for the most probable class.
Non-maximum suppression runs once over all classes, with an overlap threshold that rises until enough boxes are left.

The earlier proposal wins a tie. Axes: N regions, C classes without background.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from m3h.pipeline.extractors.butd.boxes import Convention
from m3h.pipeline.extractors.butd.proposals import suppress


@dataclass(frozen=True)
class SelectionRules:
    """How many objects are selected.

    min_objects, max_objects: per picture; there are fewer only when there are fewer proposals. confidence: least
    confidence of an object (original). overlap: IoU that suppresses within a class (original). first_overlap: the first
    IoU threshold; it rises by 0.1 up to 0.9 (regressed).
    """

    min_objects: int = 36
    max_objects: int = 36
    confidence: float = 0.2
    overlap: float = 0.3
    first_overlap: float = 0.5


def select_original(boxes_n4: np.ndarray, score_nc: np.ndarray, rules: SelectionRules, *, edge: float) -> np.ndarray:
    """The indices of the objects among the proposals.

    They are in order. When there were too few or too many confident ones, they are sorted by confidence instead.

    Args:
        boxes_n4: the proposals in pixels of the picture.
        score_nc: their class probabilities.
        rules: how many objects are selected.
        edge: width of a box minus (x2 - x1).
    """
    confidence_n = confidences(overlaps(boxes_n4, edge) > np.float32(rules.overlap), score_nc)
    confident = np.flatnonzero(confidence_n >= np.float32(rules.confidence))
    if rules.min_objects <= len(confident) <= rules.max_objects:
        return confident
    best = np.argsort(-confidence_n, kind="stable")
    return best[: rules.min_objects if len(confident) < rules.min_objects else rules.max_objects]


def overlaps(boxes_n4: np.ndarray, edge: float) -> np.ndarray:
    """(N, N) the intersection over union of each pair of boxes. edge: width of a box minus (x2 - x1)."""
    low_n2, high_n2 = boxes_n4[:, :2], boxes_n4[:, 2:] + boxes_n4.dtype.type(edge)
    area_n = (high_n2 - low_n2).prod(axis=1)
    shared_nn2 = np.minimum(high_n2[:, None], high_n2) - np.maximum(low_n2[:, None], low_n2)
    shared_nn = shared_nn2.clip(min=0).prod(axis=2)
    union_nn = area_n[:, None] + area_n - shared_nn
    return np.divide(shared_nn, union_nn, out=np.zeros_like(shared_nn), where=union_nn > 0)


def confidences(rivals_nn: np.ndarray, score_nc: np.ndarray) -> np.ndarray:
    """(N,) the best score of each region among the classes whose suppression keeps it; 0 when none keeps it.

    rivals_nn: whether two regions suppress each other. The suppression runs for all classes at the same time, one rank
    after the other. The bits of a row of `suppressed_cw` are the suppressed regions of a class.
    """
    regions, classes = score_nc.shape
    words = -(-max(regions, 1) // 64)
    bits = np.packbits(rivals_nn, axis=1, bitorder="little")
    rivals_nw = np.pad(bits, ((0, 0), (0, 8 * words - bits.shape[1]))).view(np.uint64)
    suppressed_cw = np.zeros((classes, words), np.uint64)
    kept_nc = np.zeros(score_nc.shape, bool)
    for region_c in np.argsort(-score_nc, axis=0, kind="stable"):
        word_c = np.take_along_axis(suppressed_cw, region_c[:, None] // 64, axis=1)[:, 0]
        class_k = np.flatnonzero((word_c >> (region_c % 64).astype(np.uint64)) & np.uint64(1) == 0)
        region_k = region_c[class_k]
        kept_nc[region_k, class_k] = True
        suppressed_cw[class_k] |= rivals_nw[region_k]
    return np.where(kept_nc, score_nc, 0).max(axis=1, initial=0)


def select_regressed(boxes_n4: Tensor, score_n: Tensor, rules: SelectionRules, *, convention: Convention) -> np.ndarray:
    """The indices of the objects, sorted by score.

    Args:
        boxes_n4: the boxes, regressed for their most probable class.
        score_n: the probability of this class.
        rules: how many objects are selected.
        convention: how boxes are coded.
    """
    kept = torch.zeros(0, dtype=torch.int64)
    for tenths in range(round(10 * rules.first_overlap), 10):
        kept = suppress(boxes_n4, score_n, tenths / 10, convention=convention)[: rules.max_objects]
        if len(kept) >= rules.min_objects:
            break
    return kept.cpu().numpy()
