"""Which regions become objects: equal to a slow, literal retelling of the original procedure, ties included."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.extractors.butd.boxes import CAFFE, DETECTRON2
from m3h.pipeline.extractors.butd.selection import (
    SelectionRules,
    confidences,
    overlaps,
    select_original,
    select_regressed,
)
from tests.pipeline.extractors.butd.test_boxes import overlap_of

TIED = st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0])


def literal_nms(boxes, scores, overlap):
    """py-faster-rcnn's py_cpu_nms, one box after another; ties to the earlier one."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    while order:
        best = order.pop(0)
        kept.append(best)
        order = [i for i in order if np.float32(overlap_of(boxes[best], boxes[i])) <= np.float32(overlap)]
    return kept


def literal_selection(boxes, scores, rules):
    """generate_tsv.py, class by class."""
    max_conf = np.zeros(len(boxes), np.float32)
    for c in range(scores.shape[1]):
        keep = literal_nms(boxes, scores[:, c], rules.overlap)
        max_conf[keep] = np.where(scores[keep, c] > max_conf[keep], scores[keep, c], max_conf[keep])
    keep_boxes = np.where(max_conf >= np.float32(rules.confidence))[0]
    by_confidence = np.array(sorted(range(len(boxes)), key=lambda i: -max_conf[i]), dtype=int)
    if len(keep_boxes) < rules.min_objects:
        keep_boxes = by_confidence[: rules.min_objects]
    elif len(keep_boxes) > rules.max_objects:
        keep_boxes = by_confidence[: rules.max_objects]
    return keep_boxes


@st.composite
def regions(draw):
    """Few boxes on a coarse grid, so that they overlap, coincide and tie."""
    number = draw(st.integers(0, 9))
    corner = st.integers(0, 6)
    boxes = [[draw(corner), draw(corner), 0, 0] for _ in range(number)]
    for box in boxes:
        box[2:] = [box[0] + draw(corner), box[1] + draw(corner)]
    scores = draw(st.lists(st.lists(TIED, min_size=4, max_size=4), min_size=number, max_size=number))
    return np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32).reshape(-1, 4)


@st.composite
def selection_rules(draw):
    fewest = draw(st.integers(0, 6))
    confidence, overlap = draw(st.sampled_from([0.1, 0.2, 0.6])), draw(st.sampled_from([0, 0.3, 0.5]))
    return SelectionRules(fewest, fewest + draw(st.integers(0, 4)), confidence, overlap)


@settings(max_examples=150, deadline=None)
@given(regions(), selection_rules())
def test_the_selection_equals_a_literal_version_of_the_original(found, rules):
    boxes, scores = found
    assert select_original(boxes, scores, rules, edge=1.0).tolist() == literal_selection(boxes, scores, rules).tolist()


def test_the_selection_equals_the_original_for_300_proposals_and_many_classes():
    random = np.random.default_rng(0)
    corners = random.uniform(0, 400, (300, 2)).astype(np.float32)
    boxes = np.hstack((corners, corners + random.uniform(20, 300, (300, 2)).astype(np.float32)))
    scores = random.dirichlet(np.full(40, 0.05), 300).astype(np.float32)
    rivals = overlaps(boxes, 1.0) > np.float32(0.3)
    expected = np.zeros(300, np.float32)
    for c in range(40):
        order, alive = np.argsort(-scores[:, c], kind="stable"), np.ones(300, bool)
        for i in order:
            if alive[i]:
                expected[i] = max(expected[i], scores[i, c])
                alive &= ~rivals[i]
    np.testing.assert_array_equal(confidences(rivals, scores), expected)


def test_within_the_limits_objects_keep_the_order_of_the_proposals():
    boxes = np.array([[100 * i, 0, 100 * i + 9, 9] for i in range(4)], np.float32)
    scores = np.array([[0.3], [0.1], [0.9], [0.5]], np.float32)
    assert select_original(boxes, scores, SelectionRules(1, 4), edge=1.0).tolist() == [0, 2, 3]
    assert select_original(boxes, scores, SelectionRules(4, 4), edge=1.0).tolist() == [
        2,
        3,
        0,
        1,
    ]  # too few: by confidence
    assert select_original(boxes, scores, SelectionRules(1, 2), edge=1.0).tolist() == [2, 3]  # too many


def test_a_box_that_one_class_suppresses_may_be_kept_by_another():
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9]], np.float32)
    scores = np.array([[0.9, 0.1], [0.8, 0.3]], np.float32)
    assert confidences(overlaps(boxes, 1.0) > 0.3, scores).tolist() == [np.float32(0.9), np.float32(0.3)]


def test_the_overlap_rises_until_enough_are_left():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6.5], [0, 0, 10, 8.5], [0, 0, 10, 9.5]])  # IoU .65, .85, .95
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    found = [
        select_regressed(boxes, scores, SelectionRules(n, 36), convention=DETECTRON2).tolist() for n in (1, 2, 3, 4)
    ]
    assert found[:2] == [[0], [0, 1]]
    assert found[2] == [0, 1, 2]
    assert found[3] == [0, 1, 2]  # 0.9 is the last overlap tried
    assert select_regressed(boxes, scores, SelectionRules(2, 1), convention=DETECTRON2).tolist() == [
        0
    ]  # never more than the most
    assert select_regressed(boxes[:0], scores[:0], SelectionRules(), convention=CAFFE).tolist() == []
