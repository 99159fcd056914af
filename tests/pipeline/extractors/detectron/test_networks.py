"""Boxes and their features, against detectron2's own predictor and against the definition of a feature."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from m3h.pipeline.extractors.butd.network import randomise
from m3h.pipeline.extractors.detectron import checkpoints, networks
from m3h.pipeline.extractors.detectron2_objects import Detectron2Objects, Detectron2Settings
from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file
from tests.pipeline.extractors.detectron.tiny import shown, tiny_config

pytestmark = pytest.mark.usefixtures("detectron2")


def extractor(file: Path, **settings: Any) -> Detectron2Objects:
    return Detectron2Objects(Detectron2Settings(config=str(file), **{"weights": "random", "device": "cpu"} | settings))


def loaded(file: Path, **settings: Any) -> Detectron2Objects:
    made = extractor(file, **settings)
    made.load()
    return made


def row_of(made: Detectron2Objects, seed: int, size: tuple[int, int] = (80, 60)) -> dict[str, Any]:
    (row,) = made.extract([made.prepare(shown(seed, size))])
    made.spec.check(row, "picture")
    return dict(row)


SLOW = pytest.mark.slow


@pytest.mark.parametrize("kind", ["fpn", pytest.param("c4", marks=SLOW), pytest.param("cascade", marks=SLOW)])
def test_boxes_classes_and_scores_are_those_of_detectron2s_own_predictor(kind: str, tmp_path: Path) -> None:
    """Ours leaves the masks out, and takes them from a file that holds them."""
    from detectron2.config import get_cfg
    from detectron2.engine.defaults import DefaultPredictor
    from detectron2.modeling import build_model

    file = tiny_config(tmp_path, kind, TEST={"DETECTIONS_PER_IMAGE": 20})
    cfg = get_cfg()
    cfg.merge_from_file(str(file))
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = str(tmp_path / "w.pth")
    whole = randomise(build_model(cfg), seed=3)
    torch.save({"model": whole.state_dict(), "iteration": 9}, cfg.MODEL.WEIGHTS)
    predictor = DefaultPredictor(cfg)
    ours = loaded(file, weights=cfg.MODEL.WEIGHTS, objects=20)
    for seed, size in ((1, (80, 60)), (2, (50, 90))):
        theirs = predictor(np.asarray(shown(seed, size).pixels)[:, :, ::-1])["instances"]
        row = row_of(ours, seed, size)
        count = len(theirs)
        assert 0 < count == row["number"]
        assert row["image_size"].tolist() == list(size)
        np.testing.assert_array_equal(row["classes"][:count], theirs.pred_classes.numpy())
        np.testing.assert_allclose(row["boxes"][:count], theirs.pred_boxes.tensor.numpy(), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(row["class_scores"][:count], theirs.scores.numpy(), rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "cells", "sampling"),
    [("c4", 14, 0), ("grid", 1, 2)],
)
def test_a_feature_is_the_output_of_the_box_head_for_the_final_box(
    kind: str, cells: int, sampling: int, tmp_path: Path
) -> None:
    """A mean of res5 over RoIAlign's cells (C4), or both fully connected layers (the others)."""
    from torchvision.ops import roi_align

    made = loaded(tiny_config(tmp_path, kind))
    row = row_of(made, seed=1)
    network: Any = made._network
    pixels_chw, height, width = made.prepare(shown(1))
    scale_xy = torch.tensor([pixels_chw.shape[2] / width, pixels_chw.shape[1] / height])
    count = int(row["number"])
    assert count > 0
    with torch.inference_mode():
        images = network.preprocess_image([{"image": torch.from_numpy(pixels_chw)}])
        (res,) = network.backbone(images.tensor).values()
        boxes_r4 = torch.from_numpy(row["boxes"][:count]) * scale_xy.repeat(2)
        cells_rchw = roi_align(res, [boxes_r4], cells, 1 / 16, sampling, aligned=True)
        if kind == "c4":
            expected = network.roi_heads.res5(cells_rchw).mean((2, 3))
        else:
            head = network.roi_heads.box_head
            expected = torch.relu(head.fc2(torch.relu(head.fc1(cells_rchw.flatten(1)))))
    np.testing.assert_allclose(row["features"][:count], expected.numpy(), rtol=2e-3, atol=1e-4)
    assert not row["features"][count:].any()


