"""Features stay in the files of a dataset: batches hold the same numbers, and what does not fit into memory trains."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from m3h.model.data.pictures import Cells
from m3h.schemas.errors import IntegrityError
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.manifest import FileEntry, Manifest
from m3h.schemas.reading.stacked import StackedArray
from m3h.schemas.shards import map_tensor_shard, new_hdf5, read_tensor_shard, write_shard
from tests.commands import ROOT, environment
from tests.model.fakes import VGG_GRID, fake_post, random_grid, write_dataset

OBJECTS = FeatureSpec("objects", (ArraySpec("features", (3, 4)), ArraySpec("number", (), "int32")))


def test_batches_are_those_of_cells_in_memory() -> None:
    rng = np.random.default_rng(0)
    array, number = rng.standard_normal((7, 3, 4)).astype(np.float16), torch.tensor([3, 1, 2, 3, 0, 2, 3])
    row_p = np.array([6, -1, 0, 3, 3, 4])
    stacked = StackedArray([array[:2], array[2:6], array[6:]])
    inside, outside = Cells(torch.from_numpy(array), number, row_p), Cells(stacked, number, row_p)
    picture_b = np.array([5, 0, -1, 1, 2, 9, 4])
    for one, other in zip(inside.of(picture_b), outside.of(picture_b), strict=True):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype
    for one, other in zip(inside.statistics(picture_b), outside.statistics(picture_b), strict=True):
        assert torch.equal(one, other)
    assert outside.dtype == torch.float16
    assert outside.channels == 4


def test_a_mapped_shard_has_the_numbers_of_a_read_one_and_keeps_them_when_the_file_goes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {f"{i:064x}": {"features": rng.random((3, 4)).astype(np.float16), "number": np.int32(i)} for i in range(5)}
    write_shard(tmp_path / "s.h5", OBJECTS, rows)
    keys, expected = read_tensor_shard(tmp_path / "s.h5")
    found_keys, found = map_tensor_shard(tmp_path / "s.h5")
    (tmp_path / "s.h5").unlink()
    assert found_keys == keys
    assert found.keys() == expected.keys()
    for name in found:
        assert found[name].dtype == expected[name].dtype
        assert np.array_equal(found[name], expected[name])
        with pytest.raises(ValueError, match="read-only"):
            found[name][0] = 0


def test_a_shard_without_pictures_is_mapped(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.h5", OBJECTS, {})
    keys, arrays = map_tensor_shard(tmp_path / "s.h5", ["features"])
    assert (keys, {name: array.shape for name, array in arrays.items()}) == ([], {"features": (0, 3, 4)})


def test_numbers_beyond_the_end_of_a_file_are_refused_before_they_are_looked_at(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.h5", OBJECTS, {"0" * 64: {"features": np.ones((3, 4)), "number": np.int32(1)}})
    with h5py.File(tmp_path / "s.h5") as file:
        place = file["features"].id.get_offset().to_bytes(8, "little")
    data = (tmp_path / "s.h5").read_bytes()
    assert data.count(place) == 1
    (tmp_path / "s.h5").write_bytes(data.replace(place, (len(data) - 8).to_bytes(8, "little")))
    with pytest.raises(IntegrityError, match=r"s\.h5: not a readable feature shard"):
        map_tensor_shard(tmp_path / "s.h5")


TRAINED = """
import json, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
from m3h.model.cli import main
code = main(sys.argv[2:])
print(json.dumps(code))
"""
SIZES = ["word_width=16", "width=16", "heads=2", "head_width=8", "batch_size=16", "threads=1", "warmup_epochs=1"]


@pytest.mark.slow
def test_features_of_twenty_gigabytes_train_under_a_limit_of_two(tmp_path: Path) -> None:
    """The shard is sparse: a third of a million pictures, of which the posts show 48. The limit is one of data that are
    not in files; the mapped features are in a file."""
    rng = np.random.default_rng(0)
    topics = ("music", "harbour", "football")
    split = ["train"] * 36 + ["valid"] * 6 + ["test"] * 6
    posts = [fake_post(i, f"news of {topics[i % 3]} today", [topics[i % 3]], split[i]) for i in range(48)]
    rows = {post.image_sha256: random_grid(rng) for post in posts}
    dataset = write_dataset(tmp_path / "dataset", posts, {VGG_GRID: rows})
    (shard,) = dataset.glob("features/vgg_grid/*/shard-*.h5")
    pictures = (20 << 30) // (49 * 512 * 2)
    enlarge(shard, rows, pictures)
    manifest = Manifest.read(dataset)
    name = str(shard.relative_to(dataset))
    manifest.files[name] = FileEntry.of(shard, pictures)
    (version,) = manifest.features["vgg_grid"].versions.values()
    manifest.features["vgg_grid"].versions[manifest.features["vgg_grid"].current] = replace(version, rows=pictures)
    manifest.write(dataset)
    assert shard.stat().st_size > 20 << 30

    out = tmp_path / "run"
    words = ["train", "--dataset", dataset, "--system", "gen-cls-m3h", "--epochs", 2, "--out", out, "--set", *SIZES]
    done = subprocess.run(
        [sys.executable, "-c", TRAINED, str(2 << 30), *map(str, words)],
        env=environment() | {"ARROW_DEFAULT_MEMORY_POOL": "system"},  # mimalloc reserves a GiB that it does not use
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == 0, done.stderr
    assert (out / "run.json").exists()


def enlarge(shard: Path, rows: dict[str, dict[str, np.ndarray]], pictures: int) -> None:
    """A shard of so many pictures, of which only these rows take room on the disk."""
    keys = sorted([*rows, *(f"{i:064x}" for i in range(pictures - len(rows)))])
    shard.unlink()
    with new_hdf5(shard) as file:
        file.create_dataset("image_sha256", data=np.array(keys, "S64"), track_times=False)
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((pictures, 49, 512))
        h5py.h5d.create(file.id, b"features", h5py.h5t.py_create(np.dtype(np.float16)), space, early)
        place = {key: i for i, key in enumerate(keys)}
        for key, row in rows.items():
            file["features"][place[key]] = row["features"]
