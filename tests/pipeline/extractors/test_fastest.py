"""`engine=auto`: measured once, remembered, and the name of an engine wherever a dataset is described."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from m3h.pipeline.config import BuildConfig, with_engines
from m3h.pipeline.extractors import extractor_class, make_extractor
from m3h.pipeline.extractors.compute import ComputeSettings
from m3h.pipeline.extractors.computing.catalog import ENGINES
from m3h.pipeline.extractors.computing.fastest import choice, fastest_engine
from m3h.schemas.config import resolve
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest
from tests.commands import run
from tests.pipeline.fakes import small_dump

SMALL = "features.backbone.network=small"
AUTO = "features.backbone.engine=auto"


def settings(feature: str, **fields: Any) -> ComputeSettings:
    found = extractor_class(feature).Settings(engine="auto", **fields)
    assert isinstance(found, ComputeSettings)
    return found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "m3h" / "engines"


@pytest.fixture
def nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(subprocess, "run", refused)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"torch": 3.0, "onnxruntime": 1.0, "openvino": 2.0}, "onnxruntime"),
        ({"torch": 1.05, "openvino": 1.0}, "torch"),  # a twentieth is not worth an export
        ({"torch": 1.2, "openvino": 1.0}, "openvino"),
        ({"torch": 1.0}, "torch"),
    ],
)
def test_the_fastest_engine_is_taken_unless_torch_is_nearly_as_fast(seconds: dict[str, float], expected: str) -> None:
    assert choice(seconds) == expected


def test_engines_are_measured_once_and_again_where_what_was_kept_is_spoiled(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, started = settings("backbone", network="small"), []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *words, **named: started.append(words) or real(*words, **named))
    found = fastest_engine("backbone", asked)
    (file,) = cache.iterdir()
    kept = json.loads(file.read_text())
    assert kept.keys() == ENGINES.keys()
    assert found == choice(kept)
    assert fastest_engine("backbone", asked) == found
    assert len(started) == 1
    for spoiled in ('{"torch": ', '{"torch": -1.0}', '{"another": 1.0}', "[]", "{}"):
        file.write_text(spoiled)
        monkeypatch.setattr(
            subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0, stdout='\n{"torch": 1.0}')
        )
        assert fastest_engine("backbone", asked) == "torch"
        assert json.loads(file.read_text()) == {"torch": 1.0}


def test_where_nothing_can_be_kept_the_choice_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    measured = SimpleNamespace(returncode=0, stdout='{"torch": 3.0, "openvino": 1.0}\n')
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: measured)
    assert fastest_engine("backbone", settings("backbone", network="small")) == "openvino"
    (note,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert str(tmp_path / "cache") in note
    assert note.endswith("Engines are measured again next time (XDG_CACHE_HOME).")


@pytest.mark.parametrize("fields", [{"precision": "bf16"}, {"device": "cuda"}])
def test_where_torch_alone_can_compute_nothing_is_measured(
    fields: dict[str, str], cache: Path, nothing_is_measured: None
) -> None:
    assert fastest_engine("backbone", settings("backbone", network="small", **fields)) == "torch"
    assert not cache.exists()


def test_a_detector_is_computed_by_torch(cache: Path, nothing_is_measured: None) -> None:
    assert fastest_engine("butd_objects", settings("butd_objects", weights="random")) == "torch"


def test_a_trial_that_fails_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=-9, stdout="", stderr=""))
    with pytest.raises(UsageError) as caught:
        fastest_engine("backbone", settings("backbone", network="small"))
    assert str(caught.value) == "features.backbone.engine=auto: measuring failed (exit code -9). Set engine=torch."


def test_only_what_makes_features_chooses() -> None:
    with pytest.raises(UsageError) as caught:
        make_extractor("backbone", settings("backbone", network="small")).identity()
    assert str(caught.value) == (
        "features.backbone.engine=auto: only build, plan and refresh choose an engine. Name one: torch, onnxruntime, "
        "openvino."
    )


def test_a_feature_that_is_not_asked_for_keeps_auto(nothing_is_measured: None) -> None:
    config = resolve(BuildConfig, None, [AUTO])
    assert with_engines(config, ["ocr"], None) == config


def test_a_build_names_the_engine_and_a_dataset_stays_with_it(tmp_path: Path, cache: Path) -> None:
    dataset, (dump, images) = tmp_path / "data", small_dump(tmp_path, 3)
    words = ("build", "--dumps", dump, "--images", images, "--dataset", dataset, "--features", "backbone")
    done = run("m3h", *words, "--set", SMALL, AUTO, "clean.min_hashtag_count=1")
    assert done.code == 0, done.err
    known = Manifest.read(dataset)
    engine = known.config["features"]["backbone"]["engine"]
    (file,) = cache.iterdir()
    assert engine == choice(json.loads(file.read_text()))
    assert f"features.backbone.engine=auto: {engine} (processor ms a picture: " in done.err
    file.write_text(json.dumps({name: 1.0 + (name == engine) for name in ENGINES}))  # another one would be faster now
    planned = run("m3h", "plan", "--dataset", dataset, "--set", AUTO)
    assert planned.out == f"backbone: stands ({known.features['backbone'].current})\nnothing to do\n"
