"""The feature butd_objects: its rows, its options, and a real build with it."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from m3h.pipeline.engine.shard_engine import ShardTask
from m3h.pipeline.extractors import extractor_class
from m3h.pipeline.extractors.butd.boxes import CAFFE, DETECTRON2, apply_deltas, clip_boxes
from m3h.pipeline.extractors.butd.network import BottomUpAttention, randomise
from m3h.pipeline.extractors.butd.picture import caffe_input
from m3h.pipeline.extractors.butd_objects import ButdObjects, ButdSettings
from m3h.pipeline.images.picture import Picture
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row, fingerprint
from m3h.schemas.files import sha256_file
from m3h.schemas.shards import read_tensor_shard
from tests.commands import run
from tests.pipeline.extractors.butd.published import as_airsplay
from tests.pipeline.extractors.butd.tiny import tiny
from tests.pipeline.fakes import picture, run_shard, small_dump, stored_pictures

SMALL: dict[str, Any] = {"weights": "random", "device": "cpu", "min_side": 64, "max_side": 128}


class TinyObjects(ButdObjects):
    """The feature with a tiny detector."""

    width: ClassVar[int] = 128

    def network(self) -> torch.nn.Module:
        return tiny(convention=CAFFE if self.settings.boxes != "detectron2" else DETECTRON2).fold()


def loaded(**options: Any) -> TinyObjects:
    extractor = TinyObjects(ButdSettings(**{**SMALL, **options}))
    extractor.load()
    return extractor


def row_of(extractor: ButdObjects, path: Path) -> Row:
    (row,) = extractor.extract([extractor.prepare(Picture(path))])
    extractor.spec.check(row, path.name)
    return row


@pytest.mark.parametrize("selection", ["original", "regressed"])
def test_missing_objects_are_padded_and_the_real_ones_counted(tmp_path: Path, selection: str) -> None:
    row = row_of(loaded(selection=selection), picture(tmp_path / "a.jpg", 1))
    number = int(row["number"])
    assert 0 < number <= 8  # the tiny detector proposes 8
    assert {name: row[name].shape[0] for name in row if row[name].ndim and name != "image_size"} == dict.fromkeys(
        ("features", "boxes", "classes", "class_scores", "attributes", "attribute_scores"), 36
    )
    assert (row["classes"][:number] >= 0).all()
    assert (row["classes"][:number] < 12).all()
    assert (row["attributes"][:number] < 5).all()
    assert (row["classes"][number:] == -1).all()
    assert (row["attributes"][number:] == -1).all()
    for name in ("features", "boxes", "class_scores", "attribute_scores"):
        assert not row[name][number:].any()
        assert row[name][:number].any(axis=tuple(range(1, row[name].ndim))).all()
    assert row["image_size"].tolist() == [96, 64]


def test_objects_have_the_networks_predictions_for_the_selected_proposals(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", 2)
    row = row_of(loaded(), path)
    given, network = caffe_input(Picture(path).pixels, 64, 128), tiny()
    with torch.inference_mode():
        res4 = network.features(torch.from_numpy(given.image_chw)[None])
        boxes, _ = network.proposals(res4, given.image_chw.shape[1:], given.scale_xy[0])
        regions = network.heads(res4, boxes)
    at = [int((boxes / given.scale_xy[0] - torch.from_numpy(box)).abs().sum(1).argmin()) for box in row["boxes"][:5]]
    np.testing.assert_allclose(row["features"][:5], regions.pooled_nc[at], rtol=1e-3, atol=1e-4)
    scores = regions.classes.softmax(1)[at, :12]
    assert row["classes"][:5].tolist() == scores.argmax(1).tolist()
    np.testing.assert_allclose(row["class_scores"][:5], scores.amax(1), rtol=1e-3)
    attributes = regions.attributes.softmax(1)[at, :5]
    assert row["attributes"][:5].tolist() == attributes.argmax(1).tolist()


def test_regressed_boxes_use_the_deltas_of_their_most_probable_class(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", 2)
    row = row_of(loaded(selection="regressed", boxes="detectron2"), path)
    given, network = caffe_input(Picture(path).pixels, 64, 128), tiny(convention=DETECTRON2)
    size = given.image_chw.shape[1:]
    with torch.inference_mode():
        res4 = network.features(torch.from_numpy(given.image_chw)[None])
        boxes, _ = network.proposals(res4, size, given.scale_xy[0])
        regions = network.heads(res4, boxes)
    best = regions.classes.softmax(1)[:, :12].amax(1).argmax()
    name = int(regions.classes[best, :12].argmax())
    delta = regions.deltas[best].view(12, 4)[name]
    box = clip_boxes(apply_deltas(boxes[best], delta, (10.0, 10.0, 5.0, 5.0), convention=DETECTRON2), size, DETECTRON2)
    np.testing.assert_allclose(row["boxes"][0] * given.scale_xy[0], box, rtol=1e-3, atol=1e-2)
    attributes = regions.attributes[best, :5].softmax(0)
    assert row["attribute_scores"][0] == pytest.approx(float(attributes.max()), rel=1e-3)


def test_between_10_and_100_all_confident_objects_are_selected(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", 3)
    few = row_of(loaded(min_objects=2, max_objects=100, confidence=1.0), path)
    many = row_of(loaded(min_objects=2, max_objects=100, confidence=0.0), path)
    assert (int(few["number"]), int(many["number"])) == (2, 8)
    assert many["features"].shape == (100, 128)


@pytest.mark.parametrize("size", [(300, 8), (1, 40)])
def test_a_picture_too_narrow_for_any_proposal_has_no_objects(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "a.jpg")
    row = row_of(loaded(), tmp_path / "a.jpg")
    assert int(row["number"]) == 0
    assert (row["classes"] == -1).all()
    assert row["image_size"].tolist() == list(size)


def test_the_row_of_a_picture_does_not_depend_on_other_pictures(tmp_path: Path) -> None:
    hashes = stored_pictures(tmp_path / "d", 3)
    extractor = loaded()
    found = {}
    for images in (hashes, hashes[1:], hashes[:1]):
        receipt = run_shard(ShardTask("butd_objects", "f" * 16, 0, 1), images, extractor, tmp_path / "d", tmp_path)
        assert receipt.dropped == []
        keys, arrays = read_tensor_shard(tmp_path / receipt.file)
        for i, key in enumerate(keys):
            bits = [arrays[name][i].tobytes() for name in sorted(arrays)]
            assert found.setdefault(key, bits) == bits
    assert len(found) == 3


KNOBS: dict[str, Any] = {
    "seed": 1, "precision": "bf16", "store": "float32", "resize": "pil", "min_side": 601, "max_side": 1001,
    "boxes": "detectron2", "selection": "regressed", "min_objects": 10, "max_objects": 100, "confidence": 0.3,
    "class_overlap": 0.4, "first_overlap": 0.3, "proposals": 100, "pre_nms_proposals": 1000, "proposal_overlap": 0.6,
    "roi_batch_size": 10,
}  # fmt: skip


def print_of(**options: Any) -> str:
    extractor = ButdObjects(ButdSettings(weights="random", **options))
    return fingerprint(extractor.spec, extractor.fingerprint_parts())


def test_every_option_that_changes_values_changes_the_fingerprint() -> None:
    prints = {print_of(), *(print_of(**{name: value}) for name, value in KNOBS.items())}
    assert len(prints) == 1 + len(KNOBS)
    assert print_of(device="cpu") == print_of(accelerator="type:nvidia-l4;count:1") == print_of()
    untested = set(ButdSettings.model_fields) - set(KNOBS)
    assert untested == {"weights", "weights_sha256", "batch_size", "device", "accelerator", "engine"}


def test_there_are_no_default_weights(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Get a file as docs/weights\.md explains and name it, or use `random`"):
        ButdObjects(ButdSettings()).fingerprint_parts()


def test_the_weights_file_must_have_the_pinned_sha256(tmp_path: Path) -> None:
    as_airsplay(dict(tiny().state_dict()), tmp_path / "w.pkl")
    right = sha256_file(tmp_path / "w.pkl")
    settings = {"weights": str(tmp_path / "w.pkl"), "weights_sha256": right.upper()}
    assert ButdObjects(ButdSettings(**settings)).fingerprint_parts()["weights"] == f"sha256:{right}"
    with pytest.raises(UsageError, match=f"expected sha256 {'0' * 64}, found sha256:{right}"):
        ButdObjects(ButdSettings(**{**settings, "weights_sha256": "0" * 64})).fingerprint_parts()


def test_a_minimum_of_objects_above_the_maximum_is_a_usage_error() -> None:
    with pytest.raises(ValueError, match="min_objects 40 is more than max_objects 36"):
        ButdSettings(min_objects=40)


@pytest.mark.slow
def test_a_build_with_random_weights_is_a_whole_dataset(tmp_path: Path) -> None:
    dump, images = small_dump(tmp_path / "source", 3)
    knobs = [
        "weights=random",
        "device=cpu",
        "min_side=32",
        "max_side=64",
        "proposals=8",
        "max_objects=6",
        "min_objects=6",
    ]
    words = ["--features", "butd_objects", "--workers", 1, "--json", "--set", "clean.min_hashtag_count=1"]
    words += [f"features.butd_objects.{knob}" for knob in knobs]
    done = run("pipeline", "build", "--dumps", dump, "--images", images, "--dataset", tmp_path / "d", *words)
    assert done.code == 0, done.err
    dataset = Dataset(tmp_path / "d")
    found = dataset.tensors("butd_objects")
    assert {name: (a.dtype.name, a.shape) for name, a in found.arrays.items()} == {
        "features": ("float16", (3, 6, 2048)),
        "boxes": ("float32", (3, 6, 4)),
        "classes": ("int16", (3, 6)),
        "class_scores": ("float32", (3, 6)),
        "attributes": ("int16", (3, 6)),
        "attribute_scores": ("float32", (3, 6)),
        "number": ("int16", (3,)),
        "image_size": ("int32", (3, 2)),
    }
    assert min(np.asarray(found.arrays["number"])) > 0
    assert dataset.manifest.notes == ["butd_objects has random weights: for trials only."]


@pytest.mark.slow
def test_the_real_network_finds_the_same_objects_when_folded_and_in_parts(tmp_path: Path) -> None:
    options = ButdSettings(weights="random", device="cpu", roi_batch_size=30)
    extractor = extractor_class("butd_objects")(options)
    extractor.load()
    path = picture(tmp_path / "a.jpg", 1, (400, 300))
    row = row_of(extractor, path)  # type: ignore[arg-type]
    given = caffe_input(Picture(path).pixels, 600, 1000)
    network = randomise(BottomUpAttention(convention=CAFFE), 0).eval()
    with torch.inference_mode():
        res4 = network.features(torch.from_numpy(given.image_chw)[None])
        boxes, _ = network.proposals(res4, given.image_chw.shape[1:], given.scale_xy[0])
        pooled = network.heads(res4, boxes).pooled_nc
    assert int(row["number"]) == 36
    near = torch.cdist(torch.from_numpy(row["boxes"]), boxes / given.scale_xy[0]).min(1)
    assert float(near.values.max()) < 0.5
    np.testing.assert_allclose(row["features"], pooled[near.indices], rtol=2e-3, atol=2e-3)
