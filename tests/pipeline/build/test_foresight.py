"""A dump that joins two groups moves posts to another split: told before it is added, and while it is."""

import json
import logging
from pathlib import Path

import pytest

from m3h.pipeline.build.build import BuildOptions, build
from m3h.pipeline.build.foresight import Reading, SplitMove, moves, predicted_moves
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.remembered import remember
from m3h.schemas.config import resolve
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from tests.commands import files_of, run
from tests.pipeline.fakes import small_dump

SETS = ("clean.min_hashtag_count=1", "clean.unique_texts=false", "clean.unique_images=false", "clean.near_text=0")
CONFIG = resolve(BuildConfig, None, [*SETS, "clean.near_images=0", "split.valid=0.3", "split.test=0.3"])


@pytest.fixture
def built(tmp_path: Path) -> tuple[Path, Path]:
    """A dataset, and the folder of its dump and pictures."""
    dump, images = small_dump(tmp_path, 12)
    build(BuildOptions([str(dump)], tmp_path / "dataset", images, features=(), config=CONFIG, workers=1))
    return tmp_path / "dataset", tmp_path


def joining(folder: Path, dataset: Path) -> tuple[Path, set[str]]:
    """A dump with one post: the text of a training post, the picture of another split's. Returns the two, too."""
    posts = {post["post_id"]: post for post in Dataset(dataset).posts.to_pylist()}
    train = next(name for name, post in posts.items() if post["split"] == "train")
    other = next(name for name, post in posts.items() if post["split"] != "train")
    records = {str(r["id"]): r for r in map(json.loads, (folder / "dump.jsonl").read_text().splitlines())}
    (folder / "later.jsonl").write_text(
        json.dumps({**records[train], "id": 5000, "image": records[other]["image"]}) + "\n"
    )
    return folder / "later.jsonl", {train, other}


def test_what_is_foreseen_is_what_happens_and_is_announced(
    built: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    dataset, folder = built
    later, joined = joining(folder, dataset)
    before = {post["post_id"]: post["split"] for post in Dataset(dataset).posts.to_pylist()}
    files, beside = files_of(dataset), sorted(path.name for path in folder.iterdir())
    predicted = predicted_moves(dataset, [str(later)], Reading(folder / "images", 1))
    assert files_of(dataset) == files
    assert sorted(path.name for path in folder.iterdir()) == beside, "the scratch folder is gone"
    with caplog.at_level(logging.WARNING):
        build(BuildOptions([str(later)], dataset, folder / "images", features=(), config=CONFIG, workers=1))
    after = {post["post_id"]: post["split"] for post in Dataset(dataset).posts.to_pylist()}
    assert predicted == [
        SplitMove(name, old, after[name]) for name, old in sorted(before.items()) if after[name] != old
    ]
    assert predicted
    assert {move.post_id for move in predicted} <= joined
    assert after["5000"] == after[next(iter(joined))]
    assert [record.getMessage() for record in caplog.records if "note: post" in record.getMessage()] == [
        f"note: post {move}" for move in predicted
    ]


def test_a_dump_that_joins_nothing_moves_nothing_and_plan_says_so(built: tuple[Path, Path]) -> None:
    dataset, folder = built
    small_dump(folder / "more", 14)
    lines = (folder / "more" / "dump.jsonl").read_text().splitlines()[12:]
    (folder / "more" / "new.jsonl").write_text("\n".join(lines) + "\n")
    words = ("--dataset", dataset, "--dumps", folder / "more" / "new.jsonl", "--images", folder / "more" / "images")
    done = run("pipeline", "plan", *words, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["moves"] == []


def test_posts_that_would_be_dropped_are_moves_too(whole: Path, tmp_path: Path) -> None:
    assert moves(whole, whole) == []
    gone = moves(whole, tmp_path)
    assert len(gone) == 20
    assert str(gone[0]) == f"{gone[0].post_id}: {gone[0].before} -> dropped"


def test_pictures_that_are_fetched_are_not_asked_for(built: tuple[Path, Path]) -> None:
    dataset, folder = built
    remember(dataset, {}, (), crawl=True)
    later, _ = joining(folder, dataset)
    with pytest.raises(UsageError, match="plan asks no network"):
        predicted_moves(dataset, [str(later)], Reading(None, 1))
