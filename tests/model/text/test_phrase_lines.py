"""Files of one post a line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.scoring.predictions import score_files
from m3h.model.text.phrase_lines import read_lines, split_phrases, write_lines
from m3h.schemas.errors import UsageError

LINE = st.text(st.characters(blacklist_characters="\n\ufeff", blacklist_categories=("Cs",)), max_size=20)


@pytest.mark.parametrize("inside", ["\u2028", "\x0b", "\x0c", "\x1c", "\x85", "\r", "\u2029"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(f"a{inside}b\nc\n".encode())
    assert read_lines(path) == [f"a{inside}b", "c"]


@pytest.mark.parametrize(
    ("text", "lines"), [("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\n\n", ["a", ""]), ("\n", [""])]
)
def test_a_final_line_feed_adds_no_line(tmp_path: Path, text: str, lines: list[str]) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(text.encode())
    assert read_lines(path) == lines


@given(st.lists(LINE, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.mktemp("lines") / "lines.txt"
    write_lines(path, lines)
    assert read_lines(path) == lines


def test_an_empty_line_is_one_empty_phrase() -> None:
    assert split_phrases("") == [""]
    assert split_phrases(" a b;;c\r") == ["a b", "", "c"]
    assert split_phrases("a b ;\tc ; d") == ["a b", "c", "d"]


def test_a_byte_order_mark_is_no_part_of_a_phrase(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\xef\xbb\xbfa;b\nc\n")
    assert read_lines(path) == ["a;b", "c"]


def test_white_space_around_phrases_changes_no_score(tmp_path: Path) -> None:
    for name, joined in (("tight", ";"), ("wide", " ; ")):
        write_lines(tmp_path / f"{name}.txt", [joined.join(["storm hour", "sea"]), joined.join(["kca", "vote"])])
    write_lines(tmp_path / "gold.txt", ["sea", "vote;kca"])
    tight, wide = (
        score_files(tmp_path / f"{name}.txt", tmp_path / "gold.txt", None, definition="cmkp")
        for name in ("tight", "wide")
    )
    assert tight == wide


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["id,phrase", "1,storm hour"], "fields between commas"),
        (["1\tstorm hour\t0.3", "2\tsea\t0.1"], "fields between tabs"),
        (['{"phrase": "sea"}'], "JSON"),
    ],
)
def test_a_table_or_json_is_no_file_of_phrases(tmp_path: Path, lines: list[str], found: str) -> None:
    write_lines(tmp_path / "p.txt", lines)
    write_lines(tmp_path / "t.txt", ["a"] * len(lines))
    with pytest.raises(UsageError, match=rf"p\.txt: expected the phrases of one post a line.*found {found}"):
        score_files(tmp_path / "p.txt", tmp_path / "t.txt", None, definition="cmkp")


def test_phrases_with_commas_are_scored(tmp_path: Path) -> None:
    write_lines(tmp_path / "p.txt", ["1,000 miles;sea", "storm, hour"])
    write_lines(tmp_path / "t.txt", ["a", "b"])
    assert score_files(tmp_path / "p.txt", tmp_path / "t.txt", None, definition="cmkp")[0] == 2


def test_files_that_do_not_align_are_reported_with_their_counts(tmp_path: Path) -> None:
    write_lines(tmp_path / "p.txt", ["a"] * 3)
    write_lines(tmp_path / "t.txt", ["a"] * 2)
    with pytest.raises(UsageError, match=r"p\.txt has 3 lines.*t\.txt has 2 lines"):
        score_files(tmp_path / "p.txt", tmp_path / "t.txt", None, definition="cmkp")


def test_a_missing_or_broken_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_lines(tmp_path / "none.txt")
    (tmp_path / "bad.txt").write_bytes(b"ok\n\xff\n")
    with pytest.raises(UsageError, match="not UTF-8 at byte 3"):
        read_lines(tmp_path / "bad.txt")
