"""`detectron2_objects` through whole builds, as a user runs them; and where detectron2 is not installed."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3h.pipeline.extractors.detectron import installed
from m3h.pipeline.extractors.detectron2_objects import Detectron2Objects, Detectron2Settings
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.shards import read_tensor_shard
from tests.commands import run
from tests.pipeline.extractors.detectron.tiny import tiny_config
from tests.pipeline.fakes import small_dump

NAME = "detectron2_objects"


def build(config: Path, posts: int, folder: Path, detectron2: Path) -> Path:
    dump, images = small_dump(folder / "source", posts)
    options = {
        "config": config,
        "weights": "random",
        "seed": 3,
        "objects": 6,
        "score_threshold": 0,
        "device": "cpu",
        "store": "float32",
    }
    sets = [f"features.{NAME}.{name}={value}" for name, value in options.items()]
    given = ["--dumps", dump, "--images", images, "--features", NAME, "--dataset", folder / "d", "--workers", 1]
    more = ["clean.min_hashtag_count=1", "shards.images=3", *sets]
    done = run("pipeline", "build", *given, *(word for text in more for word in ("--set", text)), folders=[detectron2])
    assert done.code == 0, done.err
    return folder / "d"


def rows(dataset: Path) -> dict[str, Mapping[str, Any]]:
    """By picture."""
    found = {}
    for shard in sorted((dataset / "features" / NAME).rglob("*.h5")):
        keys, arrays = read_tensor_shard(shard)
        found.update({key: {name: array[i] for name, array in arrays.items()} for i, key in enumerate(keys)})
    return found


def test_a_build_stores_the_objects_of_every_picture(detectron2: Path, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "fpn")
    dataset = build(config, 4, tmp_path, detectron2)
    found = rows(dataset)
    assert len(found) == 4
    for row in found.values():
        assert {name: array.shape for name, array in row.items()} == {
            **{"features": (6, 24), "boxes": (6, 4), "classes": (6,), "class_scores": (6,)},
            **{"attributes": (6,), "attribute_scores": (6,), "number": (), "image_size": (2,)},
        }
        assert 0 < row["number"] <= 6
        assert row["image_size"].tolist() == [96, 64]
        assert (row["boxes"] <= [96, 64, 96, 64]).all()
        assert (np.diff(row["class_scores"]) <= 0).all()
        assert row["features"][: row["number"]].any(axis=1).all()
    assert len({row["features"].tobytes() for row in found.values()}) == 4
    assert "detectron2_objects has random weights: for trials only." in Dataset(dataset).manifest.notes


def test_without_detectron2_the_error_names_the_install_command(tmp_path: Path) -> None:
    dump, images = small_dump(tmp_path, 1)
    given = ["--dumps", dump, "--images", images, "--dataset", tmp_path / "d", "--features", NAME]
    done = run("pipeline", "build", *given, "--set", f"features.{NAME}.weights=random")
    assert (done.code, done.out) == (2, "")
    assert done.error == (
        "error: feature detectron2_objects: detectron2 is not installed; after torch, "
        "pip install --no-build-isolation "
        "'git+https://github.com/facebookresearch/detectron2.git@02b5c4e295e990042a714712c21dc79b731e8833'."
    )


@pytest.fixture
def parts(detectron2: Path, tmp_path: Path) -> Any:
    """The fingerprint's parts for a configuration with these sections, and these settings."""

    def of(above: dict[str, Any] | None = None, **settings: Any) -> Any:
        config = str(tiny_config(tmp_path, "c4", **(above or {})))
        return Detectron2Objects(
            Detectron2Settings(**{"config": config, "weights": "random"} | settings)
        ).fingerprint_parts()

    return of


@pytest.mark.parametrize(
    ("above", "settings"),
    [
        ({"MODEL": {"RPN": {"POST_NMS_TOPK_TEST": 30}}}, {}),
        ({}, {"score_threshold": 0.3}),
        ({}, {"seed": 1}),
        ({}, {"precision": "bf16"}),
    ],
)
def test_the_fingerprint_changes_with_every_setting_that_changes_values(parts: Any, above: Any, settings: Any) -> None:
    assert parts(above, **settings) != parts()


def test_the_fingerprint_stays_when_values_stay(parts: Any, tmp_path: Path) -> None:
    before = parts()
    elsewhere = {"SOLVER": {"BASE_LR": 9.0}, "OUTPUT_DIR": "x", "MODEL": {"WEIGHTS": "y", "DEVICE": "cuda"}}
    assert parts(elsewhere, device="cpu") == before


def test_the_fingerprint_covers_what_a_configuration_inherits(detectron2: Path, tmp_path: Path) -> None:
    base = tiny_config(tmp_path, "c4")
    heir = tmp_path / "heir.yaml"
    heir.write_text("_BASE_: c4.yaml\n")
    settings = Detectron2Settings(config=str(heir), weights="random")
    before = Detectron2Objects(settings).fingerprint_parts()
    base.write_text(base.read_text().replace("POST_NMS_TOPK_TEST: 40", "POST_NMS_TOPK_TEST: 41"))
    assert Detectron2Objects(settings).fingerprint_parts() != before


def test_the_fingerprint_covers_detectron2s_code(
    detectron2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "detectron2"
    other.mkdir()
    monkeypatch.setattr(installed, "require", lambda: other)
    (other / "a.py").write_text("x = 1\n")
    installed.engine_version.cache_clear()
    before = installed.engine_version()
    (other / "a.py").write_text("x = 2\n")
    installed.engine_version.cache_clear()
    assert installed.engine_version() != before
    monkeypatch.undo()
    installed.engine_version.cache_clear()
    assert installed.engine_version() not in (before, "")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({}, "features.detectron2_objects.weights: expected a checkpoint of the configuration, or `random`"),
        ({"weights": "lost.pth"}, "weights lost.pth"),
        ({"weights": "random", "config": "lost.yaml"}, "config lost.yaml: No such file or directory."),
    ],
)
def test_missing_files_are_reported_before_any_work(
    detectron2: Path, tmp_path: Path, settings: dict[str, Any], error: str
) -> None:
    given = {"config": str(tiny_config(tmp_path, "c4"))} | settings
    with pytest.raises(UsageError) as caught:
        Detectron2Objects(Detectron2Settings(**given)).fingerprint_parts()
    assert error in str(caught.value)


@pytest.mark.usefixtures("detectron2")
def test_a_detectron2_that_cannot_be_loaded_is_not_reported_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "detectron2.modeling", None)
    with pytest.raises(UsageError, match=r"detectron2 does not load \(.+\); after torch, pip install"):
        installed.require()
