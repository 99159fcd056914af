"""What a manifest says of features: read as it was written, or refused in one line that names the field."""

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.schemas.errors import IntegrityError
from m3h.schemas.feature_versions import FeatureVersion, FeatureVersions, Slice, read_features
from m3h.schemas.files import json_text, read_json, sha256_file
from m3h.schemas.manifest import MANIFEST, MANIFEST_HASH, FileEntry, Manifest

OLD, NEW = "a" * 16, "b" * 16
PATH = Path("dataset/manifest.json")


def version(print_: str, rows: int = 3) -> FeatureVersion:
    shards = tuple(f"features/grid/{print_}/shard-{i:05d}-of-00002.h5" for i in range(2))
    slices = (Slice("00", "d0"), Slice("77", "d1"))
    return FeatureVersion(rows, {"broken": 1}, shards, slices, {"seed": 2}, {"scale": [1, 2]}, ("grid is random.",))


GRID = FeatureVersions(NEW, (NEW, OLD), {OLD: version(OLD), NEW: version(NEW)})


def whole() -> dict[str, Any]:
    """The JSON of a manifest with one feature of two versions."""
    shards = [shard for one in GRID.versions.values() for shard in one.shards]
    manifest = Manifest(features={"grid": GRID}, files={shard: FileEntry("ab", 1, 1) for shard in shards})
    return json.loads(json_text(asdict(manifest)))


def read(entry: Any, **rest: Any) -> FeatureVersions:
    return read_features({"config": {}, "notes": [], **rest, "features": {"grid": entry}}, PATH)["grid"]


def entry() -> Any:
    return whole()["features"]["grid"]


def test_it_is_read_as_it_was_written() -> None:
    assert read(entry()) == GRID
    assert Manifest.of(whole(), PATH).features == {"grid": GRID}


def test_the_current_version_and_where_it_came_from() -> None:
    assert GRID.current_version == GRID.versions[NEW]
    assert not GRID.is_imported
    imported = FeatureVersions.first(NEW, FeatureVersion(0, {}, (), (), {"imported": "cmkp"}, {}, ()))
    assert imported.is_imported


def test_versions_come_become_current_and_go() -> None:
    assert GRID.made_current(OLD).history == (OLD, NEW)
    assert GRID.made_current(OLD).made_current(NEW) == GRID
    newest = GRID.added("c" * 16, version("c" * 16))
    assert (newest.current, newest.history) == ("c" * 16, ("c" * 16, NEW, OLD))
    assert newest.kept(1) == FeatureVersions.first("c" * 16, version("c" * 16))
    assert newest.kept(9) == newest
    other = GRID.described_as({OLD: version(OLD, rows=7)})
    assert (other.current, other.history, other.versions[OLD].rows) == (NEW, (NEW, OLD), 7)
    assert GRID.versions[OLD].rows == 3


@pytest.mark.parametrize("imported", [False, True])
def test_what_manifests_once_left_out_is_completed_from_the_rest(imported: bool) -> None:
    old = entry()
    del old["history"]
    for described in old["versions"].values():
        del described["settings"], described["notes"]
        described["parts"] = {"imported": "cmkp"} if imported else {}
    settings, notes = {"grid": {"scale": 3}}, ["grid is random.", "words are few."]
    found = read(old, config={"features": settings}, notes=notes)
    assert found.history == (NEW, OLD)
    assert found.versions[NEW].settings == ({} if imported else settings["grid"])
    assert found.versions[NEW].notes == ("grid is random.",)
    assert (found.versions[OLD].settings, found.versions[OLD].notes) == ({}, ())


