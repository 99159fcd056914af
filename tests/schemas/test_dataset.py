"""Every file of a dataset is checked before its content is used."""

import numpy as np
import pyarrow as pa
import pytest

from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.feature_versions import FeatureVersion, FeatureVersions
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.files import publish_json, publish_table
from m3h.schemas.manifest import FileEntry, Manifest
from m3h.schemas.posts import POST_SCHEMA, Post, post_row
from m3h.schemas.shards import shard_name, write_shard

GRID = FeatureSpec("grid", arrays=(ArraySpec("features", (2,), "float32"),))
WORDS = FeatureSpec("ocr", columns=(("tokens", pa.list_(pa.string())),))
PRINT = "0123456789abcdef"
OLD = "f" * 16
NO_ROWS = FeatureVersion(0, {}, (), (), {}, {}, ())


@pytest.fixture
def folder(tmp_path):
    """Five posts in two parts, a tensor feature in two shards and two versions, a table feature in one shard."""
    manifest = Manifest()

    def add(name, rows):
        manifest.files[name] = FileEntry.of(tmp_path / name, rows)

    posts = [Post(f"p{i}", "t", split=("train", "valid", "test")[i % 3], image_sha256=f"i{i}") for i in range(5)]
    for part, mine in enumerate(([3, 0], [4, 1, 2])):
        name = f"posts/part-{part:05d}-of-00002.parquet"
        publish_table(tmp_path / name, pa.Table.from_pylist([post_row(posts[i]) for i in mine], schema=POST_SCHEMA))
        add(name, len(mine))
    for version, offset in ((PRINT, 0), (OLD, 100)):
        for shard, mine in enumerate(([0, 1, 2], [3, 4])):
            name = f"features/grid/{version}/{shard_name(shard, 2, '.h5')}"
            write_shard(tmp_path / name, GRID, {f"i{i}": {"features": [i + offset, 0]} for i in mine})
            add(name, len(mine))
    name = f"features/ocr/{PRINT}/{shard_name(0, 1, '.parquet')}"
    write_shard(tmp_path / name, WORDS, {f"i{i}": {"tokens": ["w"] * i} for i in range(5)})
    add(name, 5)
    manifest.features = {name: FeatureVersions.first(PRINT, NO_ROWS) for name in ("grid", "ocr")}
    manifest.write(tmp_path)
    return tmp_path


def flip(path, place=-1):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_posts_of_all_parts_are_sorted_by_id(folder):
    assert Dataset(folder).posts["post_id"].to_pylist() == ["p0", "p1", "p2", "p3", "p4"]


@pytest.mark.parametrize(("split", "ids"), [("train", ["p0", "p3"]), ("valid", ["p1", "p4"]), ("test", ["p2"])])
def test_a_split_holds_its_own_posts(folder, split, ids):
    assert Dataset(folder).split(split)["post_id"].to_pylist() == ids


def test_tensors_of_all_shards_stand_under_their_images(folder):
    feature = Dataset(folder).tensors("grid")
    assert feature.arrays["features"].shape == (5, 2)
    for i in range(5):
        np.testing.assert_array_equal(feature.arrays["features"][feature.rows[f"i{i}"]], [i, 0])


def test_a_table_feature_holds_all_rows(folder):
    rows = Dataset(folder).table("ocr").to_pylist()
    assert {row["image_sha256"]: len(row["tokens"]) for row in rows} == {f"i{i}": i for i in range(5)}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (f"features/grid/{PRINT}/shard-00001-of-00002.h5", lambda d: d.tensors("grid")),
        (f"features/ocr/{PRINT}/shard-00000-of-00001.parquet", lambda d: d.table("ocr")),
        ("posts/part-00001-of-00002.parquet", lambda d: d.posts),
        ("posts/part-00000-of-00002.parquet", lambda d: d.split("test")),
    ],
)
@pytest.mark.parametrize("place", [0, 500, -1])
def test_a_flipped_byte_is_refused_and_the_file_named(folder, name, read, place):
    flip(folder / name, place)
    with pytest.raises(IntegrityError) as caught:
        read(Dataset(folder))
    assert str(caught.value).startswith(f"{folder / name}: sha256 is ")


def test_a_missing_shard_is_named(folder):
    name = f"features/grid/{PRINT}/shard-00000-of-00002.h5"
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=r"shard-00000-of-00002\.h5: No such file or directory, but the manifest"):
        Dataset(folder).tensors("grid")


def test_what_is_not_read_is_not_checked(folder):
    flip(folder / f"features/grid/{OLD}/shard-00000-of-00002.h5")
    assert len(Dataset(folder).tensors("grid").rows) == 5


def test_a_missing_feature_is_wrong_use_and_says_what_there_is(folder):
    with pytest.raises(UsageError) as caught:
        Dataset(folder).tensors("vgg_grid")
    assert str(caught.value) == f"{folder}: no feature 'vgg_grid'; it has grid, ocr. Build it with --features."


def test_a_missing_folder_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="no such dataset folder"):
        Dataset(tmp_path / "nothing")


def test_a_folder_without_a_manifest_is_no_dataset(tmp_path):
    with pytest.raises(IntegrityError, match="no finished dataset"):
        Dataset(tmp_path)


def test_a_dataset_without_posts_has_empty_splits(tmp_path):
    Manifest().write(tmp_path)
    assert Dataset(tmp_path).split("train").num_rows == 0
    assert Dataset(tmp_path).images.num_rows == 0


def test_a_feature_of_no_images_is_empty(tmp_path):
    manifest = Manifest(features={name: FeatureVersions.first(PRINT, NO_ROWS) for name in ("grid", "ocr")})
    for spec in (GRID, WORDS):
        name = f"features/{spec.name}/{PRINT}/feature.json"
        publish_json(tmp_path / name, {"spec": spec.as_json()})
        manifest.files[name] = FileEntry.of(tmp_path / name)
    manifest.write(tmp_path)
    grid = Dataset(tmp_path).tensors("grid")
    assert (grid.rows, grid.arrays["features"].shape, grid.arrays["features"].dtype) == ({}, (0, 2), np.float32)
    table = Dataset(tmp_path).table("ocr")
    assert (table.num_rows, table.column_names) == (0, ["image_sha256", "tokens"])


def test_posts_with_other_columns_are_refused_by_name(folder):
    name = "posts/part-00000-of-00002.parquet"
    manifest = Manifest.read(folder)
    publish_table(folder / name, pa.table({"post_id": ["p0"], "text": ["t"]}))
    manifest.files[name] = FileEntry.of(folder / name, 1)
    manifest.write(folder)
    with pytest.raises(IntegrityError, match=r"part-00000-of-00002\.parquet: expected columns .* Another version"):
        _ = Dataset(folder).posts
