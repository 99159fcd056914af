"""`retry`: only what failed is tried again, and what then works is as if it had never failed."""

import json
import shutil
from pathlib import Path

import pytest

from tests.commands import files_of, run
from tests.pipeline.fakes import small_dump

SETTINGS = ["--workers", 1, "--features", "ocr", "--set", "clean.min_hashtag_count=1"]


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, Path]:
    return small_dump(tmp_path / "source", posts=6)


def build(dump: Path, images: Path, dataset: Path) -> None:
    done = run("pipeline", "build", "--dumps", dump, "--images", images, "--dataset", dataset, *SETTINGS)
    assert done.code == 0, done.err


def test_a_picture_found_later_and_a_mended_record_join_the_dataset(source: tuple[Path, Path], tmp_path: Path) -> None:
    dump, images = source
    build(dump, images, tmp_path / "whole")

    lines = dump.read_text().splitlines()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(images / "p2.jpg", elsewhere / "p2.jpg")
    broken = tmp_path / "broken" / dump.name
    broken.parent.mkdir()
    broken.write_text("\n".join([*lines[:4], lines[4][:-9], lines[5]]) + "\n")
    dataset = tmp_path / "d"
    build(broken, images, dataset)

    done = run(
        "pipeline",
        "retry",
        "--workers",
        1,
        "--dataset",
        dataset,
        "--reason",
        "image_missing",
        "--images",
        elsewhere,
        "--json",
    )
    assert done.code == 0, done.err
    assert (done.json["before"], done.json["after"]) == ({"image_missing": 1}, {"image_missing": 0})
    assert (done.json["read"], done.json["kept"]) == (6, 5)

    done = run("pipeline", "retry", "--workers", 1, "--dataset", dataset, "--reason", "not_json", "--dumps", dump)
    assert done.code == 0, done.err
    assert "not_json: 1 -> 0" in done.out
    assert run("pipeline", "verify", "--dataset", dataset).code == 0
    assert files_of(dataset) == files_of(tmp_path / "whole")


def test_a_reason_nobody_was_dropped_for_is_wrong_use(source: tuple[Path, Path], tmp_path: Path) -> None:
    dump, images = source
    (images / "p0.jpg").write_bytes(b"<html>")
    build(dump, images, tmp_path / "d")
    before = files_of(tmp_path / "d")
    done = run("pipeline", "retry", "--workers", 1, "--dataset", tmp_path / "d", "--reason", "image_gray")
    assert (done.code, done.error) == (
        2,
        "error: --reason image_gray: nothing was dropped for it. There are: image_not_jpeg.",
    )
    rules = run("pipeline", "retry", "--workers", 1, "--dataset", tmp_path / "d", "--set", "clean.min_tokens=2")
    assert rules.code == 2
    assert "other rules" in rules.error
    assert files_of(tmp_path / "d") == before


def test_what_the_last_build_read_is_noted_for_later_commands_alone(source: tuple[Path, Path], tmp_path: Path) -> None:
    dump, images = source
    build(dump, images, tmp_path / "d")
    noted = json.loads((tmp_path / "d" / ".build.json").read_text())
    assert noted["images"] == [str(images)]
    (tmp_path / "d" / ".build.json").unlink()
    done = run("pipeline", "retry", "--workers", 1, "--dataset", tmp_path / "d")
    assert done.code == 2
    assert (
        "was built from dump.jsonl too, and its path is not remembered here. Name it in --dumps, as dump.jsonl."
        in done.error
    )
