"""Versions of features side by side: made current, compared, removed; a dataset in files of another size."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m3h.pipeline.checks.verify import verify
from m3h.pipeline.cli import main
from m3h.pipeline.dataset.derived import DERIVED
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.rules import ShardRules
from m3h.pipeline.versions.compact import compact
from m3h.pipeline.versions.diff import Arrays, Values, diff, two_versions
from m3h.pipeline.versions.history import collect_garbage, use, version_of
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.files import publish_json, read_json, sha256_file
from m3h.schemas.manifest import MANIFEST, MANIFEST_HASH, Manifest
from tests.commands import files_of, run
from tests.pipeline.made import CONFIG, POSTS_MADE, VERSIONS, make

ALL = range(1, POSTS_MADE + 1)
OLD, NEW = (fingerprint for _, fingerprint in VERSIONS[:2])
ONLY_CURRENT = VERSIONS[1:]


def test_another_version_is_used_and_nothing_but_the_manifest_changes(dataset: Path) -> None:
    before = files_of(dataset)
    rows = Dataset(dataset).tensors("grid").arrays["features"]
    assert use(dataset, "grid", "09") == OLD
    assert not np.array_equal(Dataset(dataset).tensors("grid").arrays["features"], rows)
    assert {name for name, data in files_of(dataset).items() if before[name] != data} == {
        "manifest.json", "manifest.sha256", *DERIVED,
    }  # fmt: skip
    assert verify(dataset).breaches == []
    assert Manifest.read(dataset).features["grid"].history == (OLD, NEW)
    assert use(dataset, "grid", "1") == NEW
    assert files_of(dataset) == before


def test_a_manifest_from_before_versions_could_be_gone_back_to_is_completed(dataset: Path) -> None:
    raw = read_json(dataset / MANIFEST)
    raw["notes"] = ["grid has random weights: for trials only."]
    for feature in raw["features"].values():
        del feature["history"]
        for version in feature["versions"].values():
            del version["settings"], version["notes"]
    publish_json(dataset / MANIFEST, raw)
    (dataset / MANIFEST_HASH).write_text(f"{sha256_file(dataset / MANIFEST)}  {MANIFEST}\n")
    assert Manifest.read(dataset).features["grid"].history == (NEW, OLD)
    use(dataset, "grid", OLD)
    assert Manifest.read(dataset).notes == []
    use(dataset, "grid", NEW)
    assert Manifest.read(dataset).notes == ["grid has random weights: for trials only."]
    assert collect_garbage(dataset).versions == (("grid", OLD),)
    assert verify(dataset).breaches == []


@pytest.mark.parametrize(
    ("feature", "prefix", "message"),
    [
        ("grid", "f", f"grid 'f': no version begins so; there are {OLD}, {NEW}."),
        ("grid", "", "grid '': 2 versions begin so"),
        ("gird", "0", "no feature 'gird'; it has grid, words"),
    ],
)
def test_a_version_that_is_not_there_is_said_with_those_that_are(
    whole: Path, feature: str, prefix: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        version_of(Dataset(whole), feature, prefix)


def test_what_is_not_current_goes_with_all_its_files_and_bytes(dataset: Path, tmp_path: Path) -> None:
    before = files_of(dataset)
    planned = collect_garbage(dataset, dry_run=True)
    assert files_of(dataset) == before
    removed = collect_garbage(dataset)
    assert removed == planned
    after = files_of(dataset)
    gone = before.keys() - after.keys()
    assert removed.versions == (("grid", OLD),)
    assert all(OLD in name for name in gone)
    assert (removed.files, removed.bytes) == (len(gone), sum(len(before[name]) for name in gone))
    assert verify(dataset).breaches == []
    assert after == files_of(make(tmp_path / "alone", ALL, versions=ONLY_CURRENT))
    assert collect_garbage(dataset).files == 0


def test_the_versions_that_were_current_last_are_kept(dataset: Path) -> None:
    before = files_of(dataset)
    assert collect_garbage(dataset, keep=1).versions == ()
    assert files_of(dataset) == before
    use(dataset, "grid", OLD)
    assert collect_garbage(dataset, keep=0).versions == (("grid", NEW),)
    assert Dataset(dataset).fingerprint("grid") == OLD


def dying(command: str, dataset: Path, step: int, *words: str) -> dict[str, Any]:
    """A command killed before every step-th change of the file system, and called again, each time on a copy."""
    done = run("tests.pipeline.dying", command, dataset, step, *words)
    assert done.code == 0, done.err
    return done.json


@pytest.mark.parametrize(
    ("command", "step", "words", "kills"),
    [
        ("gc", 4, (), 3),
        pytest.param("gc", 1, (), 12, marks=pytest.mark.slow),
        pytest.param("compact", 6, ("shards.images=7", "shards.posts=9"), 8, marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_moment_the_same_call_finishes(
    dataset: Path, command: str, step: int, words: tuple[str, ...], kills: int
) -> None:
    found = dying(command, dataset, step, *words)
    assert found["killed"] >= kills
    assert found["wrong"] == []


@pytest.mark.parametrize(("images", "posts"), [(7, 6), (4, 9), (7, 9), (100, 100), (1, 1), (4, 6)])
def test_compacted_it_is_what_one_build_with_those_sizes_writes(
    dataset: Path, tmp_path: Path, images: int, posts: int
) -> None:
    compact(dataset, [f"shards.images={images}", f"shards.posts={posts}"])
    config = CONFIG.model_copy(update={"shards": ShardRules(images=images, posts=posts)})
    assert files_of(dataset) == files_of(make(tmp_path / "once", ALL, config=config, versions=ONLY_CURRENT))
    assert verify(dataset).breaches == []
    before = files_of(dataset)
    again = compact(dataset)
    assert (again.removed.versions, again.rewritten) == ((), 0)
    assert files_of(dataset) == before


def test_a_field_that_came_later_is_no_other_rule(dataset: Path) -> None:
    manifest = Manifest.read(dataset)
    del manifest.config["clean"]["quotes"]
    manifest.write(dataset)
    assert compact(dataset, ["shards.images=7"]).rewritten > 0


def test_compact_changes_no_rule_and_makes_up_no_row(dataset: Path) -> None:
    before = files_of(dataset)
    with pytest.raises(UsageError, match=r"only shards\.images and shards\.posts, got a field of clean"):
        compact(dataset, ["clean.min_tokens=9"])
    assert files_of(dataset) == before
    manifest = Manifest.read(dataset)
    lost = f"dropped/grid-{NEW}.parquet"
    (dataset / lost).unlink()
    del manifest.files[lost]
    grid = manifest.features["grid"]
    manifest.features["grid"] = grid.described_as({NEW: replace(grid.versions[NEW], dropped={})})
    manifest.write(dataset)
    with pytest.raises(UsageError, match=f"2 pictures have no row of grid {NEW}, such as [0-9a-f]*; run refresh first"):
        compact(dataset)


@pytest.mark.parametrize(
    "change",
    [
        lambda dataset: use(dataset, "grid", OLD),
        lambda dataset: collect_garbage(dataset),
        lambda dataset: compact(dataset),
    ],
)
def test_an_unfinished_build_and_another_writer_are_not_disturbed(dataset: Path, change: Any) -> None:
    with Workspace(dataset).locked(), pytest.raises(UsageError, match="another build is writing"):
        change(dataset)
    Workspace(dataset).begin({"some": "build"})
    before = files_of(dataset)
    with pytest.raises(UsageError, match="unfinished build"):
        change(dataset)
    assert files_of(dataset) == before


def test_how_far_arrays_moved_by_hand() -> None:
    column = Arrays()
    column.add(np.array([3.0, 4.0]), np.array([3.0, 4.5]))  # moved by 0.5 of 5
    column.add(np.array([0.0, 0.0]), np.array([0.0, -2.0]))  # from nothing: by all of it
    column.add(np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    found = column.summary()
    assert (found["max_abs"], found["mean_abs"]) == (2.0, pytest.approx(2.5 / 6))
    assert found["relative_l2"] == pytest.approx({"mean": 1.1 / 3, "p50": 0.1, "p95": 0.91, "max": 1.0})
    column.add(np.zeros(2), np.zeros(3))
    assert column.summary()["changed"] == "(2,) -> (3,)"


def test_how_far_words_moved_by_hand() -> None:
    column = Values()
    for old, new in ((["a", "b"], ["b", "c"]), ([], []), (["a"], ["a"])):
        column.add(old, new)
    assert column.summary() == {"equal": 2 / 3, "jaccard": pytest.approx((1 / 3 + 1 + 1) / 3)}
    text = Values()
    text.add("a b", "a c")
    assert text.summary() == {"equal": 0.0}


def test_a_diff_of_versions_is_that_of_their_rows_read_at_once(dataset: Path) -> None:
    data = Dataset(dataset)
    assert two_versions(data, "grid") == (OLD, NEW)
    found = diff(data, "grid", OLD, new=NEW)
    new = data.tensors("grid")
    use(dataset, "grid", OLD)
    old = Dataset(dataset).tensors("grid")
    assert new.rows == old.rows
    before, after = (np.asarray(of.arrays["features"], float) for of in (old, new))
    moved = np.abs(after - before)
    relative = np.linalg.norm(moved, axis=(1, 2)) / np.linalg.norm(before, axis=(1, 2))
    assert (found.both, found.only_old, found.only_new) == (len(new.rows), 0, 0)
    assert found.columns["features"] == {
        "max_abs": moved.max(),
        "mean_abs": pytest.approx(moved.mean()),
        "relative_l2": pytest.approx(
            {
                "mean": relative.mean(),
                "p50": np.median(relative),
                "p95": np.percentile(relative, 95),
                "max": relative.max(),
            }
        ),
    }
    same = diff(data, "words", VERSIONS[2][1], new=VERSIONS[2][1])
    assert same.columns["words"] == {"equal": 1.0, "jaccard": 1.0}
    with pytest.raises(UsageError, match=f"expected two versions to compare, the dataset has only {VERSIONS[2][1]}"):
        two_versions(data, "words")


def test_pictures_of_one_version_alone_are_counted(dataset: Path) -> None:
    manifest = Manifest.read(dataset)
    grid = manifest.features["grid"]
    version = grid.versions[OLD]
    first, *_, last = version.shards
    left = version.rows - manifest.files.pop(last).rows
    fewer = replace(version, rows=left, shards=version.shards[:-1], slices=version.slices[:-1])
    manifest.features["grid"] = grid.described_as({OLD: fewer})
    (dataset / last).unlink()
    manifest.write(dataset)
    found = diff(Dataset(dataset), "grid", OLD, new=NEW)
    assert (found.only_old, found.only_new) == (
        0,
        Dataset(dataset).manifest.features["grid"].versions[NEW].rows - found.both,
    )
    assert found.only_new > 0
    (dataset / first).write_bytes(b"")
    with pytest.raises(IntegrityError, match=first):
        diff(Dataset(dataset), "grid", OLD, new=NEW)


def test_the_commands_print_one_line_of_json(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(command: str, *words: str) -> Any:
        assert main([command, "--dataset", str(dataset), *words, "--json"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        return json.loads(line)

    found = said("diff", "--feature", "grid", "1", "0")
    assert (found["old"], found["new"], found["both"]) == (NEW, OLD, POSTS_MADE - 3)
    assert main(["diff", "--dataset", str(dataset), "--feature", "grid", "1"]) == 2
    assert "expected two fingerprints or none, got 1" in capsys.readouterr().err
    assert said("use", "--feature", "grid", "--fingerprint", "0") == {"feature": "grid", "current": OLD}
    assert said("plan")["redo"] == []
    assert said("gc", "--keep", "1")["removed"] == {}
    found = said("compact", "--set", "shards.images=7")
    assert found["removed"] == {"grid": [NEW]}
    assert found["rewritten"] > 0
