"""Feature shards come back as written, and their bytes depend on the rows alone."""

import hashlib
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.schemas.errors import IntegrityError
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.files import sha256_file
from m3h.schemas.shards import (
    new_hdf5,
    read_table_shard,
    read_tensor_shard,
    shard_count,
    shard_name,
    shard_slice,
    write_shard,
)

GRID = FeatureSpec("grid", arrays=(ArraySpec("features", (2, 3)), ArraySpec("boxes", (2, 4), "float32")))
WORDS = FeatureSpec("ocr", columns=(("tokens", pa.list_(pa.string())), ("score", pa.float32())))


def key(i):
    return hashlib.sha256(str(i).encode()).hexdigest()


def tensor_rows(count):
    rng = np.random.default_rng(0)
    return {key(i): {"features": rng.random((2, 3)), "boxes": rng.random((2, 4))} for i in range(count)}


def table_rows(count):
    return {key(i): {"tokens": ["é"] * i, "score": i / 4} for i in range(count)}


ROWS = {GRID: tensor_rows, WORDS: table_rows}


def in_another_order(rows):
    items = list(rows.items())
    random.Random(3).shuffle(items)
    assert [k for k, _ in items] != list(rows)
    return {k: dict(reversed(row.items())) for k, row in items}


def test_tensors_come_back_sorted_and_as_stored(tmp_path):
    rows = tensor_rows(5)
    write_shard(tmp_path / "s.h5", GRID, rows)
    keys, arrays = read_tensor_shard(tmp_path / "s.h5")
    assert keys == sorted(rows)
    assert (arrays["features"].dtype, arrays["boxes"].dtype) == (np.float16, np.float32)
    for i, k in enumerate(keys):
        np.testing.assert_array_equal(arrays["features"][i], rows[k]["features"].astype(np.float16))
        np.testing.assert_array_equal(arrays["boxes"][i], rows[k]["boxes"].astype(np.float32))


def test_a_table_comes_back_sorted(tmp_path):
    rows = table_rows(4)
    write_shard(tmp_path / "s.parquet", WORDS, rows)
    assert read_table_shard(tmp_path / "s.parquet").to_pylist() == [
        {"image_sha256": k, **rows[k]} for k in sorted(rows)
    ]


@pytest.mark.parametrize("spec", ROWS)
def test_a_shard_without_rows_can_be_read(tmp_path, spec):
    path = tmp_path / f"s{spec.suffix}"
    write_shard(path, spec, {})
    if spec.is_table:
        assert read_table_shard(path).schema.equals(WORDS.table_schema())
    else:
        keys, arrays = read_tensor_shard(path)
        assert (keys, arrays["features"].shape, arrays["boxes"].shape) == ([], (0, 2, 3), (0, 2, 4))


@pytest.mark.parametrize("spec", ROWS)
def test_the_order_of_rows_does_not_change_a_byte(tmp_path, spec):
    rows = ROWS[spec](6)
    write_shard(tmp_path / "a", spec, rows)
    write_shard(tmp_path / "b", spec, in_another_order(rows))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("spec", ROWS)
@pytest.mark.parametrize("data", [b"", b"PAR1", b"\x89HDF\r\n\x1a\n", b"not a shard"])
def test_a_file_that_is_no_shard_is_named(tmp_path, spec, data):
    path = tmp_path / f"s{spec.suffix}"
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=rf"{path.name}: not a readable"):
        (read_table_shard if spec.is_table else read_tensor_shard)(path)


@pytest.mark.parametrize(
    ("images", "per_shard", "shards"), [(0, 64, 0), (1, 64, 1), (64, 64, 1), (65, 64, 2), (128, 64, 2), (7, 1, 7)]
)
def test_how_many_shards(images, per_shard, shards):
    assert shard_count(images, per_shard) == shards


@given(st.integers(0, 200), st.integers(1, 70))
def test_every_image_lies_in_exactly_one_shard(images, per_shard):
    everything = list(range(images))
    parts = [everything[shard_slice(i, per_shard)] for i in range(shard_count(images, per_shard))]
    assert [image for part in parts for image in part] == everything
    assert all(parts)


def test_names_sort_in_the_order_of_shards():
    assert shard_name(7, 64, ".h5") == "shard-00007-of-00064.h5"
    found = [shard_name(i, 12_000, ".h5") for i in range(12_000)]
    assert found == sorted(found)


def test_a_shard_is_written_in_the_earliest_format_whose_bytes_are_the_same_in_all_versions(tmp_path: Path) -> None:
    """The later formats hold the time of writing in some versions of h5py."""
    with new_hdf5(tmp_path / "s.h5") as file:
        assert file.libver[0] == "earliest"
    assert (tmp_path / "s.h5").read_bytes()[8] == 0  # version of the superblock


def test_a_shard_has_the_same_bytes_wherever_it_is_written(tmp_path: Path) -> None:
    """As h5py 3.11 to 3.16 wrote them with numpy 2.0 to 2.4; `make lowest` writes them with the lowest of all."""
    spec = FeatureSpec("grid", arrays=(ArraySpec("features", (2, 3)), ArraySpec("number", (), "int32")))
    rows = {f"{i:064x}": {"features": np.arange(6).reshape(2, 3) + i, "number": i} for i in range(3)}
    write_shard(tmp_path / "s.h5", spec, rows, fingerprint="0123456789abcdef")
    assert sha256_file(tmp_path / "s.h5") == "213551340479ae426f422dbe07e2155937d909f9ffc9e3311789c108605a8a45"
