"""Whoever has a dataset open sees one whole version of it, whatever another command publishes meanwhile."""

import os
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from m3h.pipeline.checks.table1 import statistics
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.dataset import retired
from m3h.pipeline.records.forget import forget
from m3h.pipeline.versions.compact import compact
from m3h.pipeline.versions.diff import diff
from m3h.pipeline.versions.history import collect_garbage, use
from m3h.schemas.dataset import RETIRED, Dataset
from m3h.schemas.errors import IntegrityError
from m3h.schemas.manifest import Manifest
from m3h.schemas.parquet import read_parquet
from tests.commands import ROOT, command, environment, files_of
from tests.pipeline.made import VERSIONS, post_id

OLD, NEW = (fingerprint for _, fingerprint in VERSIONS[:2])
OTHER_SIZES = ("shards.images=7", "shards.posts=9")
CHANGING = "is being changed by another command, or was just now; try again"


def everything(data: Dataset) -> dict[str, object]:
    """All that a reader can ask for, as values that can be compared."""
    grid = data.tensors("grid")
    return {
        "posts": data.posts.to_pylist(),
        "dropped": data.dropped.to_pylist(),
        "images": data.images.to_pylist(),
        "rows": dict(sorted(grid.rows.items())),
        "arrays": {
            name: array.take(np.array([grid.rows[key] for key in sorted(grid.rows)], int)).tolist()
            for name, array in grid.arrays.items()
        },
        "words": sorted(data.table("words").to_pylist(), key=lambda row: row["image_sha256"]),
        "described": data.described("grid"),
        "stats": statistics(data),
    }


@pytest.mark.parametrize("change", [lambda d: compact(d, OTHER_SIZES), lambda d: use(d, "grid", OLD)])
def test_a_dataset_that_was_opened_before_stays_what_it_was(dataset: Path, whole: Path, change: object) -> None:
    before = Dataset(dataset)
    change(dataset)  # type: ignore[operator]
    assert everything(before) == everything(Dataset(whole))
    assert Dataset(dataset).manifest != before.manifest
    everything(Dataset(dataset))
    assert verify(dataset).breaches == []


def test_after_two_changes_both_earlier_versions_are_read(dataset: Path, whole: Path) -> None:
    first = Dataset(dataset)
    compact(dataset, OTHER_SIZES)
    second = Dataset(dataset)
    compact(dataset, ["shards.images=3", "shards.posts=4"])
    assert everything(first) == everything(Dataset(whole))
    assert everything(second)["posts"] == everything(first)["posts"]
    assert diff(first, "grid", OLD, new=NEW).both > 0


def test_a_file_that_is_replaced_while_it_is_being_read_is_read_again(dataset: Path, whole: Path) -> None:
    data, calls = Dataset(dataset), []

    def reader(path: Path) -> pa.Table:
        calls.append(path)
        if len(calls) == 1:
            compact(dataset, OTHER_SIZES)
        return read_parquet(path)

    (name, *_) = data.names("posts/")
    assert data.read(name, reader).equals(read_parquet(whole / name))
    assert [path.parent.name for path in calls] == ["posts", RETIRED]


def test_a_reader_that_breaks_over_two_versions_begins_again(dataset: Path, whole: Path) -> None:
    data, names = Dataset(dataset), Dataset(dataset).names("posts/")
    attempts: list[list[Path]] = []

    def reader(paths: list[Path]) -> int:
        attempts.append(paths)
        if len(attempts) == 1:
            compact(dataset, OTHER_SIZES)
            raise ValueError("rows of one version do not fit the other")
        return sum(read_parquet(path).num_rows for path in paths)

    assert data.read_all(names, reader) == Dataset(whole).posts.num_rows
    assert len(attempts) == 2
    with pytest.raises(ZeroDivisionError):
        data.read_all(names, lambda paths: len(paths) // 0)


def test_what_was_kept_goes_after_a_while_or_by_gc_at_once(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Dataset(dataset)
    compact(dataset, OTHER_SIZES)
    kept = sorted(path.name for path in (dataset / RETIRED).iterdir())
    gone = before.manifest.files.keys() - Manifest.read(dataset).files.keys()
    assert {before.manifest.files[name].sha256 for name in gone} <= {name.partition(".")[0] for name in kept}
    use(dataset, "grid", NEW)
    assert sorted(path.name for path in (dataset / RETIRED).iterdir()) == kept
    later = time.time() + retired.GRACE_SECONDS + 60
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: later)
        use(dataset, "grid", NEW)
    assert not (dataset / RETIRED).exists()
    with pytest.raises(IntegrityError, match=CHANGING):
        _ = before.posts
    compact(dataset, ["shards.images=3", "shards.posts=4"])
    assert (dataset / RETIRED).is_dir()
    collect_garbage(dataset)
    assert not (dataset / RETIRED).exists()


def test_what_stays_is_not_kept_twice(dataset: Path) -> None:
    use(dataset, "grid", OLD)
    assert not (dataset / RETIRED).exists()


def test_what_is_forgotten_is_not_kept(dataset: Path) -> None:
    before = Dataset(dataset)
    compact(dataset, OTHER_SIZES)
    forget(dataset, [post_id(2)])
    assert not (dataset / RETIRED).exists()
    with pytest.raises(IntegrityError, match=CHANGING):
        _ = before.posts


def test_where_nothing_can_be_kept_it_is_said_that_another_command_is_at_work(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    before = Dataset(dataset)
    compact(dataset, OTHER_SIZES)
    with pytest.raises(IntegrityError, match=CHANGING):
        before.tensors("grid")
    everything(Dataset(dataset))


def test_damage_is_still_called_damage(dataset: Path) -> None:
    before = Dataset(dataset)
    (dataset / before.names("posts/")[0]).write_bytes(b"x")
    with pytest.raises(IntegrityError, match="Run verify"):
        _ = before.posts


def test_a_manifest_that_is_being_replaced_is_one_or_the_other(dataset: Path) -> None:
    versions, ended = [Manifest.read(dataset), Manifest.read(dataset)], threading.Event()
    versions[1].notes = ["another"]

    def write() -> None:
        for i in range(150):
            versions[i % 2].write(dataset)
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not ended.is_set():
        assert Manifest.read(dataset) in versions
        reads += 1
    writer.join()
    assert reads > 20


@pytest.mark.slow
def test_of_a_thousand_reads_beside_ten_compacts_none_fails(dataset: Path, whole: Path) -> None:
    code = "import sys, pathlib\nfrom m3h.pipeline.versions.compact import compact\n"
    code += "for i in range(int(sys.argv[2])):\n"
    code += "    compact(pathlib.Path(sys.argv[1]), [f'shards.images={3 + i % 5}', f'shards.posts={4 + i % 7}'])\n"
    expected, compacts, reads = everything(Dataset(whole)), 0, 0
    expected["described"] = Dataset(whole).described("grid")
    while reads < 1000 or compacts < 10:
        writer = subprocess.Popen([command("pipeline")[0], "-c", code, dataset, "10"], env=environment(), cwd=ROOT)
        while writer.poll() is None:
            data = Dataset(dataset)
            assert everything(data) == expected
            reads += 5
        assert writer.returncode == 0
        compacts += 10
    assert verify(dataset).breaches == []
    assert np.array_equal(
        Dataset(dataset).tensors("grid").arrays["count"], Dataset(whole).tensors("grid").arrays["count"]
    )
    assert files_of(dataset).keys() >= {"manifest.json"}
