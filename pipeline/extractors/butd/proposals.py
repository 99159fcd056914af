"""Region proposals (Ren et al. 2015): the best 6000 of the RPN's regressed anchors, then 300 of these by NMS."""

from dataclasses import dataclass

from torch import Tensor

from m3h.pipeline.extractors.butd.boxes import Convention, apply_deltas, clip_boxes, grid_anchors

RPN_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class ProposalRules:
    """before, after: proposals that are kept before and after suppression. overlap: IoU that suppresses a proposal."""

    before: int = 6000
    after: int = 300
    overlap: float = 0.7


def propose(
    objectness_ahw: Tensor,
    deltas_bhw: Tensor,
    cell_a4: Tensor,
    *,
    size: tuple[int, int],
    scale: float,
    convention: Convention,
    rules: ProposalRules,
) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4) and objectness (n,), best first. Ties keep the order of the anchors.

    Args:
        objectness_ahw: (12, H, W).
        deltas_bhw: (48, H, W), four per anchor.
        cell_a4: the anchors of the cell at (0, 0).
        size: height and width of the network's input in pixels.
        scale: pixels of the input per pixel of the original picture.
        convention: how boxes are coded.
        rules: how many proposals are kept.
    """
    _, height, width = objectness_ahw.shape
    score_n = objectness_ahw.permute(1, 2, 0).reshape(-1).float()
    deltas_n4 = deltas_bhw.permute(1, 2, 0).reshape(-1, 4).float()
    anchors_n4 = grid_anchors(cell_a4.float(), height, width)
    boxes_n4 = apply_deltas(anchors_n4, deltas_n4, RPN_WEIGHTS, convention=convention)
    boxes_n4 = clip_boxes(boxes_n4, size, convention)
    min_side = convention.min_side * scale
    if convention.filter_first:
        large_n = _is_large(boxes_n4, min_side, convention)
        boxes_n4, score_n = boxes_n4[large_n], score_n[large_n]
    score_n, order_n = score_n.sort(descending=True, stable=True)
    boxes_n4, score_n = boxes_n4[order_n[: rules.before]], score_n[: rules.before]
    if not convention.filter_first:
        large_n = _is_large(boxes_n4, min_side, convention)
        boxes_n4, score_n = boxes_n4[large_n], score_n[large_n]
    kept = suppress(boxes_n4, score_n, rules.overlap, convention=convention)[: rules.after]
    return boxes_n4[kept], score_n[kept]


def suppress(boxes_n4: Tensor, score_n: Tensor, overlap: float, *, convention: Convention) -> Tensor:
    """The indices of the boxes that non-maximum suppression keeps, best first.

    Args:
        boxes_n4: the boxes.
        score_n: their scores.
        overlap: a box is removed when its IoU with a better one is above this value.
        convention: how boxes are coded.
    """
    from torchvision.ops import nms

    far_corner = boxes_n4.new_tensor([0.0, 0.0, convention.edge, convention.edge])
    return nms(boxes_n4 + far_corner, score_n, overlap)


def _is_large(boxes_n4: Tensor, min_side: float, convention: Convention) -> Tensor:
    """(N,) whether both sides of a box have at least `min_side` pixels; for 0, whether the box is not empty."""
    side_n2 = boxes_n4[:, 2:] - boxes_n4[:, :2] + convention.edge
    return ((side_n2 >= min_side) if min_side else (side_n2 > 0)).all(dim=1)
