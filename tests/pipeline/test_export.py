"""Files of other systems' formats, each read back the way those systems read them."""

import base64
import csv
import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
import webdataset

from m3h.pipeline.export import FORMATS, export
from m3h.pipeline.export.hdf5 import spatial_features
from m3h.pipeline.export.samples import ExportRequest
from m3h.pipeline.extractors.objects import objects_spec
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.posts import SPLITS
from tests.commands import files_of, run
from tests.pipeline.made import POSTS_MADE, image_of, make, picture_bytes, post_id

K, D = 4, 5
OBJECTS = objects_spec("butd_objects", K, D)
GRID = FeatureSpec("vgg_grid", arrays=(ArraySpec("features", (2, 3)),))
LABELS = FeatureSpec("attributes", columns=(("labels", pa.list_(pa.string())), ("scores", pa.list_(pa.float32()))))


def row_of(spec: FeatureSpec, fingerprint: str, image: str) -> dict[str, Any]:
    """Three or four boxes a picture, and numbers that follow from its hash."""
    values = np.random.default_rng(int(image[:8], 16))
    if spec is LABELS:
        return {"labels": [image[:3], "tea"], "scores": [0.75, 0.5]}
    if spec is GRID:
        return {"features": values.random((2, 3))}
    number = 3 + int(image[0], 16) % 2
    real = (np.arange(K) < number)[:, None]
    corners = np.sort(values.integers(0, 200, (K, 2, 2)), axis=1).reshape(K, 4)
    return {
        "features": values.random((K, D)) * real,
        "boxes": corners * real,
        "classes": np.where(real[:, 0], values.integers(0, 1600, K), -1),
        "class_scores": values.random(K) * real[:, 0],
        "attributes": np.where(real[:, 0], values.integers(0, 400, K), -1),
        "attribute_scores": values.random(K) * real[:, 0],
        "number": number,
        "image_size": (320, 200),
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    versions = ((OBJECTS, "a" * 16), (GRID, "b" * 16), (LABELS, "c" * 16))
    folder = tmp_path_factory.mktemp("export") / "dataset"
    return make(folder, range(1, POSTS_MADE + 1), versions=versions, row_of=row_of)


@pytest.fixture(scope="module")
def stored(source: Path) -> dict[str, dict[str, np.ndarray]]:
    """What the dataset holds: picture -> arrays."""
    tensors = Dataset(source).tensors("butd_objects")
    return {image: {name: a[row] for name, a in tensors.arrays.items()} for image, row in tensors.rows.items()}


def shown(source: Path) -> dict[str, set[str]]:
    """split -> pictures that have a row."""
    posts = Dataset(source).posts.to_pylist()
    lost = {image_of(7), image_of(8)}
    return {split: {p["image_sha256"] for p in posts if p["split"] == split} - lost for split in SPLITS}


def lines(path: Path, fields: list[str]) -> list[dict[str, str]]:
    csv.field_size_limit(sys.maxsize)
    with open(path) as file:
        return list(csv.DictReader(file, delimiter="\t", fieldnames=fields))


def array(text: str, dtype: type, width: int = 0) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(text), dtype=dtype)
    return flat.reshape(-1, width) if width else flat


def test_butd_tsv_can_be_read_as_its_users_read_it(source: Path, stored: Any, tmp_path: Path) -> None:
    result = export(source, "butd-tsv", tmp_path, request=ExportRequest())
    assert result.missing == 2
    for split, images in shown(source).items():
        found = lines(tmp_path / f"{split}.tsv", ["image_id", "image_w", "image_h", "num_boxes", "boxes", "features"])
        assert {line["image_id"] for line in found} == images
        assert result.files[str(tmp_path / f"{split}.tsv")] == len(images)
        for line in found:
            row, number = stored[line["image_id"]], int(line["num_boxes"])
            assert (int(line["image_w"]), int(line["image_h"]), number) == (320, 200, row["number"])
            assert (array(line["boxes"], np.float32, 4) == row["boxes"][:number]).all()
            assert (array(line["features"], np.float32, D) == row["features"][:number].astype(np.float32)).all()


def test_lxmert_tsv_has_the_height_before_the_width_and_ids_as_int64(source: Path, stored: Any, tmp_path: Path) -> None:
    export(source, "lxmert-tsv", tmp_path, request=ExportRequest(key="post", splits=("train",)))
    fields = ["img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes", "boxes"]
    found = lines(tmp_path / "train_objects.tsv", [*fields, "features"])
    train = [i for i in range(1, POSTS_MADE + 1) if {4: 3, 6: 5}.get(i, i) % 3 == 0]
    assert {line["img_id"] for line in found} == {post_id(i) for i in train}
    for line in found:
        row, n = stored[image_of(int(line["img_id"]) - 1_000_000)], int(line["num_boxes"])
        assert (line["img_h"], line["img_w"]) == ("200", "320")
        for column, name, kind in (
            ("objects_id", "classes", np.int64), ("attrs_id", "attributes", np.int64),
            ("objects_conf", "class_scores", np.float32), ("attrs_conf", "attribute_scores", np.float32),
        ):  # fmt: skip
            assert (array(line[column], kind) == row[name][:n]).all(), column
        assert array(line["features"], np.float32, D).shape == (n, D)


