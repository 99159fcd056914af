"""The objects of one picture: proposals, what the heads say of them, and which of them stay."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.extractors.butd.boxes import clipped, moved
from pipeline.extractors.butd.network import BottomUpAttention, Regions
from pipeline.extractors.butd.picture import Input
from pipeline.extractors.butd.selection import SelectionRules, original, regressed

Pieces = Callable[[Callable[[Tensor], Sequence[Tensor]], Tensor], Sequence[Tensor]]
"""Computes a function of rows in pieces that fit into memory."""


class Objects(NamedTuple):
    """n objects; see `pipeline.extractors.butd_objects` for what each array holds."""

    features: Tensor
    boxes: Tensor
    classes: Tensor
    class_scores: Tensor
    attributes: Tensor
    attribute_scores: Tensor


def find_objects(
    network: BottomUpAttention, given: Input, selection: str, rules: SelectionRules, pieces: Pieces
) -> Objects:
    """selection: original or regressed. pieces: for the regions that go through res5."""
    image_bchw = torch.from_numpy(given.image_chw)[None].to(network.device)
    size = (image_bchw.shape[2], image_bchw.shape[3])
    res4 = network.features(image_bchw.contiguous(memory_format=torch.channels_last))
    proposals_n4, _ = network.proposals(res4, size, given.scale_xy[1])
    pooled_nc = res4.new_zeros(0, 2 * res4.shape[1])
    if len(proposals_n4):
        pooled_nc = pieces(lambda part: (network.roi_heads(network.pool(res4, part)),), proposals_n4)[0]
    regions = Regions(*(answer.float() for answer in network.roi_heads.predict(pooled_nc)))
    score_nc = regions.classes.softmax(dim=1)[:, :-1]
    if selection == "original":
        boxes_n4 = _in_picture(proposals_n4, given)
        chosen = original(boxes_n4.cpu().numpy(), score_nc.cpu().numpy(), rules, network.convention.edge)
        attribute_nc = regions.attributes.softmax(dim=1)[:, :-1]
    else:
        boxes_n4 = _likeliest_boxes(network, proposals_n4, regions.deltas, score_nc, size)
        chosen = regressed(boxes_n4, score_nc.amax(dim=1), rules, network.convention)
        boxes_n4 = _in_picture(boxes_n4, given)
        attribute_nc = regions.attributes[:, :-1].softmax(dim=1)  # the ports leave background out beforehand
    kept = torch.from_numpy(chosen).to(network.device)
    class_scores, classes = score_nc[kept].max(dim=1)
    attribute_scores, attributes = attribute_nc[kept].max(dim=1)
    return Objects(regions.pooled_nc[kept], boxes_n4[kept], classes, class_scores, attributes, attribute_scores)


def _likeliest_boxes(
    network: BottomUpAttention, proposals_n4: Tensor, deltas: Tensor, score_nc: Tensor, size: tuple[int, int]
) -> Tensor:
    """Every region regressed for its likeliest class."""
    convention = network.convention
    class_n = score_nc.argmax(dim=1)
    delta_n4 = deltas.view(*score_nc.shape, 4)[torch.arange(len(class_n), device=class_n.device), class_n]
    return clipped(moved(proposals_n4, delta_n4, convention.box_weights, convention), size, convention)


def _in_picture(boxes_n4: Tensor, given: Input) -> Tensor:
    """From pixels of the input to pixels of the picture."""
    x, y = given.scale_xy
    return boxes_n4 / boxes_n4.new_tensor([x, y, x, y])
