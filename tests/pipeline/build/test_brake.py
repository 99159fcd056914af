"""By no command does more than a small share of a dataset leave, unless it was told so; what may leave is announced."""

import json
import shutil
from pathlib import Path

import pytest

from m3h.schemas.manifest import Manifest
from tests.commands import files_of
from tests.pipeline.fakes import small_dump
from tests.pipeline.finished import differing, is_conserved, shown
from tests.pipeline.warm import Warm

POSTS = 24
QUIET = ["--workers", 1, "--progress", "none"]
RULES = ["--features", "ocr", *QUIET, "--set", "clean.min_hashtag_count=1", "clean.near_text=0", "clean.near_images=0"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dump, _ = small_dump(tmp_path_factory.mktemp("source"), POSTS)
    return dump.parent


@pytest.fixture(scope="module")
def built(m3h: Warm, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("built") / "dataset"
    words = ["--dumps", source / "dump.jsonl", "--images", source / "images", "--dataset", dataset]
    m3h.must("build", *words, *RULES)
    assert len(shown(dataset)) == POSTS
    return dataset


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "dataset")


def corrected(source: Path, folder: Path, left: int, short: int = 0) -> Path:
    """The dump with its first posts alone, of which some say nothing."""
    records = [json.loads(line) for line in (source / "dump.jsonl").read_text().splitlines()][:left]
    records = [record | {"text": "#tea"} if i < short else record for i, record in enumerate(records)]
    folder.mkdir()
    (folder / "dump.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder / "dump.jsonl"


def finished_files(dataset: Path) -> dict[str, bytes]:
    return {name: data for name, data in files_of(dataset).items() if not name.startswith(".build/")}


def test_a_corrected_dump_that_takes_more_than_a_share_is_refused_until_it_is_wanted(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    before = files_of(dataset)
    dump = corrected(source, tmp_path / "corrected", 14, short=3)
    words = ["retry", "--dataset", dataset, "--dumps", dump, *QUIET]
    for _ in range(2):
        said = m3h.run(*words)
        assert said.code == 1, said.printed
        assert said.errors == [
            f"error: {dataset}: this would take away 13 of 24 posts (in no dump any more 10, text: too_few_tokens 3) "
            "and 13 of 24 pictures, more than safety.max_loss=0.01 allows. Nothing was changed. If that is wanted, "
            "run it again with --set safety.max_loss=1."
        ]
        assert finished_files(dataset) == before
        assert m3h.run("verify", "--dataset", dataset).code == 0
    posts = {path.name: path.stat().st_mtime_ns for path in (dataset / ".build" / "next" / "posts").iterdir()}
    said = m3h.must(*words, "--set", "safety.max_loss=1")
    assert "note: 13 posts leave: " in said.printed
    assert {path.name: path.stat().st_mtime_ns for path in (dataset / "posts").iterdir()} == posts
    assert sorted(shown(dataset)) == [str(1000 + i) for i in range(3, 14)]
    assert m3h.run("verify", "--dataset", dataset).code == 0
    assert is_conserved(dataset)
    assert "safety" not in Manifest.read(dataset).config
    (tmp_path / "more").mkdir()
    once = ["build", "--dumps", dump, "--images", source / "images", "--dataset", tmp_path / "more" / "once", *RULES]
    m3h.must(*once, "safety.max_loss=0.5")
    assert differing(files_of(dataset), files_of(tmp_path / "more" / "once")) == []


@pytest.mark.slow
def test_what_was_refused_is_given_up_by_a_build_of_the_old_dumps(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    before = files_of(dataset)
    words = ["retry", "--dataset", dataset, "--dumps", corrected(source, tmp_path / "corrected", 9), *QUIET]
    assert m3h.run(*words).code == 1
    m3h.must("build", "--dumps", source / "dump.jsonl", "--images", source / "images", "--dataset", dataset, *RULES)
    assert differing(before, files_of(dataset)) == []


@pytest.mark.slow
def test_a_small_loss_is_announced(m3h: Warm, source: Path, dataset: Path, tmp_path: Path) -> None:
    dump = corrected(source, tmp_path / "corrected", POSTS - 1, short=1)
    said = m3h.must("retry", "--dataset", dataset, "--dumps", dump, *QUIET)
    assert (
        "note: 2 posts leave: this takes away 2 of 24 posts (in no dump any more 1, text: too_few_tokens 1) and "
        "2 of 24 pictures." in said.printed
    )
    assert len(shown(dataset)) == POSTS - 2


@pytest.mark.slow
def test_a_store_that_was_emptied_by_hand_and_a_folder_too_costs_no_post(
    m3h: Warm, source: Path, dataset: Path, tmp_path: Path
) -> None:
    """The same command then finds the pictures again, where the cause of their absence is gone."""
    records, whole = finished_files(dataset), files_of(dataset)
    for path in dataset.glob("images/*/*.jpg"):
        path.unlink()
    (source / "images").rename(source / "away")
    (source / "images").mkdir()
    said = m3h.run("retry", "--dataset", dataset, *QUIET)
    (source / "images").rmdir()
    (source / "away").rename(source / "images")
    assert said.code == 1
    assert "take away 24 of 24 posts (image: image_missing 24) and 24 of 24 pictures" in said.errors[0]
    kept = {name: data for name, data in records.items() if not name.endswith(".jpg")}
    assert finished_files(dataset) == kept
    m3h.must("retry", "--dataset", dataset, *QUIET)
    assert differing(files_of(dataset), whole) == []


@pytest.mark.slow
def test_forgetting_takes_away_all_that_was_asked_for(m3h: Warm, dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("".join(f"{1000 + i}\n" for i in range(POSTS - 1)))
    m3h.must("forget", "--dataset", dataset, "--ids", tmp_path / "ids")
    assert list(shown(dataset)) == [str(1000 + POSTS - 1)]
