"""Finds the objects of one picture: computes proposals, predicts their classes and attributes, and selects objects."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from m3h.pipeline.extractors.butd.boxes import Convention, apply_deltas, clip_boxes
from m3h.pipeline.extractors.butd.network import BottomUpAttention, Regions
from m3h.pipeline.extractors.butd.picture import Input
from m3h.pipeline.extractors.butd.selection import SelectionRules, select_original, select_regressed

InParts = Callable[[Callable[[Tensor], Sequence[Tensor]], Tensor], Sequence[Tensor]]
"""Applies a function to the rows of a tensor in parts that fit into memory, see `compute.BatchSplitter`."""


class Objects(NamedTuple):
    """The arrays of n objects, see `m3h.pipeline.extractors.objects.objects_spec`."""

    features: Tensor
    boxes: Tensor
    classes: Tensor
    class_scores: Tensor
    attributes: Tensor
    attribute_scores: Tensor


def find_objects(
    network: BottomUpAttention, image: Input, rules: SelectionRules, *, selection: str, in_parts: InParts
) -> Objects:
    """The objects of one picture.

    Args:
        network: the detector.
        image: the picture as the network's input.
        rules: how many objects are selected.
        selection: original or regressed, see the module `selection`.
        in_parts: applies res5 to the regions in parts that fit into memory.
    """
    image_bchw = torch.from_numpy(image.image_chw)[None].to(network.device)
    size = (image_bchw.shape[2], image_bchw.shape[3])
    res4 = network.features(image_bchw.contiguous(memory_format=torch.channels_last))
    proposals_n4, _ = network.proposals(res4, size, image.scale_xy[1])
    pooled_nc = res4.new_zeros(0, 2 * res4.shape[1])
    if len(proposals_n4):
        pooled_nc = in_parts(lambda part: (network.roi_heads(network.pool(res4, part)),), proposals_n4)[0]
    regions = Regions(*(output.float() for output in network.roi_heads.predict(pooled_nc)))
    score_nc = regions.classes.softmax(dim=1)[:, :-1]
    if selection == "original":
        boxes_n4 = _in_picture(proposals_n4, image)
        edge = network.convention.edge
        selected = select_original(boxes_n4.cpu().numpy(), score_nc.cpu().numpy(), rules, edge=edge)
        attribute_nc = regions.attributes.softmax(dim=1)[:, :-1]
    else:
        boxes_n4 = _regressed_boxes(network.convention, proposals_n4, regions.deltas, score_nc=score_nc, size=size)
        selected = select_regressed(boxes_n4, score_nc.amax(dim=1), rules, convention=network.convention)
        boxes_n4 = _in_picture(boxes_n4, image)
        attribute_nc = regions.attributes[:, :-1].softmax(dim=1)  # the ports remove the background before the softmax
    kept = torch.from_numpy(selected).to(network.device)
    class_scores, classes = score_nc[kept].max(dim=1)
    attribute_scores, attributes = attribute_nc[kept].max(dim=1)
    return Objects(regions.pooled_nc[kept], boxes_n4[kept], classes, class_scores, attributes, attribute_scores)


def _regressed_boxes(
    convention: Convention, proposals_n4: Tensor, deltas: Tensor, *, score_nc: Tensor, size: tuple[int, int]
) -> Tensor:
    """The box of every region, regressed for its most probable class."""
    class_n = score_nc.argmax(dim=1)
    delta_n4 = deltas.view(*score_nc.shape, 4)[torch.arange(len(class_n), device=class_n.device), class_n]
    boxes_n4 = apply_deltas(proposals_n4, delta_n4, convention.box_weights, convention=convention)
    return clip_boxes(boxes_n4, size, convention)


def _in_picture(boxes_n4: Tensor, image: Input) -> Tensor:
    """Boxes in pixels of the picture, from boxes in pixels of the network's input."""
    x, y = image.scale_xy
    return boxes_n4 / boxes_n4.new_tensor([x, y, x, y])
