"""What the benchmark of pictures trains and compares, on posts whose picture alone tells the keyphrase."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import pictures
from tests.model.fakes import VGG_GRID, fake_post, write_dataset

TOPICS = ("storm", "game", "music")
SIZES = {"train": 24, "valid": 6, "test": 9}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Posts of one text, with pictures of one of three kinds."""
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((len(TOPICS), 49, 512))
    posts, grids = [], {}
    for split, size in SIZES.items():
        for number in range(size):
            post = fake_post(number, "look at this", [TOPICS[number % 3]], split)
            posts.append(post)
            grid = kinds[number % 3] + 0.1 * rng.standard_normal((49, 512))
            grids[post.image_sha256] = {"features": grid.astype(np.float16)}
    return write_dataset(tmp_path_factory.mktemp("planted") / "dataset", posts, {VGG_GRID: grids})


@pytest.fixture
def table(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, list[str]]]:
    """What a row reads -> its cells, as printed."""

    def run(*words: str) -> dict[str, list[str]]:
        given = ["pictures", "--dataset", str(planted), "--systems", "cls-krr", "--seeds", "23"]
        monkeypatch.setattr(sys, "argv", [*given, "--out", str(tmp_path), *words])
        pictures.main()
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        return {name: cells for system, name, *cells in rows if system == "cls-krr"}

    return run


def test_all_four_are_trained_and_compared_with_the_picture(table: Callable[..., dict[str, list[str]]]) -> None:
    rows = table()
    assert list(rows) == ["picture", "text", "shuffled", "noise"]
    assert [len(cells) for cells in rows.values()] == [3, 6, 6, 6]
    assert float(rows["picture"][0]) == 100
    assert all(float(rows[name][0]) < 90 and float(rows[name][1]) < 0.05 for name in ("text", "shuffled", "noise"))


def test_what_is_not_named_is_not_trained(table: Callable[..., dict[str, list[str]]], tmp_path: Path) -> None:
    rows = table("--reads", "noise", "picture")
    assert [(name, len(cells)) for name, cells in rows.items()] == [("noise", 3), ("picture", 6)]
    assert {path.name for path in tmp_path.iterdir()} == {"noise", "cls-krr-picture-23", "cls-krr-noise-23"}