V = f"features.grid.versions.{NEW}"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((), 7, "features.grid: expected an object, found 7"),
        (("current",), OLD[1:], f"features.grid.current: expected one of its versions ({OLD}, {NEW}), found"),
        (("current",), None, "features.grid.current: expected a string, found None"),
        (("current",), OLD, f"features.grid.history: expected each of its versions once, {OLD} first"),
        (("history",), [NEW], f"features.grid.history: expected each of its versions once, {NEW} first"),
        (("history",), [NEW, OLD, "c"], f"features.grid.history: expected each of its versions once, {NEW} first"),
        (("history",), NEW, "features.grid.history: expected a list, found"),
        (("newer",), NEW, "features.grid.newer: expected no such field, found"),
        (("versions", NEW, "rows"), -1, f"{V}.rows: expected a whole number that is not negative, found -1"),
        (("versions", NEW, "rows"), True, f"{V}.rows: expected a whole number that is not negative, found True"),
        (("versions", NEW, "rows"), 3.0, f"{V}.rows: expected a whole number that is not negative, found 3.0"),
        (("versions", NEW, "dropped", "broken"), "1", f"{V}.dropped.broken: expected a whole number"),
        (("versions", NEW, "shards"), ["x"], f"{V}.slices: expected one for each of the 1 shards"),
        (("versions", NEW, "shards", 1), 5, f"{V}.shards.1: expected a string, found 5"),
        (("versions", NEW, "slices", 0), {"first": "00"}, f"{V}.slices.0: expected a field 'slice', found"),
        (("versions", NEW, "parts"), [], f"{V}.parts: expected an object, found []"),
        (("versions", NEW), {}, f"{V}: expected a field 'rows', found {{}}"),
    ],
)  # fmt: skip
def test_what_no_build_writes_is_one_line_with_the_field(place: tuple[Any, ...], value: Any, message: str) -> None:
    holder: Any = {"grid": entry()}
    *steps, last = ("grid", *place)
    changed = holder
    for step in steps:
        changed = changed[step]
    changed[last] = value
    with pytest.raises(IntegrityError) as error:
        read(holder["grid"])
    assert str(error.value).startswith(f"{PATH}: not what a build writes: {message}")
    assert str(error.value).endswith(". Restore the file, or build the dataset anew.")
    assert "\n" not in str(error.value)


def test_a_shard_that_the_manifest_does_not_list_is_named() -> None:
    raw = whole()
    shard = GRID.versions[OLD].shards[1]
    del raw["files"][shard]
    with pytest.raises(IntegrityError, match=rf"{OLD}\.shards: expected names of `files`, found '{shard}'"):
        Manifest.of(raw, PATH)


@pytest.mark.parametrize("name", ["config", "inputs", "text", "counts", "lineage", "files", "features", "notes"])
def test_every_part_of_a_manifest_is_of_its_kind(name: str) -> None:
    with pytest.raises(IntegrityError, match=rf"{name}: expected .*, found 7\."):
        Manifest.of({**whole(), name: 7}, PATH)
    raw = whole()
    del raw[name]
    with pytest.raises(IntegrityError, match=name):
        Manifest.of(raw, PATH)


NAMES = st.sampled_from(["", "rows", "first", OLD, NEW])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)


@st.composite
def mutations(draw: st.DrawFn) -> Any:
    """An entry with one to three of its values replaced, removed, added, or repeated."""
    holder: Any = {"entry": entry()}
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(holder))
        container, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(("replace", "remove", "add", "exchange")))
        other, other_key = draw(st.sampled_from(places))
        if kind == "replace" or container is holder:
            container[key] = draw(JSON)
        elif kind == "remove":
            del container[key]
        elif kind == "exchange":
            container[key] = copy.deepcopy(other[other_key])
        elif isinstance(container, list):
            container.append(draw(JSON))
        else:
            container[draw(st.sampled_from(["rows", "notes", "x", NEW, OLD]))] = draw(JSON)
    return holder["entry"]


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def completed(raw: Any) -> Any:
    """An entry with what may be left out of it."""
    others = sorted(name for name in raw["versions"] if name != raw["current"])
    versions = {name: {"settings": {}, "notes": [], **one} for name, one in raw["versions"].items()}
    return {"history": [raw["current"], *others], **raw, "versions": versions}


@settings(max_examples=400, deadline=None)
@given(mutations())
def test_any_mutation_is_read_as_it_stands_or_is_refused(mutated: Any) -> None:
    text = json_text(mutated)
    try:
        found = read(json.loads(text))
    except IntegrityError:
        return
    assert json.loads(json_text(asdict(found))) == completed(mutated)
    assert read(json.loads(json_text(asdict(found)))) == found


@settings(max_examples=100, deadline=None)
@given(mutations())
def test_so_is_a_whole_manifest_whose_hash_agrees(tmp_path_factory: pytest.TempPathFactory, mutated: Any) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    raw = whole()
    raw["features"]["grid"] = mutated
    (folder / MANIFEST).write_text(json_text(raw))
    (folder / MANIFEST_HASH).write_text(f"{sha256_file(folder / MANIFEST)}  {MANIFEST}\n")
    try:
        found = Manifest.read(folder)
    except IntegrityError:
        return
    found.write(folder)
    raw["features"]["grid"] = completed(mutated)
    assert read_json(folder / MANIFEST) == raw
