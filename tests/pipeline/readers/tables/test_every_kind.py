"""A table is the same posts, whatever file it was written to, and each position leads back to its row."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from m3h.pipeline.readers.formats import read_records
from m3h.schemas.posts import Dropped, ImageRef, Post
from tests.pipeline.readers.tables.made import NAMES, PHOTO, ROWS, WRITERS, file, posts, raw, read

BINARY = ("parquet", "feather", "arrow stream", "sqlite")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_table_of_each_kind_by_hand(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path / "dump", NAMES, ROWS)
    found = posts(tmp_path / "dump")
    images = (ImageRef(url=PHOTO),)
    assert found == [
        Post("11", "a long walk #Tide", ("tide",), images, "en", source="detected:dump", position=1),
        Post("12", "the sea, and\nmore of it", (), images, source="detected:dump", position=2),
    ]


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "json by columns"])
def test_a_row_is_a_line_of_json_that_is_read_the_same(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path / "dump", NAMES, ROWS)
    for post in posts(tmp_path / "dump"):
        line = raw(tmp_path / "dump", post.position)
        assert json.loads(line)["text"] == post.text
        assert b"\n" not in line
        (again,) = read_records(line)
        assert isinstance(again, Post)
        assert again.having(source=post.source, position=post.position) == post


@pytest.mark.parametrize("kind", WRITERS)
def test_a_table_may_be_compressed_or_lie_in_an_archive_among_others(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path / "plain", NAMES, ROWS)
    data = (tmp_path / "plain").read_bytes()
    assert [post.post_id for post in posts(file(tmp_path, gzip.compress(data)))] == ["11", "12"]
    with tarfile.open(tmp_path / "dump.tar", "w") as archive:
        for name, content in (("a", data), ("b", b'{"id": 13, "text": "x", "image": "a.jpg"}\n'), ("c", data)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    found = posts(tmp_path / "dump.tar")
    assert [(post.post_id, post.position) for post in found] == [
        *(("11", 1), ("12", 2), ("13", 3)),
        *(("11", 4), ("12", 5)),
    ]
    assert json.loads(raw(tmp_path / "dump.tar", 3)) == {"id": 13, "text": "x", "image": "a.jpg"}


CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.integers(1, 10**19).map(str), CELLS, CELLS, CELLS), min_size=1, max_size=8))
@pytest.mark.parametrize("kind", WRITERS)
def test_any_texts_come_back_as_they_were_written(tmp_path: Path, kind: str, rows: list[tuple[str, ...]]) -> None:
    """As pandas writes them: what holds a separator, a quote or a line end is quoted."""
    WRITERS[kind](tmp_path / "dump", ("id", "text", "image", "more"), rows)
    found = posts(tmp_path / "dump")
    assert [(post.post_id, post.text) for post in found] == [(row[0], row[1]) for row in rows]
    assert [post.position for post in found] == [*range(1, len(rows) + 1)]


@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize("left", [0.5, 0.9])
def test_a_file_that_is_cut_off_says_so_and_ends_nothing(tmp_path: Path, kind: str, left: float) -> None:
    WRITERS[kind](tmp_path / "whole", NAMES, [(str(n), f"text {n} " * 9, PHOTO, "en") for n in range(1, 2000)])
    data = (tmp_path / "whole").read_bytes()
    found = read(file(tmp_path, data[: int(len(data) * left)]))
    assert isinstance(found[-1], Dropped)
    assert found[-1].reason == "unreadable_file"
    assert [record.position for record in found] == [*range(1, len(found) + 1)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
@pytest.mark.parametrize("kind", WRITERS)
def test_a_changed_byte_never_ends_a_build(tmp_path: Path, kind: str, place: int, value: int) -> None:
    WRITERS[kind](tmp_path / "whole", NAMES, ROWS * 4)
    data = bytearray((tmp_path / "whole").read_bytes())
    data[place % len(data)] = value
    found = read(file(tmp_path, bytes(data)))
    assert [record.position for record in found] == [*range(1, len(found) + 1)]


def test_a_table_without_rows_has_no_records(tmp_path: Path) -> None:
    for kind in (*BINARY, "csv", "tsv"):
        WRITERS[kind](tmp_path / "dump", NAMES, ())
        assert read(tmp_path / "dump") == []


@pytest.mark.parametrize("kind", [kind for kind in WRITERS if kind != "json by columns"])
def test_a_table_of_unknown_columns_is_named_once_with_its_columns(tmp_path: Path, kind: str) -> None:
    WRITERS[kind](tmp_path / "dump", ("number", "words"), (("1", "a"), ("2", "b")))
    (found,) = read(tmp_path / "dump")
    assert isinstance(found, Dropped)
    assert found.reason == ("unknown_table" if kind == "sqlite" else "unknown_columns")
    assert "number, words" in found.detail
