"""Word statistics in a mapped file: what was put in is found, a damaged file is made again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.text import statistics_file as module
from m3h.pipeline.text.statistics_file import Entry, StatisticsFile, packed, statistics_file

KEYS = st.binary(max_size=12)
VALUES = st.tuples(st.integers(-1, 2**62), st.floats(0, 1))


@given(st.dictionaries(KEYS, VALUES, max_size=60), st.lists(KEYS, max_size=20))
def test_what_was_put_in_is_found_and_nothing_else(known: dict[bytes, tuple[int, float]], asked: list[bytes]) -> None:
    file = StatisticsFile(packed((key, *value) for key, value in known.items()))
    assert all(file.get(key) == value for key, value in known.items())
    assert all(file.get(key) == known.get(key) for key in asked)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often statistics were made, in a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return []


def entries(made: list[str]) -> Iterator[Entry]:
    made.append("made")
    yield b"night", 7, 0.25


def test_the_file_is_made_once_and_again_where_it_is_damaged(made: list[str]) -> None:
    for _ in range(2):
        assert statistics_file("some", lambda: entries(made)).get(b"night") == (7, 0.25)
    assert made == ["made"]
    (path,) = module.cache_folder().iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:20], whole[:-3] + b"x" + whole[-2:], whole[:60] + b"\xff" + whole[61:]):
        path.write_bytes(damaged)
        assert statistics_file("some", lambda: entries(made)).get(b"night") == (7, 0.25)
        assert path.read_bytes() == whole
    assert len(made) == 6


def test_a_cache_that_cannot_be_written_costs_time_alone(
    made: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert statistics_file("some", lambda: entries(made)).get(b"night") == (7, 0.25)
    assert "made again next time (XDG_CACHE_HOME)" in caplog.text
