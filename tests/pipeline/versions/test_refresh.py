"""Real rows, computed anew by real Tesseract: what is refreshed, what is left alone, and every way back and forward."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.build.build import BuildOptions, build
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.cli import main
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.derived import DERIVED
from m3h.pipeline.dataset.timings import read_timings
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.extractors.tesseract import Tesseract
from m3h.pipeline.runtime import runner
from m3h.pipeline.versions.compact import compact
from m3h.pipeline.versions.history import collect_garbage, use
from m3h.pipeline.versions.plan import plan
from m3h.pipeline.versions.refresh import refresh
from m3h.schemas.config import resolve
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest
from tests.commands import ROOT, command, environment, files_of, run, seen_in
from tests.pipeline.fakes import small_dump

RULES = ["clean.min_hashtag_count=1", "clean.near_text=0", "shards.images=2"]
SIZES = ["shards.images=3", "shards.posts=4"]
OTHER = "features.ocr.min_confidence=30"
POSTS = 5


def built(dataset: Path, dump: Path, *sets: str, rules: list[str] = RULES) -> Path:
    config = resolve(BuildConfig, None, [*rules, *sets])
    named = ("ocr",) if not (dataset / "manifest.json").is_file() else None
    options = BuildOptions([str(dump)], dataset, dump.parent / "images", features=named, config=config, workers=1)
    assert not build(options).broken
    return dataset


def current(dataset: Path) -> str:
    return Manifest.read(dataset).features["ocr"].current


def computed(done: Any) -> int:
    return sum(receipt.computed for feature in done.features for receipt in feature.receipts)


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """All posts but the last, and the last one alone."""
    whole, _ = small_dump(tmp_path_factory.mktemp("source"), POSTS)
    lines = whole.read_text().splitlines(keepends=True)
    early, late = whole.with_name("sooner-dump.jsonl"), whole.with_name("later-dump.jsonl")
    early.write_text("".join(lines[:-1]))
    late.write_text(lines[-1])
    return early, late


@pytest.fixture(scope="module")
def original(dumps: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("original") / "dataset", dumps[0])


@pytest.fixture
def dataset(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "dataset")


def broken(*_: Any, **__: Any) -> None:
    raise AssertionError("this was not to be called")


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Whatever loads a model or starts Beam fails."""
    monkeypatch.setattr(Tesseract, "load", broken)
    monkeypatch.setattr(runner, "run_pipeline", broken)
    return monkeypatch


def test_where_nothing_changed_no_model_is_loaded_and_no_byte_changes(dataset: Path, idle: pytest.MonkeyPatch) -> None:
    before, written = files_of(dataset), {path: path.stat().st_mtime_ns for path in dataset.rglob("*")}
    assert refresh(dataset).text() == "nothing to do"
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*")} == written
    assert files_of(dataset) == before


def test_forward_back_and_forward_again(
    dataset: Path, dumps: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, old = files_of(dataset), current(dataset)
    announced: list[Any] = []
    done = refresh(dataset, sets=[OTHER], announce=announced.append)
    new = current(dataset)
    assert (computed(done), done.plan) == (POSTS - 1, announced[0])
    assert [(step.old, step.new) for step in announced[0].works] == [(old, new)]
    after = files_of(dataset)
    assert {name for name in before if after[name] != before[name]} == {"manifest.json", "manifest.sha256", *DERIVED}
    assert {name.split("/")[2] for name in after.keys() - before.keys()} == {new}
    assert set(read_timings(dataset)["ocr"]) == {old, new}
    assert plan(dataset).works == ()
    assert verify(dataset).breaches == []

    with monkeypatch.context() as patch:
        for target, name in ((Tesseract, "load"), (runner, "run_pipeline")):
            patch.setattr(target, name, broken)
        use(dataset, "ocr", old)
        assert refresh(dataset).features == (), "it went forward by itself"
        built(dataset, dumps[0])
        assert current(dataset) == old, "a build went forward by itself"
        (step,) = plan(dataset, sets=[OTHER]).works
        assert (step.new, step.rows, step.why) == (new, 0, "it was computed before")
        assert computed(refresh(dataset, sets=[OTHER])) == 0
        assert current(dataset) == new
        collect_garbage(dataset)
    assert files_of(dataset) == files_of(built(tmp_path / "once", dumps[0], OTHER))


def test_a_dump_added_meanwhile_costs_its_own_pictures_alone_in_either_version(
    dataset: Path, dumps: tuple[Path, Path], tmp_path: Path
) -> None:
    old = current(dataset)
    refresh(dataset, sets=[OTHER])
    new = current(dataset)
    measured = read_timings(dataset)["ocr"][new]["images"]
    built(dataset, dumps[1])
    assert (current(dataset), read_timings(dataset)["ocr"][new]["images"]) == (new, measured + 1)
    use(dataset, "ocr", old)
    assert verify(dataset).breaches == []
    with pytest.raises(UsageError, match="1 pictures have no row of ocr"):
        compact(dataset)
    (step,) = plan(dataset).works
    assert (step.old, step.new, step.rows, step.images) == (old, old, 1, POSTS)
    assert step.why == "1 pictures came to the dataset while another version was current"
    assert computed(refresh(dataset)) == 1
    compact(dataset, SIZES)
    assert verify(dataset).breaches == []
    once = built(tmp_path / "once", dumps[0].with_name("*-dump.jsonl"), rules=[*RULES[:2], *SIZES])
    assert files_of(dataset) == files_of(once)


def test_two_writers_at_once_are_refused_and_so_is_an_unfinished_build(dataset: Path) -> None:
    before = files_of(dataset)
    with Workspace(dataset).locked(), pytest.raises(UsageError, match="another build is writing"):
        refresh(dataset, sets=[OTHER])
    assert not (dataset / ".build").exists()
    Workspace(dataset).begin({"some": "build"})
    with pytest.raises(UsageError, match="unfinished build"):
        refresh(dataset, sets=[OTHER])
    shutil.rmtree(dataset / ".build")
    assert files_of(dataset) == before


@pytest.mark.slow
def test_killed_at_any_shard_the_same_command_goes_on_with_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    undisturbed = shutil.copytree(dataset, tmp_path / "undisturbed")
    refresh(undisturbed, sets=[OTHER])
    words = ["refresh", "--dataset", dataset, "--set", OTHER, "--workers", 1]
    before = files_of(dataset)
    for shards in (1, 2):
        going = subprocess.Popen(
            command("pipeline", *words),
            env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        while len(seen_in(dataset, ".build/receipts/**/[0-9]*.json")) < shards:
            assert going.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
        going.send_signal(signal.SIGKILL)
        going.wait()
        whole = {name: data for name, data in files_of(dataset).items() if not name.startswith(".build/")}
        assert whole == before
        assert verify(dataset).breaches == []
    done = run("pipeline", *words, "--json")
    assert done.code == 0, done.err
    assert list(done.json["refreshed"]) == ["ocr"]
    assert files_of(dataset) == files_of(undisturbed)


def test_the_command_announces_what_it_does_and_prints_one_line_of_json(
    dataset: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    words = ["refresh", "--dataset", str(dataset), "--feature", "ocr", "--set", OTHER, "--workers", "1", "--json"]
    assert main(words) == 0
    assert "options.min_confidence: 0.0 -> 30.0" in caplog.text
    assert json.loads(capsys.readouterr().out)["refreshed"]["ocr"]["computed"] == POSTS - 1
