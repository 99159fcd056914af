"""Anchors and box arithmetic, by either of two conventions: Caffe's, and detectron2's.

A box is (x1, y1, x2, y2) in pixels. By Caffe's convention both corners are pixels that belong to it, so a box from 0 to
15 is 16 wide; by detectron2's they are places between pixels, and it is 15 wide.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

STRIDE = 16
"""Pixels of the network's input from one cell of res4 to the next."""
SCALES = (4, 8, 16, 32)
"""Anchor sides in cells: 64 to 512 pixels."""
RATIOS = (0.5, 1.0, 2.0)
"""Height over width."""


@dataclass(frozen=True)
class Convention:
    """How a family of weights codes boxes.

    edge: what a box is wider than x2 - x1. min_side: proposals smaller than so many pixels of the original picture are
    no proposals. box_weights: what the heads' deltas are multiples of, as in detectron2's BBOX_REG_WEIGHTS.
    max_growth: a delta makes a side at most so many times as long. filter_first: small proposals go before the best
    6000 are taken, not after.
    """

    name: str
    edge: float
    min_side: float
    box_weights: tuple[float, float, float, float]
    max_growth: float
    filter_first: bool

    def asked(self, name: str) -> "Convention":
        """The convention of that name, or this one for `auto`; the scale of deltas stays that of the weights."""
        return replace(CONVENTIONS[name], box_weights=self.box_weights) if name in CONVENTIONS else self

    def cell_anchors(self) -> Tensor:
        """(12, 4): the anchors of the cell at (0, 0), in the order of the RPN's channels."""
        return caffe_anchors() if self.edge else detectron2_anchors()


CAFFE = Convention("caffe", 1.0, 16.0, (1.0, 1.0, 1.0, 1.0), math.inf, True)
DETECTRON2 = Convention("detectron2", 0.0, 0.0, (10.0, 10.0, 5.0, 5.0), 1000.0 / 16, False)
CONVENTIONS = {convention.name: convention for convention in (CAFFE, DETECTRON2)}


def caffe_anchors() -> Tensor:
    """py-faster-rcnn's: sides rounded to pixels, centred on (7.5, 7.5); ratio by ratio, its scales within."""
    anchors = []
    for ratio in RATIOS:
        width = round(math.sqrt(STRIDE * STRIDE / ratio))
        height = round(width * ratio)
        for scale in SCALES:
            x, y = (width * scale - 1) / 2, (height * scale - 1) / 2
            anchors.append([7.5 - x, 7.5 - y, 7.5 + x, 7.5 + y])
    return torch.tensor(anchors)


def detectron2_anchors() -> Tensor:
    """detectron2's: exact areas, centred on (0, 0); scale by scale, its ratios within."""
    anchors = []
    for scale in SCALES:
        for ratio in RATIOS:
            width = math.sqrt((STRIDE * scale) ** 2 / ratio)
            anchors.append([-width / 2, -width * ratio / 2, width / 2, width * ratio / 2])
    return torch.tensor(anchors)


def grid_anchors(cell_a4: Tensor, height: int, width: int) -> Tensor:
    """(height * width * A, 4): the anchors of every cell, row by row."""
    y, x = torch.meshgrid(
        torch.arange(height, device=cell_a4.device) * STRIDE,
        torch.arange(width, device=cell_a4.device) * STRIDE,
        indexing="ij",
    )
    shift_k4 = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4)
    return (shift_k4 + cell_a4).reshape(-1, 4)


def moved(boxes_n4: Tensor, deltas_n4: Tensor, weights: tuple[float, ...], convention: Convention) -> Tensor:
    """Boxes after regression (Girshick 2015): centres by dx, dy of a side's length, sides by exp(dw), exp(dh)."""
    dx, dy, dw, dh = (deltas_n4 / deltas_n4.new_tensor(weights)).unbind(-1)
    width = boxes_n4[..., 2] - boxes_n4[..., 0] + convention.edge
    height = boxes_n4[..., 3] - boxes_n4[..., 1] + convention.edge
    x = boxes_n4[..., 0] + 0.5 * width + dx * width
    y = boxes_n4[..., 1] + 0.5 * height + dy * height
    w = 0.5 * width * dw.clamp(max=math.log(convention.max_growth)).exp()
    h = 0.5 * height * dh.clamp(max=math.log(convention.max_growth)).exp()
    return torch.stack((x - w, y - h, x + w, y + h), dim=-1)


def clipped(boxes_n4: Tensor, size: tuple[int, int], convention: Convention) -> Tensor:
    """Boxes cut at the edges of a picture of size (height, width)."""
    height, width = size
    limit = boxes_n4.new_tensor([width, height, width, height]) - convention.edge
    return torch.minimum(boxes_n4.clamp(min=0), limit)
