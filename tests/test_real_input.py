"""Real posts with their pictures, from the dump to scored systems. Slow: hundreds of pictures are read."""

import json
from pathlib import Path

import pytest

from m3h.schemas.dataset import Dataset
from tests.commands import run
from tests.conftest import Built


@pytest.fixture(scope="module")
def social(m3h_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("social") / "dataset"
    source = m3h_data / "images_social"
    done = run(
        *("pipeline", "build", "--format", "jsonl", "--dumps", source / "manifest.jsonl"),
        *("--images", source / "images", "--dataset", folder, "--features", "ocr,vgg_grid", "--json"),
        *("--set", "clean.unique_images=false", "features.vgg_grid.weights=random"),
    )
    assert done.code == 0, done.err
    return Built(folder, done.json)


@pytest.mark.slow
def test_every_record_and_every_picture_is_accounted_for(social: Built) -> None:
    summary = social.summary
    assert summary["read"] == 8555 == summary["kept"] + sum(summary["dropped"].values())
    assert summary["kept"] > 2000
    shown = set(Dataset(social.folder).posts["image_sha256"].to_pylist())
    assert {known["rows"] for known in summary["features"].values()} == {len(shown)}
    assert run("pipeline", "verify", "--dataset", social.folder).code == 0


@pytest.mark.slow
def test_no_picture_stands_in_two_splits(social: Built) -> None:
    posts = Dataset(social.folder).posts.to_pylist()
    splits: dict[str, set[str]] = {}
    for post in posts:
        splits.setdefault(post["image_sha256"], set()).add(post["split"])
    assert len(splits) > 100
    assert all(len(found) == 1 for found in splits.values())
    assert {post["split"] for post in posts} == {"train", "valid", "test"}


@pytest.mark.slow
@pytest.mark.parametrize("system", ["cls-max", "gen-cls-m3h"])
def test_a_system_is_trained_and_scored_on_it(social: Built, tmp_path: Path, system: str) -> None:
    done = run(
        *("model", "train", "--dataset", social.folder, "--system", system, "--out", tmp_path / "run", "--json"),
        *("--epochs", 2, "--set", "width=96", "word_width=64", "warmup_epochs=1"),
    )
    assert done.code == 0, done.err
    again = run("model", "evaluate", tmp_path / "run", "--json")
    assert again.code == 0, again.err
    assert again.json["all"] == done.json["test"]["all"]
    assert 0 < again.json["all"]["f1@1"] <= 1
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["system"] == system
