"""Bottom-up attention as a detectron2 network, beside our own on torchvision's operators: one state dict, one answer.

The two round differently (ours folds the normalisation into the convolutions), so features and scores agree within 1e-4
of the largest, boxes within 0.01 pixel; which regions are chosen, their classes and attributes agree exactly.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from m3h.pipeline.extractors.butd.boxes import DETECTRON2
from m3h.pipeline.extractors.butd.network import BottomUpAttention, randomise
from m3h.pipeline.extractors.butd.objects import find_objects
from m3h.pipeline.extractors.butd.picture import pillow_input
from m3h.pipeline.extractors.butd.proposals import ProposalRules
from m3h.pipeline.extractors.butd.selection import SelectionRules
from m3h.pipeline.extractors.compute import BatchSplitter
from m3h.pipeline.extractors.detectron.configs import BUTD, config_file
from m3h.pipeline.extractors.detectron2_objects import Detectron2Objects, Detectron2Settings
from m3h.pipeline.extractors.objects import padded_row
from tests.pipeline.extractors.butd.published import as_airsplay, as_transformers
from tests.pipeline.extractors.detectron.tiny import shown, tiny_config

pytestmark = pytest.mark.usefixtures("detectron2")


def assert_same_objects(row: Any, ours: Any) -> None:
    number = int(ours["number"])
    assert number > 10
    for name in ("number", "image_size", "classes", "attributes"):
        np.testing.assert_array_equal(row[name], ours[name])
    assert len(set(ours["classes"][:number].tolist())) > 1
    np.testing.assert_allclose(row["boxes"], ours["boxes"], rtol=0, atol=0.01)
    for name in ("features", "class_scores", "attribute_scores"):
        np.testing.assert_allclose(row[name], ours[name], rtol=0, atol=1e-4 * np.abs(ours[name]).max())


@pytest.mark.parametrize(
    ("min_objects", "max_objects", "layout", "name"),
    [(36, 36, as_transformers, "w.pth"), (12, 20, as_airsplay, "w.pkl")],
)
def test_a_small_network_finds_the_same_objects(
    min_objects: int, max_objects: int, layout: Callable[[Any, Path], None], name: str, tmp_path: Path
) -> None:
    """From a file as either of the ports published it."""
    rules = SelectionRules(min_objects, max_objects, confidence=0.3, overlap=0.4)
    network = BottomUpAttention((3, 4, 6, 3), 4, 10, attributes=7, convention=DETECTRON2, rules=ProposalRules(200, 40))
    layout(dict(randomise(network, 6).eval().state_dict()), tmp_path / name)
    settings = Detectron2Settings(
        config=str(tiny_config(tmp_path, "butd", MODEL={"BOTTOM_UP": {"MIN_OBJECTS": min_objects}})),
        weights=str(tmp_path / name),
        objects=max_objects,
        score_threshold=rules.confidence,
        nms_threshold=rules.overlap,
        device="cpu",
    )
    made = Detectron2Objects(settings)
    made.load()
    network.fold()
    for seed, size in ((1, (80, 60)), (2, (50, 90))):
        picture = shown(seed, size)
        (row,) = made.extract([made.prepare(picture)])
        with torch.inference_mode():
            objects = find_objects(
                network,
                pillow_input(picture.pixels, 64, 90),
                rules,
                selection="original",
                in_parts=BatchSplitter("butd"),
            )
        size_and_number = (torch.tensor(len(objects.boxes)), torch.tensor(size))
        assert_same_objects(row, padded_row(made.spec, [*objects, *size_and_number]))


@pytest.mark.slow
def test_the_whole_resnet_101_finds_the_same_objects(tmp_path: Path) -> None:
    """Through both features, from one file, on a smaller picture and fewer proposals than the defaults."""
    from m3h.pipeline.extractors.butd_objects import ButdObjects, ButdSettings

    weights = tmp_path / "w.pth"
    torch.save({"model": randomise(BottomUpAttention(), 1).state_dict()}, weights)
    config = tmp_path / "fewer.yaml"
    config.write_text(
        f"_BASE_: {config_file(BUTD)}\nMODEL: {{RPN: {{POST_NMS_TOPK_TEST: 60}}}}\nINPUT: {{MIN_SIZE_TEST: 300}}\n"
    )
    ours = ButdObjects(
        ButdSettings(weights=str(weights), resize="pil", min_side=300, proposals=60, max_objects=36, device="cpu")
    )
    theirs = Detectron2Objects(Detectron2Settings(config=str(config), weights=str(weights), device="cpu"))
    assert theirs.spec.arrays == ours.spec.arrays
    picture = shown(3, (640, 480))
    rows = []
    for made in (ours, theirs):
        made.load()
        rows += made.extract([made.prepare(picture)])
    assert_same_objects(rows[1], rows[0])
