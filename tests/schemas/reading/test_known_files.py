"""A large shard is compared with its hash once, and again whenever anything about it changed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from m3h.schemas import dataset as module
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError
from m3h.schemas.reading import known_files
from tests.model.fakes import VGG_GRID, fake_post, write_dataset


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names of the files whose bytes were hashed. Files are old enough at once, and no other test remembers."""
    found: list[str] = []
    whole = module.sha256_file

    def hashing(path: Path) -> str:
        found.append(path.name)
        return whole(path)

    monkeypatch.setattr(module, "sha256_file", hashing)
    monkeypatch.setattr(known_files, "SETTLED", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return found


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A dataset with one shard of 1.6 MB."""
    posts = [fake_post(i, f"post number {i}", ["topic"], "train") for i in range(32)]
    rows = {post.image_sha256: {"features": np.full((49, 512), i, np.float16)} for i, post in enumerate(posts)}
    return write_dataset(tmp_path / "dataset", posts, {VGG_GRID: rows})


def shard(dataset: Path) -> Path:
    (path,) = dataset.glob("features/vgg_grid/*/shard-*.h5")
    return path


def test_a_shard_is_hashed_once(dataset: Path, hashed: list[str]) -> None:
    first = np.array(Dataset(dataset).tensors("vgg_grid").arrays["features"])
    assert hashed.count(shard(dataset).name) == 1
    assert np.array_equal(Dataset(dataset).tensors("vgg_grid").arrays["features"], first)
    assert hashed.count(shard(dataset).name) == 1
    assert len(Dataset(dataset).shards("vgg_grid")) == 1  # whoever copies shards reads their bytes
    assert hashed.count(shard(dataset).name) == 2


def test_a_changed_byte_is_found_although_size_and_time_are_the_same(dataset: Path, hashed: list[str]) -> None:
    Dataset(dataset).tensors("vgg_grid")
    before = shard(dataset).stat()
    with shard(dataset).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x99")
    os.utime(shard(dataset), ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError, match=r"shard-00000-of-00001\.h5: sha256 is .*, the manifest says"):
        Dataset(dataset).tensors("vgg_grid")


def test_a_copy_is_hashed_anew(dataset: Path, hashed: list[str], tmp_path: Path) -> None:
    Dataset(dataset).tensors("vgg_grid")
    Dataset(shutil.copytree(dataset, tmp_path / "copy")).tensors("vgg_grid")
    assert hashed.count(shard(dataset).name) == 2


def test_what_changed_a_moment_ago_is_not_remembered(
    dataset: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_files, "SETTLED", 1e9)
    for _ in range(2):
        Dataset(dataset).tensors("vgg_grid")
    assert hashed.count(shard(dataset).name) == 2


def test_a_home_that_cannot_be_written_costs_time_alone(
    dataset: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for _ in range(2):
        Dataset(dataset).tensors("vgg_grid")
    assert hashed.count(shard(dataset).name) == 2


def test_the_oldest_marks_go_when_there_are_too_many(
    dataset: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_files, "MOST", 3)
    folder = known_files.cache_folder()
    folder.mkdir(parents=True)
    for age in range(4):
        (folder / f"{age}").touch()
        os.utime(folder / f"{age}", (age, age))
    Dataset(dataset).tensors("vgg_grid")
    assert sorted(mark.name for mark in folder.iterdir() if len(mark.name) == 1) == ["2", "3"]
