"""Deletions in a dump that is added later: posts of earlier dumps leave, announced; for many it asks first."""

import json
import shutil
from pathlib import Path

import pytest

from m3h.schemas.dataset import Dataset
from tests.commands import files_of
from tests.pipeline.fakes import small_dump
from tests.pipeline.finished import differing, is_conserved, shown
from tests.pipeline.warm import Warm

POSTS = 24
QUIET = ["--workers", 1, "--progress", "none"]
RULES = ["--features", "none", *QUIET, "--set", "clean.min_hashtag_count=1", "clean.near_text=0", "clean.near_images=0"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dump, _ = small_dump(tmp_path_factory.mktemp("source"), POSTS)
    for name, number in (("few", 2), ("many", 12)):
        lines = [
            json.dumps({"delete": {"status": {"id_str": str(1000 + i), "user_id_str": "7"}}}) for i in range(number)
        ]
        (dump.parent / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return dump.parent


def words(source: Path, dataset: Path, *dumps: str, more: list[str] | None = None) -> list[object]:
    given = [source / name for name in dumps]
    return ["build", "--dumps", *given, "--images", source / "images", "--dataset", dataset, *RULES, *(more or [])]


@pytest.fixture(scope="module")
def built(m3h: Warm, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dataset = tmp_path_factory.mktemp("built") / "dataset"
    m3h.must(*words(source, dataset, "dump.jsonl"))
    return dataset


def test_deletions_of_a_later_dump_take_posts_away_as_if_they_had_been_there_at_once(
    m3h: Warm, source: Path, built: Path, tmp_path: Path
) -> None:
    dataset = shutil.copytree(built, tmp_path / "dataset")
    said = m3h.must(*words(source, dataset, "few.jsonl"))
    assert "note: 2 posts leave: this takes away 2 of 24 posts (read: deleted 2) and 2 of 24 pictures." in said.printed
    assert sorted(shown(dataset)) == [str(1000 + i) for i in range(2, POSTS)]
    assert is_conserved(dataset)
    reasons = [(row["record_id"], row["reason"]) for row in Dataset(dataset).dropped.to_pylist()]
    assert sorted(reasons) == [("", "notice"), ("", "notice"), ("1000", "deleted"), ("1001", "deleted")]
    m3h.must(*words(source, tmp_path / "once", "few.jsonl", "dump.jsonl"))
    assert differing(files_of(dataset), files_of(tmp_path / "once")) == []


def test_more_deletions_than_a_share_are_asked_for_once(m3h: Warm, source: Path, built: Path, tmp_path: Path) -> None:
    dataset = shutil.copytree(built, tmp_path / "dataset")
    said = m3h.run(*words(source, dataset, "many.jsonl"))
    assert said.code == 1
    assert "take away 12 of 24 posts (read: deleted 12)" in said.errors[0]
    assert len(shown(dataset)) == POSTS
    m3h.must(*words(source, dataset, "many.jsonl", more=["safety.max_loss=1"]))
    assert len(shown(dataset)) == POSTS - 12
    m3h.must("verify", "--dataset", dataset)