@pytest.mark.parametrize("kind", ["c4", "fpn", "cascade", "grid", "butd"])
def test_the_width_of_a_feature_is_known_before_anything_is_loaded(kind: str, tmp_path: Path) -> None:
    made = extractor(tiny_config(tmp_path, kind), objects=5)
    width = 24 if kind in ("fpn", "cascade", "grid") else 8 * 16
    assert made.spec.arrays[0].shape == (5, width)
    made.load()
    assert row_of(made, seed=4)["features"].shape == (5, width)


def test_a_row_is_the_same_whether_its_picture_is_computed_alone_or_with_others(tmp_path: Path) -> None:
    made = loaded(tiny_config(tmp_path, "fpn"))
    sizes = [(80, 60), (50, 90), (64, 64)]
    inputs = [made.prepare(shown(seed, size)) for seed, size in enumerate(sizes)]
    for alone, among in zip(inputs, made.extract(inputs), strict=True):
        (row,) = made.extract([alone])
        for name, values in row.items():
            np.testing.assert_array_equal(values, among[name])


@pytest.mark.parametrize("kind", ["butd", pytest.param("fpn", marks=SLOW)])
def test_half_precision_and_tiny_pictures(kind: str, tmp_path: Path) -> None:
    file = tiny_config(tmp_path, kind)
    for precision, size in (("bf16", (80, 60)), ("fp32", (1, 50)), ("fp32", (4000, 2)), ("fp32", (1, 1))):
        row = row_of(loaded(file, seed=3, precision=precision), 1, size)
        assert row["number"] > 0
        assert row["image_size"].tolist() == list(size)
        assert (row["boxes"] <= [*size, *size]).all()


def test_a_picture_without_confident_objects_has_no_boxes(tmp_path: Path) -> None:
    row = row_of(loaded(tiny_config(tmp_path, "c4"), score_threshold=1.0), seed=1)
    assert row["number"] == 0
    assert not any(row[name].any() for name in ("features", "boxes", "class_scores", "attribute_scores"))
    assert (row["classes"] == -1).all()
    assert (row["attributes"] == -1).all()


@pytest.mark.parametrize(
    ("kind", "above", "error"),
    [
        ("c4", {"META_ARCHITECTURE": "ProposalNetwork"}, "got ProposalNetwork with Res5ROIHeads"),
        ("fpn", {"PROPOSAL_GENERATOR": {"NAME": "PrecomputedProposals"}}, "got GeneralizedRCNN with StandardROIHeads"),
        ("fpn", {"ANCHOR_GENERATOR": {"NAME": "RotatedAnchorGenerator"}}, "upright boxes"),
        ("c4", {"BACKBONE": {"NAME": "build_unheard_of"}}, "No object named 'build_unheard_of' found in 'BACKBONE'"),
    ],
)
def test_networks_that_do_not_find_upright_boxes_are_refused(
    kind: str, above: dict[str, Any], error: str, tmp_path: Path
) -> None:
    file = tiny_config(tmp_path, kind, MODEL=above)
    with pytest.raises(UsageError) as caught:
        extractor(file)
    assert error in str(caught.value)
    assert str(file) in str(caught.value)


def state_of(made: Detectron2Objects) -> dict[str, torch.Tensor]:
    return {name: value.contiguous() for name, value in made.network().state_dict().items()}


