"""Builds after forgetting: what was forgotten never comes back, and what stands is not done again."""

from pathlib import Path

import pytest

from pipeline.verify import verify
from schemas.dataset import Dataset
from schemas.manifest import Manifest
from tests.commands import files_of, run
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
