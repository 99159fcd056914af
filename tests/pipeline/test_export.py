"""Files of other systems' formats, each read back the way those systems read them."""

import json
import pickle
import re
import subprocess
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
from tests.commands import ROOT, files_of, run
from tests.pipeline.export_readers import BUTD, VqaFeatures, read_butd, read_lxmert, rows_of
from tests.pipeline.made import POSTS_MADE, image_of, make, picture_bytes, post_id

PAGE = ROOT / "docs" / "exporting.md"
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


def numbers(split: str) -> list[int]:
    """The posts of a split whose picture has a row."""
    return [i for i in range(1, POSTS_MADE + 1) if SPLITS[{4: 3, 6: 5}.get(i, i) % 3] == split and i not in (7, 8)]


def test_the_tools_of_bottom_up_attention_read_their_tsv(source: Path, stored: Any, tmp_path: Path) -> None:
    result = export(source, "butd-tsv", tmp_path, request=ExportRequest(key="post"))
    assert result.missing == 2
    for split in SPLITS:
        found = read_butd(tmp_path / f"{split}.tsv")
        assert set(found) == {int(post_id(i)) for i in numbers(split)}
        assert result.files[str(tmp_path / f"{split}.tsv")] == len(found)
        for i in numbers(split):
            line, row = found[int(post_id(i))], stored[image_of(i)]
            n = row["number"]
            assert (line["image_w"], line["image_h"], line["num_boxes"]) == (320, 200, n)
            assert (line["boxes"] == row["boxes"][:n]).all()
            assert (line["features"] == row["features"][:n].astype(np.float32)).all()


def test_a_row_of_boxes_is_named_by_its_picture_if_nothing_else_is_asked_for(source: Path, tmp_path: Path) -> None:
    export(source, "butd-tsv", tmp_path, request=ExportRequest())
    for split, images in shown(source).items():
        assert {row["image_id"] for row in rows_of(tmp_path / f"{split}.tsv", BUTD)} == images


def test_lxmert_reads_its_tsv(source: Path, stored: Any, tmp_path: Path) -> None:
    """The height stands before the width, ids are int64, and boxes lie within their picture."""
    export(source, "lxmert-tsv", tmp_path, request=ExportRequest(key="post", splits=("train",)))
    found = read_lxmert(tmp_path / "train_objects.tsv")
    assert set(found) == {post_id(i) for i in numbers("train")}
    for i in numbers("train"):
        line, row = found[post_id(i)], stored[image_of(i)]
        n = line["num_boxes"]
        assert (line["img_h"], line["img_w"], n) == (200, 320, row["number"])
        for column, name in (
            ("objects_id", "classes"), ("attrs_id", "attributes"), ("objects_conf", "class_scores"),
            ("attrs_conf", "attribute_scores"), ("boxes", "boxes"),
        ):  # fmt: skip
            assert (line[column] == row[name][:n]).all(), column
        assert line["features"].shape == (n, D)


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


def pickled_index(folder: Path) -> None:
    """Each index made into a pickle, as the page tells a user to."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for path in folder.glob("*_imgid2idx.json"):
        code_of_this = code.replace("train36", path.name.removesuffix("_imgid2idx.json"))
        subprocess.run([sys.executable, "-c", code_of_this], cwd=folder, check=True)


@pytest.mark.parametrize(("form", "boxes"), [("vqa-hdf5", K), ("vqa-hdf5-adaptive", None)])
def test_vqa_systems_read_their_hdf5(source: Path, stored: Any, tmp_path: Path, form: str, boxes: int | None) -> None:
    export(source, form, tmp_path, request=ExportRequest(key="post"))
    pickled_index(tmp_path)
    for split in SPLITS:
        found = VqaFeatures(tmp_path, split, boxes)
        assert set(found.rows) == {int(post_id(i)) for i in numbers(split)}
        for i in numbers(split):
            row = stored[image_of(i)]
            n = row["number"]
            features, places = found.of(int(post_id(i)))
            assert (len(features), len(places)) == (boxes or n, boxes or n)
            assert (features[:n] == row["features"][:n].astype(np.float32)).all()
            assert not features[n:].any()
            width = (row["boxes"][:n, 2] - row["boxes"][:n, 0]) / 320
            np.testing.assert_allclose(places[:n, 4], width, rtol=1e-6)


@pytest.mark.parametrize(("form", "name"), [("vqa-hdf5", f"train{K}"), ("vqa-hdf5-adaptive", "train")])
def test_libraries_of_the_systems_years_can_open_the_files(source: Path, tmp_path: Path, form: str, name: str) -> None:
    """HDF5 of before 1.8 has superblock 0; Python 2 reads pickles up to protocol 2, and compares ints with ints."""
    export(source, form, tmp_path, request=ExportRequest(key="post", splits=("train",)))
    content = (tmp_path / f"{name}.hdf5").read_bytes()
    assert content[:9] == b"\x89HDF\r\n\x1a\n\x00"
    pickled_index(tmp_path)
    index = (tmp_path / f"{name}_imgid2idx.pkl").read_bytes()
    assert index[:2] == b"\x80\x02"
    assert {type(key) for key in pickle.loads(index)} == {int}  # noqa: S301


def test_the_boxes_of_a_fixed_file_are_counted_and_stand_in_pixels(source: Path, stored: Any, tmp_path: Path) -> None:
    export(source, "vqa-hdf5", tmp_path, request=ExportRequest(splits=("train",)))
    index = json.loads((tmp_path / f"train{K}_imgid2idx.json").read_text())
    assert set(index) == shown(source)["train"]
    with h5py.File(tmp_path / f"train{K}.hdf5") as file:
        for image, i in index.items():
            assert file["num_boxes"][i] == stored[image]["number"]
            assert (file["image_bb"][i] == stored[image]["boxes"]).all()


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
