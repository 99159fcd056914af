"""Region proposals (Ren et al. 2015): the RPN's regressed anchors, the best 6000 of them, 300 after suppression."""

from dataclasses import dataclass

from torch import Tensor

from pipeline.extractors.butd.boxes import Convention, clipped, grid_anchors, moved

RPN_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class ProposalRules:
    """before, after: the best proposals kept before and after suppression. overlap: IoU above which one goes."""

    before: int = 6000
    after: int = 300
    overlap: float = 0.7


def propose(
    objectness_ahw: Tensor,
    deltas_bhw: Tensor,
    cell_a4: Tensor,
    size: tuple[int, int],
    scale: float,
    convention: Convention,
    rules: ProposalRules,
) -> tuple[Tensor, Tensor]:
    """(n, 4) boxes and (n,) objectness, best first; ties keep the order of the anchors.

    objectness_ahw: (12, H, W); deltas_bhw: (48, H, W), four an anchor. size: (height, width) of the network's input.
    scale: pixels of it a pixel of the original picture.
    """
    _, height, width = objectness_ahw.shape
    score_n = objectness_ahw.permute(1, 2, 0).reshape(-1).float()
    deltas_n4 = deltas_bhw.permute(1, 2, 0).reshape(-1, 4).float()
    boxes_n4 = moved(grid_anchors(cell_a4.float(), height, width), deltas_n4, RPN_WEIGHTS, convention)
    boxes_n4 = clipped(boxes_n4, size, convention)
    if convention.filter_first:
        boxes_n4, score_n = _large(boxes_n4, score_n, scale, convention)
    score_n, order_n = score_n.sort(descending=True, stable=True)
    boxes_n4, score_n = boxes_n4[order_n[: rules.before]], score_n[: rules.before]
    if not convention.filter_first:
        boxes_n4, score_n = _large(boxes_n4, score_n, scale, convention)
    kept = suppressed(boxes_n4, score_n, rules.overlap, convention)[: rules.after]
    return boxes_n4[kept], score_n[kept]


def suppressed(boxes_n4: Tensor, score_n: Tensor, overlap: float, convention: Convention) -> Tensor:
    """Indices that non-maximum suppression leaves, best first."""
    from torchvision.ops import nms

    far_corner = boxes_n4.new_tensor([0.0, 0.0, convention.edge, convention.edge])
    return nms(boxes_n4 + far_corner, score_n, overlap)


def _large(boxes_n4: Tensor, score_n: Tensor, scale: float, convention: Convention) -> tuple[Tensor, Tensor]:
    side_n2 = boxes_n4[:, 2:] - boxes_n4[:, :2] + convention.edge
    smallest = convention.min_side * scale
    keep_n = ((side_n2 >= smallest) if smallest else (side_n2 > 0)).all(dim=1)
    return boxes_n4[keep_n], score_n[keep_n]
