"""Law 4: a change of one knob redoes exactly what depends on it, and says so before."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.derived import DERIVED
from m3h.pipeline.dataset.timings import SPEEDS, read_timings, seconds_for
from m3h.pipeline.engine import extract_job
from m3h.pipeline.extractors import EXTRACTORS, extractor_class, make_extractor
from m3h.pipeline.versions.plan import IMPORTED, NEW, REDO, STANDS, Change, Plan, Step, duration, format_plan, plan
from m3h.pipeline.versions.refresh import refresh
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row
from m3h.schemas.files import publish_json
from m3h.schemas.manifest import Manifest
from tests.commands import files_of
from tests.pipeline.versions.knobs import FEATURES, KNOBS, World, copied, dataset_with_all, zero_row


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    return dataset_with_all(tmp_path_factory.mktemp("all"))


@pytest.fixture
def world(original: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return copied(original, tmp_path, monkeypatch)


def redone(world: World, sets: Sequence[str]) -> set[str]:
    return {step.feature for step in plan(world.folder / "dataset", sets=sets).works}


@pytest.mark.parametrize("knob", KNOBS)
def test_each_knob_redoes_exactly_what_depends_on_it(world: World, knob: str) -> None:
    turn, expected = KNOBS[knob]
    before = files_of(world.folder / "dataset")
    assert redone(world, list(turn(world))) == expected
    assert files_of(world.folder / "dataset") == before, "a plan wrote something"


def test_every_feature_has_knobs() -> None:
    assert set(FEATURES) <= set(EXTRACTORS)
    assert all(sum(name in expected for _, expected in KNOBS.values()) >= 3 for name in FEATURES)


@pytest.mark.slow
@pytest.mark.parametrize("knob", KNOBS)
def test_what_is_announced_is_done_and_nothing_else(world: World, knob: str) -> None:
    """Rows are zeros here: which features are done is looked at, not what is in them."""
    turn, expected = KNOBS[knob]
    for name in FEATURES:
        kind = extractor_class(name)
        for method in ("require", "fetch", "load", "prepare"):
            world.patch.setattr(kind, method, nothing)
        world.patch.setattr(kind, "extract", zeros)
    extract_job._loaded.cache_clear()
    dataset = world.folder / "dataset"
    before, known = files_of(dataset), Manifest.read(dataset)
    done = refresh(dataset, sets=list(turn(world)))
    assert {feature.name for feature in done.features} == expected
    assert all(sum(receipt.computed for receipt in feature.receipts) == 5 for feature in done.features)
    after = files_of(dataset)
    manifests = {"manifest.json", "manifest.sha256", *DERIVED}
    assert {name for name in before if after[name] != before[name]} == (manifests if expected else set())
    assert {name.split("/")[1] for name in after.keys() - before.keys()} == expected
    assert all(set(known.features[n].versions) < set(Manifest.read(dataset).features[n].versions) for n in expected)
    assert verify(dataset).breaches == []
    assert refresh(dataset).features == (), "what was refreshed is to be refreshed again"


def nothing(*_: Any) -> None:
    return


def zeros(self: Any, inputs: Sequence[Any]) -> list[Row]:
    return [zero_row(self.spec) for _ in inputs]


def test_features_that_share_passes_are_not_counted_twice() -> None:
    """`whole` of one of them makes other batches."""

    def seconds(**settings: Any) -> float | None:
        steps = [Step("ocr", REDO, seconds=10.0)]
        for name, took, own in (("backbone", 60.0, settings), ("backbone_labels", 50.0, {})):
            network = {"network": "torchvision:shufflenet_v2_x0_5", "weights": "random"}
            extractor = make_extractor(name, extractor_class(name).Settings(**network, **own))
            steps.append(Step(name, REDO, seconds=took, extractor=extractor))
        return Plan(Manifest(), BuildConfig(), tuple(steps)).seconds(workers=2)

    assert seconds() == (10 + 60) / 2
    assert seconds(whole=True) == (10 + 60 + 50) / 2


def test_the_reason_the_rows_and_the_time_are_told(world: World) -> None:
    dataset = world.folder / "dataset"
    current = Manifest.read(dataset).features["ocr"].current
    publish_json(dataset / SPEEDS, {"ocr": {current: {"images": 4, "seconds": 2.0}}})
    found = plan(dataset, sets=["features.ocr.min_confidence=30", "features.vgg_grid.store=float32"])
    ocr, grid, objects = (next(s for s in found.steps if s.feature == n) for n in ("ocr", "vgg_grid", "butd_objects"))
    assert (ocr.state, ocr.old, ocr.rows, ocr.images, ocr.seconds) == (REDO, current, 5, 5, 2.5)
    assert ocr.changes == (Change("options.min_confidence", 0.0, 30.0),)
    assert [change.part for change in grid.changes] == ["spec.arrays"]
    assert (grid.seconds, found.seconds(workers=2)) == (None, None)
    assert (objects.state, objects.old == objects.new) == (STANDS, True)
    lines = format_plan(found, workers=1).splitlines()
    assert f"butd_objects: stands ({objects.old})" in lines
    assert "ocr: redo, 5 of 5 pictures, about 2 s" in lines
    assert f"  {current} -> {ocr.new}" in lines
    assert "  options.min_confidence: 0.0 -> 30.0" in lines
    assert "vgg_grid: redo, 5 of 5 pictures, time not known yet" in lines
    summary = found.summary(workers=1)
    assert summary["redo"] == ["ocr", "vgg_grid"]
    assert summary["features"]["ocr"]["changes"] == [{"part": "options.min_confidence", "from": 0.0, "to": 30.0}]


def test_a_configuration_file_goes_over_the_datasets_own(world: World) -> None:
    file = world.folder / "build.yaml"
    file.write_text("features: {ocr: {min_confidence: 30}}\n")
    found = plan(world.folder / "dataset", config=file)
    assert [step.feature for step in found.works] == ["ocr"]
    file.write_text("features: {ocr: {min_confidnce: 30}}\n")
    with pytest.raises(UsageError, match="no field 'features"):
        plan(world.folder / "dataset", config=file)


@pytest.mark.parametrize(
    ("sets", "names", "message"),
    [
        (
            ["clean.min_tokens=9"],
            (),
            "clean.min_tokens: .* was built with 4, and only features can be computed again, got 9",
        ),
        ([], ("ocrr",), "no extractor named 'ocrr'. Did you mean 'ocr'"),
        (["features.ocr.mode=3"], (), "no field 'features.ocr.mode'"),
    ],
)
def test_what_no_refresh_can_do_is_wrong_use(
    world: World, sets: list[str], names: tuple[str, ...], message: str
) -> None:
    before = files_of(world.folder / "dataset")
    with pytest.raises(UsageError, match=message):
        refresh(world.folder / "dataset", names, sets=sets)
    assert files_of(world.folder / "dataset") == before


def test_weights_that_are_gone_are_said_and_stop_what_needs_them_alone(world: World) -> None:
    dataset = world.folder / "dataset"
    sets = ["features.vgg_grid.weights=lost.pth"]
    (step,) = (step for step in plan(dataset, sets=sets).steps if step.feature == "vgg_grid")
    assert step.state == "blocked"
    with pytest.raises(UsageError, match="feature vgg_grid: weights lost"):
        refresh(dataset, sets=sets)
    assert refresh(dataset, ["ocr"], sets=sets).features == ()


def test_an_extractor_that_is_not_installed_blocks_its_feature_alone(world: World) -> None:
    def missing(*_: Any) -> None:
        raise UsageError("feature vgg_grid: its library is not installed.")

    world.patch.setattr(extractor_class("vgg_grid"), "__init__", missing)
    found = plan(world.folder / "dataset", sets=["features.ocr.min_confidence=30"])
    assert {step.feature: step.state for step in found.steps if step.state != STANDS} == {
        "ocr": REDO, "vgg_grid": "blocked",
    }  # fmt: skip
    assert "vgg_grid: blocked (its library is not installed)" in format_plan(found, workers=1).splitlines()


def test_what_came_with_the_source_stands_and_is_never_done_again(world: World) -> None:
    dataset = world.folder / "dataset"
    manifest = Manifest.read(dataset)
    known = manifest.features["ocr"]
    imported = replace(known.current_version, parts={"imported": "cmkp", "files": {}})
    manifest.features["ocr"] = known.described_as({known.current: imported})
    manifest.write(dataset)
    sets = ["features.ocr.min_confidence=30"]
    assert next(step for step in plan(dataset, sets=sets).steps if step.feature == "ocr").state == IMPORTED
    assert refresh(dataset, sets=sets).features == ()
    with pytest.raises(UsageError, match="feature ocr: it came with the dataset's source"):
        refresh(dataset, ["ocr"], sets=sets)


def test_a_feature_that_is_not_there_yet_is_planned_when_it_is_named(world: World) -> None:
    dataset = world.folder / "dataset"
    manifest = Manifest.read(dataset)
    gone = manifest.features.pop("ocr").current
    manifest.files = {name: entry for name, entry in manifest.files.items() if gone not in name}
    manifest.write(dataset)
    assert [step.feature for step in plan(dataset).steps] == ["attributes", "butd_objects", "vgg_grid"]
    (step,) = plan(dataset, ["ocr"]).steps
    assert (step.state, step.old, step.new, step.rows) == (NEW, "", gone, 5)


def test_posts_that_would_be_read_otherwise_are_told_but_left(world: World) -> None:
    world.patch.setattr("m3h.pipeline.text.tokenizer.TEXT_VERSION", 99)
    assert any(
        note.startswith("posts: text.version was 1 and is 99 now") for note in plan(world.folder / "dataset").notes
    )


def test_speeds_are_those_of_the_fingerprint_or_else_of_the_feature(tmp_path: Path) -> None:
    speeds = {"ocr": {"a": {"images": 10, "seconds": 20.0}, "b": {"images": 30, "seconds": 20.0}}}
    assert seconds_for(speeds, "ocr", "a", images=7) == 14.0
    assert seconds_for(speeds, "ocr", "c", images=7) == 7.0
    assert seconds_for(speeds, "vgg_grid", "a", images=7) is None
    assert seconds_for(speeds, "vgg_grid", "a", images=0) == 0.0
    (tmp_path / SPEEDS).write_text("{")
    assert read_timings(tmp_path) == {}


def test_durations_are_rough() -> None:
    assert [duration(s) for s in (None, 3.2, 119, 150, 7200)] == [
        "time not known yet", "about 3 s", "about 119 s", "about 2 min", "about 2 h",
    ]  # fmt: skip