def test_checkpoints_of_every_format_give_the_same_rows(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    file = tiny_config(tmp_path, "c4")
    tensors = state_of(extractor(file, seed=5))
    torch.save({"model": tensors, "iteration": 7}, tmp_path / "w.pth")
    save_file(tensors, tmp_path / "w.safetensors")
    with open(tmp_path / "w.pkl", "wb") as zoo:
        model = {name: value.numpy() for name, value in tensors.items()}
        pickle.dump({"model": model, "__author__": "Detectron2 Model Zoo"}, zoo)
    expected = row_of(loaded(file, seed=5), seed=1)
    for name in ("w.pth", "w.safetensors", "w.pkl"):
        row = row_of(loaded(file, weights=str(tmp_path / name)), seed=1)
        for array, values in row.items():
            np.testing.assert_array_equal(values, expected[array])


class Harmful:
    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.made,)


def test_a_checkpoint_that_does_not_fit_or_would_run_code_is_refused_before_any_work(tmp_path: Path) -> None:
    weights, made = str(tmp_path / "w.pth"), tmp_path / "made"
    config = tiny_config(tmp_path, "c4")
    tensors = state_of(extractor(config))
    lacking = {name: value for name, value in tensors.items() if name != "roi_heads.box_predictor.cls_score.weight"}
    for model, error in (
        (lacking, r"expected roi_heads.box_predictor.cls_score.weight of shape \(81, 128\), got nothing"),
        ({**tensors, "backbone.res2.0.conv1.weight": torch.zeros(2)}, r"of shape \(4, 4, 1, 1\), got \(2,\)"),
        ({**tensors, f"{checkpoints.ANCHORS}0": torch.zeros(4, 4)}, "expected 9 anchors of the configuration, got 4"),
        (
            {"x": Harmful(made)},
            r"expected only tensors, found \w+, which would run code\. Nothing in it was run",
        ),
    ):
        torch.save({"model": model}, weights)
        with pytest.raises(UsageError, match=error):
            extractor(config, weights=weights).fetch()
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"model": {"x": Harmful(made)}}))
    with pytest.raises(UsageError, match="which would run code"):
        extractor(config, weights=str(tmp_path / "w.pkl")).fetch()
    assert not made.exists()


def test_weights_with_caffes_boxes_are_refused_and_the_error_names_butd_objects(
    tmp_path: Path,
) -> None:
    made = extractor(tiny_config(tmp_path, "butd"))
    renamed = {name.replace("cls_embedding", "cls_embed"): value for name, value in state_of(made).items()}
    torch.save({"model": renamed}, tmp_path / "milvlg.pth")
    with pytest.raises(UsageError, match="got caffe's; the feature butd_objects reads both"):
        checkpoints.fill(made.network(), str(tmp_path / "milvlg.pth"))


def test_anchors_in_a_checkpoint_are_used(tmp_path: Path) -> None:
    made = extractor(tiny_config(tmp_path, "c4"))
    own: Any = networks.build(made._cfg, made._file)
    (own_a4,) = own.proposal_generator.anchor_generator.cell_anchors.buffers()
    carried_a4 = own_a4 + 0.5
    torch.save({"model": {**state_of(made), f"{checkpoints.ANCHORS}0": carried_a4}}, tmp_path / "w.pth")
    checkpoints.fill(own, str(tmp_path / "w.pth"))
    torch.testing.assert_close(own_a4, carried_a4)


def test_a_checkpoint_may_be_added_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from m3h.pipeline.cli import main

    monkeypatch.setenv("M3H_WEIGHTS", str(tmp_path / "store"))
    made = extractor(tiny_config(tmp_path, "c4"))
    torch.save({"model": state_of(made)}, tmp_path / "w.pth")
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    given = ("--feature", "detectron2_objects")
    assert main(["weights", "add", "zoo", str(tmp_path / "w.pth"), *given]) == 0
    assert main(["weights", "add", "other", str(tmp_path / "other.pth"), *given]) == 2
    by_name = extractor(made._file, weights="zoo")
    by_name.fetch()
    assert by_name.weights_identity() == f"sha256:{sha256_file(tmp_path / 'w.pth')}"