def test_a_detector_without_attributes_is_refused_by_lxmerts_format(tmp_path: Path) -> None:
    def without(spec: FeatureSpec, fingerprint: str, image: str) -> dict[str, Any]:
        return {**row_of(spec, fingerprint, image), "attributes": np.full(K, -1)}

    folder = make(tmp_path / "dataset", range(1, 6), (), ((OBJECTS, "a" * 16),), without)
    with pytest.raises(UsageError, match="the objects of butd_objects have no attributes here"):
        export(folder, "lxmert-tsv", tmp_path / "out", request=ExportRequest())
    assert not list((tmp_path / "out").glob("*"))


def test_spatial_features_by_hand() -> None:
    found = spatial_features(np.array([[16.0, 20.0, 176.0, 70.0]]), np.array([320, 200]))
    np.testing.assert_allclose(found, [[0.05, 0.1, 0.55, 0.35, 0.5, 0.25]], rtol=1e-6)


def test_fixed_hdf5_has_k_boxes_per_picture(source: Path, stored: Any, tmp_path: Path) -> None:
    export(source, "vqa-hdf5", tmp_path, request=ExportRequest(splits=("train",)))
    index = json.loads((tmp_path / f"train{K}_imgid2idx.json").read_text())
    with h5py.File(tmp_path / f"train{K}.hdf5") as file:
        assert file["image_features"].shape == (len(index), K, D)
        assert file["spatial_features"].shape == (len(index), K, 6)
        for image, i in index.items():
            row = stored[image]
            assert file["num_boxes"][i] == row["number"]
            assert (file["image_features"][i] == row["features"].astype(np.float32)).all()
            assert (file["image_bb"][i] == row["boxes"]).all()
            width = (row["boxes"][0, 2] - row["boxes"][0, 0]) / 320
            assert file["spatial_features"][i, 0, 4] == pytest.approx(width)
    assert set(index) == shown(source)["train"]


def test_adaptive_hdf5_has_only_the_real_boxes(source: Path, stored: Any, tmp_path: Path) -> None:
    export(source, "vqa-hdf5-adaptive", tmp_path, request=ExportRequest())
    for split, images in shown(source).items():
        index = json.loads((tmp_path / f"{split}_imgid2idx.json").read_text())
        assert set(index) == images
        with h5py.File(tmp_path / f"{split}.hdf5") as file:
            assert len(file["image_features"]) == sum(int(stored[image]["number"]) for image in images)
            for image, i in index.items():
                start, end = file["pos_boxes"][i]
                row = stored[image]
                assert (file["image_features"][start:end] == row["features"][: end - start].astype(np.float32)).all()
                assert end - start == row["number"]


def test_the_library_webdataset_reads_the_tars(source: Path, stored: Any, tmp_path: Path) -> None:
    result = export(source, "webdataset", tmp_path, request=ExportRequest())
    found: dict[str, Any] = {}
    for path in result.files:
        for sample in webdataset.WebDataset(path, shardshuffle=False).decode():
            found[sample["json"]["post_id"]] = sample
    assert sorted(found) == [post_id(i) for i in range(1, POSTS_MADE + 1)]
    assert result.missing == 6, "two pictures without three features"
    raw = next(iter(webdataset.WebDataset(str(tmp_path / "train-000000.tar"), shardshuffle=False)))
    number = int(json.loads(raw["json"])["post_id"]) - 1_000_000
    assert raw["jpg"] == picture_bytes(number)
    for i in (1, 2, 4, 20):
        sample, row = found[post_id(i)], stored[image_of(i)]
        assert sample["json"]["features"]["attributes"]["labels"] == [image_of(i)[:3], "tea"]
        assert sample["json"]["keyphrases"] == (["tea", "rain"] if i % 2 else ["rain"])
        assert sample["vgg_grid.npy"].shape == (2, 3)
        assert (sample["butd_objects.npz"]["features"] == row["features"]).all()


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_dataset_gives_the_same_bytes_and_nothing_is_overwritten(
    source: Path, tmp_path: Path, form: str
) -> None:
    features = ("butd_objects",) if form != "webdataset" else ()
    for name in "ab":
        export(source, form, tmp_path / name, request=ExportRequest(features))
    ours = files_of(tmp_path / "a")
    assert ours == files_of(tmp_path / "b")
    with pytest.raises(UsageError, match="already exists"):
        export(source, form, tmp_path / "a", request=ExportRequest(features))
    assert files_of(tmp_path / "a") == ours


def test_wrong_use_gives_one_line_that_names_the_choices(source: Path, whole: Path, tmp_path: Path) -> None:
    for words, said in (
        (["--to", "butd-tvs"], "butd-tsv"),
        (["--to", "lxmert-tsv", "--feature", "vgg_grid"], "butd_objects or detectron2_objects"),
        (["--to", "webdataset", "--split", "dev"], "test, train, valid"),
        (["--to", "webdataset", "--key", "number"], "expected image or post"),
    ):
        done = run("pipeline", "export", "--dataset", source, "--out", tmp_path / "o", *words)
        assert (done.code, said in done.err, len(done.err.splitlines())) == (2, True, 1), done.err
    with pytest.raises(UsageError, match="it has neither"):
        export(whole, "butd-tsv", tmp_path / "o", request=ExportRequest())
    assert not (tmp_path / "o").exists()


def test_the_error_for_a_changed_shard_names_it(source: Path, dataset: Path, tmp_path: Path) -> None:
    shard = sorted(dataset.glob("features/grid/*/shard-*"))[-1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=shard.name):
        export(dataset, "webdataset", tmp_path / "o", request=ExportRequest())
