"""Builds after forgetting: what was forgotten never comes back, and what stands is not done again."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from m3h.pipeline.checks.verify import verify
from m3h.schemas.dataset import Dataset
from m3h.schemas.manifest import Manifest
from m3h.schemas.shards import shard_keys
from tests.commands import files_of, run
from tests.conftest import Built
from tests.pipeline.fakes import small_dump

pytestmark = pytest.mark.slow


def build(dataset: Path, *dumps: Path, images: Path) -> None:
    rules = ("--set", "clean.min_hashtag_count=1", "clean.near_text=0", "shards.images=2")
    done = run(
        *("pipeline", "build", "--dumps", *dumps, "--images", images, "--dataset", dataset),
        *("--features", "ocr", "--workers", 1, *rules),
    )
    assert done.code == 0, done.err


def test_forgotten_posts_stay_away_from_every_later_build(tmp_path: Path) -> None:
    dump, images = small_dump(tmp_path / "source", posts=9)
    lines = dump.read_text().splitlines(keepends=True)
    early, late = dump.with_name("early.jsonl"), dump.with_name("late.jsonl")
    early.write_text("".join(lines[:6]))
    late.write_text("".join(lines[6:]))
    dataset = tmp_path / "d"
    build(dataset, early, images=images)
    done = run("pipeline", "forget", "--dataset", dataset, "--ids", "-", "--json", stdin=b"1001\n1004\n1008\n")
    assert done.code == 0, done.err
    assert done.json == {"ids": 3, "posts": 2, "dropped": 0, "images": 2, "already": 0, "unknown": 1, "traces": []}
    assert verify(dataset).breaches == []

    before, shards = files_of(dataset), {path: path.stat().st_mtime_ns for path in dataset.rglob("shard-*")}
    build(dataset, early, images=images)
    assert files_of(dataset) == before
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("shard-*")} == shards

    build(dataset, late, images=images)  # reads the early dump again, too
    data = Dataset(dataset)
    assert data.posts["post_id"].to_pylist() == ["1000", "1002", "1003", "1005", "1006", "1007"]
    assert Manifest.read(dataset).counts["dropped"] == {"forgotten": {"forgotten": 3}}
    assert len(data.table("ocr")) == data.images.num_rows == 6
    assert verify(dataset).breaches == []


def strings_of(dataset: Path) -> set[str]:
    """Every string of every table, the keys of every shard, and every file's name."""
    found = {path.name.partition(".")[0] for path in dataset.rglob("*")}
    for path in dataset.rglob("*.parquet"):
        for column in pq.read_table(path).columns:
            found.update(str(value) for value in column.to_pylist())
    for path in dataset.rglob("*.h5"):
        found.update(shard_keys(path))
    return found


def test_a_third_of_the_sample_can_be_forgotten_and_nothing_of_it_is_left(sample: Built, tmp_path: Path) -> None:
    dataset = shutil.copytree(sample.folder, tmp_path / "copy")
    posts = Dataset(dataset).posts.to_pylist()
    gone = posts[::3]
    dropped = [row["record_id"] for row in Dataset(dataset).dropped.to_pylist() if row["record_id"]][::3]
    ids = [*(post["post_id"] for post in gone), *dropped, "999999999999999999"]
    done = run("pipeline", "forget", "--dataset", dataset, "--ids", "-", "--json", stdin="\n".join(ids).encode())
    assert done.code == 0, done.err
    found = {name: done.json[name] for name in ("ids", "posts", "dropped", "unknown", "traces")}
    assert found == {"ids": len(ids), "posts": len(gone), "dropped": len(dropped), "unknown": 1, "traces": []}
    before, after = strings_of(sample.folder), strings_of(dataset)
    traces = {*ids[:-1], *(post["text"] for post in gone), *(post["image_sha256"] for post in gone)}
    assert traces <= before
    assert traces & after == set()
    report = verify(dataset)
    assert report.breaches == []
    manifest = Manifest.read(dataset)
    rows = {name: known.current_version.rows for name, known in manifest.features.items()}
    assert rows == dict.fromkeys(("ocr", "vgg_grid"), len(posts) - len(gone))
    again = run("pipeline", "forget", "--dataset", dataset, "--ids", "-", "--json", stdin="\n".join(ids).encode())
    assert (again.json["already"], again.json["posts"], again.json["traces"]) == (len(ids), 0, [])


def test_posts_of_the_released_dataset_can_be_forgotten(released: Built, tmp_path: Path) -> None:
    dataset = shutil.copytree(released.folder, tmp_path / "copy")
    posts = Dataset(dataset).posts.to_pylist()
    gone, left = posts[::3], [post for i, post in enumerate(posts) if i % 3]
    ids = "\n".join(post["post_id"] for post in gone)
    done = run("pipeline", "forget", "--dataset", dataset, "--ids", "-", "--json", stdin=ids.encode())
    assert done.code == 0, done.out
    assert (done.json["posts"], done.json["traces"]) == (len(gone), [])
    assert verify(dataset).breaches == []
    shown = {post["image_sha256"] for post in left}
    data = Dataset(dataset)
    for feature in ("ocr", "attributes"):
        before = {row["image_sha256"]: row for row in Dataset(released.folder).table(feature).to_pylist()}
        after = {row["image_sha256"]: row for row in data.table(feature).to_pylist()}
        assert after == {image: row for image, row in before.items() if image in shown}
