"""Fingerprints change with every knob, and rows are checked against their spec."""

import random
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.schemas import features
from m3h.schemas.errors import FeatureError
from m3h.schemas.features import ArraySpec, FeatureSpec, canonical_json, fingerprint

GRID = FeatureSpec("grid", arrays=(ArraySpec("features", (2, 3)), ArraySpec("count", (), "int32")))
WORDS = FeatureSpec("ocr", columns=(("tokens", pa.list_(pa.string())), ("text", pa.string())))
PARTS = {"weights": "sha256:ab", "threshold": 0.5, "resize": {"side": 224, "filter": "bilinear"}}


def test_a_fingerprint_is_16_hex_digits_and_stable_across_releases():
    assert re.fullmatch("[0-9a-f]{16}", fingerprint(GRID, PARTS))
    assert fingerprint(GRID, PARTS) == fingerprint(replace(GRID), dict(PARTS))


@pytest.mark.parametrize(
    "other",
    [
        replace(GRID, name="grids"),
        replace(GRID, version=2),
        replace(GRID, arrays=GRID.arrays[:1]),
        replace(GRID, arrays=(replace(GRID.arrays[0], dtype="float32"), GRID.arrays[1])),
        replace(GRID, arrays=(replace(GRID.arrays[0], shape=(3, 2)), GRID.arrays[1])),
        replace(GRID, arrays=(replace(GRID.arrays[0], name="feature"), GRID.arrays[1])),
        replace(GRID, arrays=(), columns=WORDS.columns),
    ],
)
def test_any_change_of_the_spec_changes_the_fingerprint(other):
    assert fingerprint(other, PARTS) != fingerprint(GRID, PARTS)


def test_the_type_of_a_column_is_part_of_the_fingerprint():
    other = replace(WORDS, columns=(("tokens", pa.list_(pa.string())), ("text", pa.large_string())))
    assert fingerprint(other, PARTS) != fingerprint(WORDS, PARTS)


@pytest.mark.parametrize(
    "parts",
    [
        {**PARTS, "weights": "sha256:ac"},
        {**PARTS, "threshold": 0.25},
        {**PARTS, "resize": {"side": 225, "filter": "bilinear"}},
        {**PARTS, "resize": {"side": 224, "filter": "bicubic"}},
        {**PARTS, "new": None},
        {name: PARTS[name] for name in ("weights", "threshold")},
        {},
    ],
)
def test_any_change_of_a_part_changes_the_fingerprint(parts):
    assert fingerprint(GRID, parts) != fingerprint(GRID, PARTS)


def test_the_schema_version_is_part_of_the_fingerprint(monkeypatch):
    before = fingerprint(GRID, PARTS)
    monkeypatch.setattr(features, "SCHEMA_VERSION", features.SCHEMA_VERSION + 1)
    assert fingerprint(GRID, PARTS) != before


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4),
    max_leaves=10,
)


def shuffled(value, rng):
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    rng.shuffle(items)
    return {key: shuffled(inner, rng) for key, inner in items}


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), VALUES, max_size=5), st.integers(0, 99))
def test_the_order_of_keys_does_not_matter(parts, seed):
    other = shuffled(parts, random.Random(seed))
    assert fingerprint(GRID, other) == fingerprint(GRID, parts)
    assert canonical_json(other) == canonical_json(parts)


def good_row():
    return {"features": np.zeros((2, 3), np.float32), "count": np.int32(2)}


def test_a_row_as_promised_passes():
    GRID.check(good_row(), "ab12")
    WORDS.check({"tokens": ["a"], "text": "a"}, "ab12")


@pytest.mark.parametrize(
    ("spec", "row", "expected"),
    [
        (
            GRID,
            {"features": np.zeros((2, 3))},
            "grid v1, image ab12: expected ['count', 'features'], got ['features']. Fix the extractor.",
        ),
        (
            WORDS,
            {"tokens": [], "text": "", "boxes": []},
            "ocr v1, image ab12: expected ['text', 'tokens'], got ['boxes', 'text', 'tokens']. Fix the extractor.",
        ),
        (
            GRID,
            {**good_row(), "features": np.zeros((3, 2))},
            "grid v1, image ab12: expected features(2, 3), got features(3, 2). "
            "Fix the extractor, or bump its version and rebuild the shards.",
        ),
        (
            GRID,
            {**good_row(), "features": np.full((2, 3), np.nan)},
            "grid v1, image ab12: features has values that are not finite as float16. "
            "Check the weights, or store it as float32.",
        ),
    ],
)
def test_a_broken_promise_says_what_was_expected_and_what_came(spec, row, expected):
    with pytest.raises(FeatureError) as caught:
        spec.check(row, "ab12")
    assert str(caught.value) == expected


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_value_too_large_for_how_it_is_stored_is_found():
    row = {**good_row(), "features": np.full((2, 3), 65520.0, np.float32)}  # the first float16 rounds to infinity
    with pytest.raises(FeatureError, match="not finite as float16"):
        GRID.check(row, "ab12")
    GRID.check({**row, "features": np.full((2, 3), 65519.0, np.float32)}, "ab12")


def test_table_shards_are_keyed_by_image():
    assert WORDS.table_schema().names == ["image_sha256", "tokens", "text"]
    assert (WORDS.suffix, GRID.suffix) == (".parquet", ".h5")
