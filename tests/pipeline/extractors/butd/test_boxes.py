"""Anchors, regression, clipping and proposals, by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.extractors.butd.boxes import (
    CAFFE,
    DETECTRON2,
    apply_deltas,
    caffe_anchors,
    clip_boxes,
    detectron2_anchors,
    grid_anchors,
)
from m3h.pipeline.extractors.butd.proposals import ProposalRules, propose

BY_HAND = [  # of py-faster-rcnn's generate_anchors, scales 4 to 32
    [-38, -16, 53, 31], [-84, -40, 99, 55], [-176, -88, 191, 103], [-360, -184, 375, 199],
    [-24, -24, 39, 39], [-56, -56, 71, 71], [-120, -120, 135, 135], [-248, -248, 263, 263],
    [-14, -36, 29, 51], [-36, -80, 51, 95], [-80, -168, 95, 183], [-168, -344, 183, 359],
]  # fmt: skip


def test_caffe_anchors_by_hand():
    assert caffe_anchors().tolist() == BY_HAND


def test_detectron2_anchors_have_exact_areas_around_the_corner():
    anchors = detectron2_anchors()
    sides = anchors[:, 2:] - anchors[:, :2]
    torch.testing.assert_close(sides.prod(dim=1), torch.tensor([64.0, 128, 256, 512]).repeat_interleave(3) ** 2)
    torch.testing.assert_close(sides[:, 1] / sides[:, 0], torch.tensor([0.5, 1, 2]).repeat(4))
    assert (anchors[:, :2] + anchors[:, 2:] == 0).all()


def test_cells_are_sixteen_pixels_apart_row_by_row():
    grid = grid_anchors(torch.tensor([[0.0, 0, 1, 1], [0, 0, 2, 2]]), height=2, width=3)
    assert grid[:, 0].tolist() == [0, 0, 16, 16, 32, 32] * 2
    assert grid[:, 1].tolist() == [0] * 6 + [16] * 6


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        (CAFFE, [4 + 10 - 10.0, 0 + 10 - 20.0, 4 + 10 + 10.0, 0 + 10 + 20.0]),  # 20 wide, centre 10, a fifth further
        (DETECTRON2, [3.8 + 9.5 - 9.5, 0 + 9.5 - 19.0, 3.8 + 9.5 + 9.5, 0 + 9.5 + 19.0]),  # 19 wide, centre 9.5
    ],
)
def test_regression_by_hand(convention, expected):
    box, delta = torch.tensor([[0.0, 0, 19, 19]]), torch.tensor([[0.2, 0, 0, math.log(2)]])
    torch.testing.assert_close(
        apply_deltas(box, delta, (1.0, 1.0, 1.0, 1.0), convention=convention), torch.tensor([expected])
    )
    tenfold = delta * torch.tensor([10.0, 10, 5, 5])
    torch.testing.assert_close(
        apply_deltas(box, tenfold, (10.0, 10.0, 5.0, 5.0), convention=convention), torch.tensor([expected])
    )


def test_another_convention_keeps_the_box_weights_of_the_training():
    assert CAFFE.resolve("auto") is CAFFE
    asked = CAFFE.resolve("detectron2")
    assert (asked.name, asked.edge, asked.box_weights) == ("detectron2", 0.0, (1.0, 1.0, 1.0, 1.0))
    assert DETECTRON2.resolve("caffe").box_weights == (10.0, 10.0, 5.0, 5.0)


def test_detectron2_limits_growth_and_caffe_does_not():
    box, delta = torch.tensor([[0.0, 0, 15, 15]]), torch.tensor([[0.0, 0, 9, 0]])
    weights = (1.0, 1.0, 1.0, 1.0)
    width = [
        float(
            apply_deltas(box, delta, weights, convention=c)[0, 2]
            - apply_deltas(box, delta, weights, convention=c)[0, 0]
        )
        for c in (CAFFE, DETECTRON2)
    ]
    assert width[0] == pytest.approx(16 * math.exp(9), rel=1e-4)
    assert width[1] == pytest.approx(15 * 62.5, rel=1e-4)


def test_boxes_are_clipped_at_the_last_pixel_or_at_the_border():
    box = torch.tensor([[-5.0, -5, 500, 500]])
    assert clip_boxes(box, (60, 100), CAFFE).tolist() == [[0, 0, 99, 59]]
    assert clip_boxes(box, (60, 100), DETECTRON2).tolist() == [[0, 0, 100, 60]]


def literal_proposals(scores, deltas, size, scale, before, after, overlap):
    """Caffe's proposal layer retold, one anchor after another, in float64. Ties keep the anchors' order."""
    height, width = scores.shape[1:]
    boxes, kept_scores = [], []
    for y in range(height):
        for x in range(width):
            for a, anchor in enumerate(BY_HAND):
                x1, y1, x2, y2 = (side + 16 * shift for side, shift in zip(anchor, (x, y, x, y), strict=True))
                w, h = x2 - x1 + 1, y2 - y1 + 1
                dx, dy, dw, dh = deltas[4 * a : 4 * a + 4, y, x]
                cx, cy = x1 + 0.5 * w + dx * w, y1 + 0.5 * h + dy * h
                w, h = w * math.exp(dw), h * math.exp(dh)
                box = [cx - 0.5 * w, cy - 0.5 * h, cx + 0.5 * w, cy + 0.5 * h]
                box = [min(max(side, 0), size[1 - i % 2] - 1) for i, side in enumerate(box)]
                if box[2] - box[0] + 1 >= 16 * scale and box[3] - box[1] + 1 >= 16 * scale:
                    boxes.append(box)
                    kept_scores.append(scores[a, y, x])
    order = sorted(range(len(boxes)), key=lambda i: -kept_scores[i])[:before]
    kept = []
    for i in order:
        if all(overlap_of(boxes[i], boxes[j]) <= overlap for j in kept):
            kept.append(i)
    return np.array([boxes[i] for i in kept[:after]]).reshape(-1, 4)


def overlap_of(a, b):
    """Intersection over union, both corners included."""
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
    area = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    return w * h / (area[0] + area[1] - w * h)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 4), st.integers(1, 4))
def test_proposals_equal_a_literal_version_of_the_proposal_layer(seed, height, width):
    random = np.random.default_rng(seed)
    scores = random.integers(0, 12, (12, height, width)) / 4  # many ties
    deltas = random.normal(0, 0.5, (48, height, width))
    size, scale = (16 * height, 16 * width), 0.9
    boxes, _ = propose(
        torch.tensor(scores),
        torch.tensor(deltas),
        caffe_anchors(),
        size=size,
        scale=scale,
        convention=CAFFE,
        rules=ProposalRules(60, 12, 0.7),
    )
    np.testing.assert_allclose(boxes, literal_proposals(scores, deltas, size, scale, 60, 12, 0.7), atol=2e-3)


def test_detectron2_selects_the_best_boxes_before_it_removes_empty_ones():
    scores, deltas = torch.zeros(12, 1, 1), torch.zeros(48, 1, 1)
    scores[3], deltas[12] = 5.0, -50.0  # the best lies left of the picture
    rules = ProposalRules(before=1, after=5)
    options = {"size": (16, 16), "scale": 1.0, "rules": rules}
    assert len(propose(scores, deltas, detectron2_anchors(), convention=DETECTRON2, **options)[0]) == 0
    assert len(propose(scores, deltas, caffe_anchors(), convention=CAFFE, **options)[0]) == 1
