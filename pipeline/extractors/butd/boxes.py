"""Anchors and box arithmetic in two conventions: Caffe's and detectron2's.

A box is (x1, y1, x2, y2) in pixels. In Caffe's convention both corners are pixels of the box, so a box from 0 to 15 is
16 wide. In detectron2's convention the corners are points between pixels, so it is 15 wide.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

STRIDE = 16
"""Distance between two cells of res4 in pixels of the network's input."""
SCALES = (4, 8, 16, 32)
"""Sides of the anchors in cells: 64 to 512 pixels."""
RATIOS = (0.5, 1.0, 2.0)
"""Height / width of the anchors."""


@dataclass(frozen=True)
class Convention:
    """How a family of weights codes boxes.

    edge: width of a box minus (x2 - x1). min_side: least side of a proposal in pixels of the original picture.
    box_weights: the scale of the heads' deltas, as in detectron2's BBOX_REG_WEIGHTS. max_growth: largest factor by
    which a delta lengthens a side. filter_first: whether small proposals are removed before the best 6000 are chosen,
    or after.
    """

    name: str
    edge: float
    min_side: float
    box_weights: tuple[float, float, float, float]
    max_growth: float
    filter_first: bool

    def resolve(self, name: str) -> "Convention":
        """The convention `name`, with the box_weights of this one; this convention itself for `auto`."""
        return replace(CONVENTIONS[name], box_weights=self.box_weights) if name in CONVENTIONS else self

    def cell_anchors(self) -> Tensor:
        """(12, 4): the anchors of the cell at (0, 0), in the order of the RPN's channels."""
        return caffe_anchors() if self.edge else detectron2_anchors()


CAFFE = Convention("caffe", 1.0, 16.0, (1.0, 1.0, 1.0, 1.0), math.inf, True)
DETECTRON2 = Convention("detectron2", 0.0, 0.0, (10.0, 10.0, 5.0, 5.0), 1000.0 / 16, False)
CONVENTIONS = {convention.name: convention for convention in (CAFFE, DETECTRON2)}


def caffe_anchors() -> Tensor:
    """The anchors of py-faster-rcnn, sorted by ratio, then by scale. Sides are rounded; the centre is (7.5, 7.5)."""
    anchors = []
    for ratio in RATIOS:
        width = round(math.sqrt(STRIDE * STRIDE / ratio))
        height = round(width * ratio)
        for scale in SCALES:
            x, y = (width * scale - 1) / 2, (height * scale - 1) / 2
            anchors.append([7.5 - x, 7.5 - y, 7.5 + x, 7.5 + y])
    return torch.tensor(anchors)


def detectron2_anchors() -> Tensor:
    """The anchors of detectron2, sorted by scale, then by ratio. Areas are exact; the centre is (0, 0)."""
    anchors = []
    for scale in SCALES:
        for ratio in RATIOS:
            width = math.sqrt((STRIDE * scale) ** 2 / ratio)
            anchors.append([-width / 2, -width * ratio / 2, width / 2, width * ratio / 2])
    return torch.tensor(anchors)


def grid_anchors(cell_a4: Tensor, height: int, width: int) -> Tensor:
    """The anchors of every cell, row by row: (height * width * A, 4).

    Args:
        cell_a4: the A anchors of the cell at (0, 0).
        height: number of rows of cells.
        width: number of cells in a row.
    """
    y, x = torch.meshgrid(
        torch.arange(height, device=cell_a4.device) * STRIDE,
        torch.arange(width, device=cell_a4.device) * STRIDE,
        indexing="ij",
    )
    shift_k4 = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4)
    return (shift_k4 + cell_a4).reshape(-1, 4)


def apply_deltas(boxes_n4: Tensor, deltas_n4: Tensor, weights: tuple[float, ...], *, convention: Convention) -> Tensor:
    """Boxes after regression (Girshick 2015).

    The centre moves by dx and dy times the side. The sides are multiplied by exp(dw) and exp(dh).

    Args:
        boxes_n4: the boxes.
        deltas_n4: dx, dy, dw, dh of each box.
        weights: the four divisors of the deltas.
        convention: how boxes are coded.
    """
    dx, dy, dw, dh = (deltas_n4 / deltas_n4.new_tensor(weights)).unbind(-1)
    width = boxes_n4[..., 2] - boxes_n4[..., 0] + convention.edge
    height = boxes_n4[..., 3] - boxes_n4[..., 1] + convention.edge
    x = boxes_n4[..., 0] + 0.5 * width + dx * width
    y = boxes_n4[..., 1] + 0.5 * height + dy * height
    w = 0.5 * width * dw.clamp(max=math.log(convention.max_growth)).exp()
    h = 0.5 * height * dh.clamp(max=math.log(convention.max_growth)).exp()
    return torch.stack((x - w, y - h, x + w, y + h), dim=-1)


def clip_boxes(boxes_n4: Tensor, size: tuple[int, int], convention: Convention) -> Tensor:
    """Boxes cut at the edges of a picture.

    Args:
        boxes_n4: the boxes.
        size: height and width of the picture.
        convention: how boxes are coded.
    """
    height, width = size
    limit = boxes_n4.new_tensor([width, height, width, height]) - convention.edge
    return torch.minimum(boxes_n4.clamp(min=0), limit)
