"""The graph of bottom-up attention: shapes, poolings, dilation and folding, worked out by hand where they can be."""

import pytest
import torch
from torch.nn import functional as F

from m3h.pipeline.extractors.butd.boxes import CAFFE, DETECTRON2
from m3h.pipeline.extractors.butd.network import BLOCKS, Block, BottomUpAttention, ConvNorm, Stem
from tests.pipeline.extractors.butd.tiny import image, tiny


def published() -> BottomUpAttention:
    """The network at its real size, without memory for its weights."""
    with torch.device("meta"):
        return BottomUpAttention()


def identity_stem() -> Stem:
    """Its convolution takes every second pixel of the first channel."""
    stem = Stem(1)
    with torch.no_grad():
        stem.conv1.weight.zero_()
        stem.conv1.weight[0, 0, 3, 3] = 1.0
        stem.conv1.norm.running_var.fill_(1.0 - 1e-5)
    return stem


def test_the_stem_pools_without_padding_and_rounds_up():
    pixels = torch.zeros(1, 3, 12, 12)
    pixels[0, 0, ::2, ::2] = torch.arange(36.0).view(6, 6)  # 6 x 6 after the convolution
    pooled = identity_stem()(pixels)
    assert pooled[0, 0].tolist() == [[14, 16, 17], [26, 28, 29], [32, 34, 35]]  # the last row and column see two cells


@pytest.mark.parametrize(("side", "cells"), [(600, 38), (601, 38), (610, 38), (611, 39), (16, 1), (3, 1)])
def test_res4_has_as_many_cells_as_in_caffe(side, cells):
    backbone = tiny().backbone
    with torch.inference_mode():
        assert backbone(torch.zeros(1, 3, 16, side)).shape[-2:] == (1, cells)


def test_regions_keep_their_size_in_res5_and_depend_on_every_second_cell_around():
    three = tiny(blocks=(1, 1, 1, 3)).roi_heads.res5
    cells = torch.zeros(1, 64, 14, 14)
    with torch.inference_mode():
        still, moved = three(cells), cells.clone()
        moved[0, :, 7, 7] = 1.0
        touched = (three(moved) != still).any(dim=1)[0]
    assert still.shape == (1, 128, 14, 14)
    rows = touched.any(dim=1).nonzero().flatten().tolist()
    assert rows == [1, 3, 5, 7, 9, 11, 13]  # dilation 2 in all three blocks: every second cell, up to six away


def test_strides_lie_in_the_1x1_convolutions():
    for network in (tiny(), published()):
        first = network.backbone.res3[0]
        assert (first.conv1.stride, first.conv2.stride, first.shortcut.stride) == ((2, 2), (1, 1), (2, 2))
        for block in network.roi_heads.res5:
            assert (block.conv1.stride, block.conv2.dilation, block.conv2.padding) == ((1, 1), (2, 2), (2, 2))


def test_the_real_network_has_the_published_shapes():
    shapes = {name: tuple(tensor.shape) for name, tensor in published().state_dict().items()}
    head = "roi_heads.box_predictor"
    assert shapes[f"{head}.cls_score.weight"] == (1601, 2048)
    assert shapes[f"{head}.bbox_pred.weight"] == (6400, 2048)
    assert shapes[f"{head}.cls_embedding.weight"] == (1601, 256)
    assert shapes[f"{head}.fc_attr.weight"] == (512, 2304)
    assert shapes[f"{head}.attr_score.weight"] == (401, 512)
    assert shapes["proposal_generator.rpn_head.conv.weight"] == (512, 1024, 3, 3)
    assert shapes["proposal_generator.rpn_head.objectness_logits.bias"] == (12,)
    assert shapes["proposal_generator.anchor_generator.cell_anchors.0"] == (12, 4)
    assert shapes[f"backbone.res4.{BLOCKS[2] - 1}.conv3.norm.running_var"] == (1024,)
    assert shapes["roi_heads.res5.2.conv1.weight"] == (512, 2048, 1, 1)


def test_regions_are_max_pooled_between_rounded_borders():
    res4 = torch.arange(400.0).view(1, 1, 20, 20)
    cells = tiny().pool(res4, torch.tensor([[7.0, 8.0, 231.0, 217.0]]))  # cells 0..14 across, 1..14 down
    assert cells.shape == (1, 1, 14, 14)
    assert cells[0, 0, 0].tolist() == [20 + x for x in range(1, 15)]  # 15 columns in 14 parts: parts overlap
    assert cells[0, 0, :, 0].tolist() == [1 + 20 * y for y in range(1, 15)]


def test_attributes_depend_on_the_most_probable_class():
    network = tiny()
    with torch.inference_mode():
        heads = network.roi_heads
        pooled = torch.rand(3, 128)
        before = heads.predict(pooled)
        top = before.classes.argmax(dim=1)
        heads.box_predictor["cls_embedding"].weight[top[0]] += 1.0
        after = heads.predict(pooled)
    same_class = (top == top[0]).tolist()
    changed = (before.attributes != after.attributes).any(dim=1).tolist()
    assert changed == same_class


def test_computing_regions_in_parts_changes_nothing():
    network = tiny()
    with torch.inference_mode():
        res4 = network.features(image())
        boxes, _ = network.proposals(res4, (64, 96))
        together, parts = network.heads(res4, boxes), network.heads(res4, boxes, at_once=3)
    for a, b in zip(together, parts, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_without_regions_there_are_no_predictions():
    network = tiny()
    with torch.inference_mode():
        regions = network.heads(network.features(image()), torch.zeros(0, 4))
    assert [tuple(answer.shape) for answer in regions] == [(0, 128), (0, 13), (0, 48), (0, 6)]


@pytest.mark.parametrize("convention", [CAFFE, DETECTRON2])
def test_folding_the_normalisation_changes_only_the_last_bits(convention):
    network = tiny(convention=convention)
    for module in network.modules():
        if isinstance(module, ConvNorm):
            module.norm.running_mean.normal_(generator=torch.Generator().manual_seed(1)).mul_(0.05)
            module.norm.bias.normal_(generator=torch.Generator().manual_seed(2)).mul_(0.05)
    with torch.inference_mode():
        boxes, _ = network.proposals(network.features(image()), (64, 96))
        before = network.heads(network.features(image()), boxes)
        after = network.fold().heads(network.features(image()), boxes)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert not any("norm" in name for name in network.state_dict())


def test_a_1x1_shortcut_exists_only_where_the_channels_change():
    block = Block(8, 2, 8, stride=1)
    x = torch.rand(1, 8, 5, 5)
    for name in ("conv1", "conv2", "conv3"):
        torch.nn.init.zeros_(getattr(block, name).weight)
    torch.testing.assert_close(block(x), F.relu(x))
