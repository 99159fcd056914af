"""`verify --repair` mends what it can, says what it cannot and why, and touches nothing that is whole."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from m3h.pipeline.checks.repair import repair
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset.remembered import remember
from m3h.pipeline.dataset.suppression_list import FORGOTTEN_FILE, read_suppression_list
from m3h.pipeline.dataset.tables import IMAGE_LIST_PATTERN
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.images.store import image_path
from m3h.pipeline.records.forget import forget
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_table
from m3h.schemas.manifest import FileEntry, Manifest
from tests.commands import files_of, run
from tests.conftest import Built
from tests.pipeline.made import POSTS_MADE, VERSIONS, image_of, make, picture_bytes, post_id

ALL = range(1, POSTS_MADE + 1)


def spoil(dataset: Path, pattern: str) -> Path:
    path = sorted(dataset.glob(pattern))[0]
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    return path


def test_a_whole_dataset_is_left_as_it_is(dataset: Path) -> None:
    before = files_of(dataset)
    mended = repair(dataset)
    assert (mended.done, mended.left) == ([], [])
    assert files_of(dataset) == before


def test_what_belongs_to_nothing_is_removed(dataset: Path) -> None:
    before = files_of(dataset)
    strays = [
        "notes.txt",
        "posts/part-00009-of-00009.parquet",
        "images/ab/stray.jpg",
        "images/x.jpg",
        "features/grid/x.h5",
    ]
    for name in strays:
        (dataset / name).parent.mkdir(parents=True, exist_ok=True)
        (dataset / name).write_bytes(b"stray")
    assert len(verify(dataset).breaches) == len(strays)
    assert len(repair(dataset).done) == len(strays)
    assert files_of(dataset) == before
    assert verify(dataset).breaches == []


def test_pictures_come_back_from_the_folder_if_their_bytes_are_the_same(dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    remember(dataset, {}, (), dumps=[], images=[str(folder)], crawl=False)
    for i in (1, 2, 3):
        image_path(dataset, image_of(i)).unlink()
    image_path(dataset, image_of(2)).write_bytes(b"spoilt")
    (folder / f"{image_of(1)[:12]}.jpg").write_bytes(picture_bytes(1))
    (folder / f"{image_of(2)[:12]}.jpg").write_bytes(picture_bytes(2))
    (folder / f"{image_of(3)[:12]}.jpg").write_bytes(b"another picture under the same name")
    assert verify(dataset).pictures == {image_of(1), image_of(2), image_of(3)}
    mended = repair(dataset)
    assert sorted(mended.done) == sorted(
        f"{image_path(dataset, image_of(i))}: copied from the picture folder again." for i in (1, 2)
    )
    (left,) = mended.left
    assert left.startswith(f"{image_path(dataset, image_of(3))}: no picture folder has these bytes")
    assert f"build --dumps d.jsonl --dataset {dataset} --images {folder}" in left
    assert verify(dataset).pictures == {image_of(3)}


def test_records_need_the_dumps_and_the_command_is_told(dataset: Path) -> None:
    for pattern in ("posts/part-*", "dropped/part-*", IMAGE_LIST_PATTERN):
        path = spoil(dataset, pattern)
        after = files_of(dataset)
        (left,) = [line for line in repair(dataset).left if str(path) in line]
        assert "it can only be made from the dumps. Run `m3h build --dumps d.jsonl" in left
        assert files_of(dataset) == after
        shutil.rmtree(dataset)
        make(dataset, ALL)


def test_a_feature_that_cannot_be_computed_here_is_left(dataset: Path) -> None:
    old, current = spoil(dataset, f"features/grid/{VERSIONS[0][1]}/shard-*"), spoil(dataset, "features/words/*/shard-*")
    assert repair(dataset).left == [
        f"feature grid: {VERSIONS[0][1]} is not its current fingerprint; only that one can be computed.",
        "feature words: no extractor of that name is installed here.",
    ]
    assert {old, current} == {dataset / name for name in verify(dataset).broken}


def test_a_list_of_forgotten_posts_is_never_made_up(dataset: Path) -> None:
    forget(dataset, [post_id(1)])
    (dataset / FORGOTTEN_FILE).unlink()
    assert [line for line in repair(dataset).left if "restore it from a copy" in line]
    assert not (dataset / FORGOTTEN_FILE).exists()


def test_a_forgotten_post_that_came_back_breaks_a_law(dataset: Path) -> None:
    read_suppression_list(dataset).having([post_id(1), "2000001"]).write(dataset)
    manifest = Manifest.read(dataset)
    manifest.files[FORGOTTEN_FILE] = FileEntry.of(dataset / FORGOTTEN_FILE)
    manifest.write(dataset)
    assert verify(dataset).breaches == [
        f"{dataset / 'posts'}: 1 records that were forgotten. Run forget again.",
        f"{dataset / 'dropped'}: 1 records that were forgotten. Run forget again.",
    ]


def test_a_table_that_lacks_a_column_is_named_and_nothing_else_is_made_of_it(dataset: Path) -> None:
    path, *_ = sorted(dataset.glob(IMAGE_LIST_PATTERN))
    name, manifest = path.relative_to(dataset).as_posix(), Manifest.read(dataset)
    publish_table(path, pq.read_table(path).drop_columns(["keypoints", "phash"]))
    manifest.files[name] = FileEntry.of(path, manifest.files[name].rows)
    manifest.write(dataset)
    assert verify(dataset).breaches == [
        f"{path}: its columns are those of another version of m3h (keypoints, phash). Build the dataset again."
    ]


def test_the_table_of_hashtags_is_made_again(dataset: Path) -> None:
    before = files_of(dataset)
    spoil(dataset, "hashtags.tsv")
    assert repair(dataset).done == [f"{dataset / 'hashtags.tsv'}: made again."]
    after = files_of(dataset)
    assert {name for name in before if before[name] != after[name]} <= {"manifest.json", "manifest.sha256"}
    assert verify(dataset).breaches == []


def test_an_unfinished_build_is_not_touched(dataset: Path) -> None:
    Workspace(dataset).begin({"some": "build"})
    with pytest.raises(UsageError, match="unfinished build"):
        repair(dataset)


def test_without_a_manifest_nothing_is_touched(dataset: Path) -> None:
    spoil(dataset, "manifest.json")
    before = files_of(dataset)
    assert "build it again" in repair(dataset).left[0]
    assert files_of(dataset) == before


@pytest.mark.slow
def test_broken_shards_of_the_sample_are_computed_again_and_only_those(sample: Built, tmp_path: Path) -> None:
    dataset = shutil.copytree(sample.folder, tmp_path / "copy")
    before = files_of(dataset)
    written = {path: path.stat().st_mtime_ns for path in dataset.rglob("shard-*")}
    broken = [spoil(dataset, "features/ocr/*/shard-00004*"), spoil(dataset, "features/*/*/feature.json")]
    broken.append(sorted(dataset.glob("features/vgg_grid/*/shard-*"))[-1])
    broken[-1].unlink()
    done = run("pipeline", "verify", "--dataset", dataset, "--repair", "--workers", 1, "--json")
    assert done.code == 0, done.out + done.err
    assert done.json["repaired"] == [f"{path}: made again." for path in sorted(broken)]
    assert done.json["left"] == done.json["breaches"] == []
    assert files_of(dataset) == before
    again = {path for path, time in written.items() if path.stat().st_mtime_ns != time}
    assert again == {path for path in broken if path.name.startswith("shard-")}
