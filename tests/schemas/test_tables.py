"""Tables are aligned, whole and without codes, wherever they go."""

import pytest

from m3h.schemas.tables import format_table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    lines = format_table([("read", 400, ""), ("write", 7, "ok")], headings=("stage", "rows", "left"), right={1})
    assert lines == [
        "stage  rows  left",
        "read    400",
        "write     7  ok",
    ]


def test_without_headings_there_is_no_line_for_them() -> None:
    assert format_table([("a", "bb"), ("ccc", "d")]) == ["a    bb", "ccc  d"]


def test_a_table_of_nothing_is_nothing_and_one_of_headings_is_their_line() -> None:
    assert format_table([]) == []
    assert format_table([], headings=("a", "b")) == ["a  b"]


def test_nothing_is_cut_to_the_width_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    long = "x" * 500
    assert format_table([(long, long)]) == [f"{long}  {long}"]


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "CLICOLOR_FORCE"])
def test_no_colour_and_no_markup(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "1")
    assert format_table([("[red]a[/red]", ":smile:", 3.5)], headings=("[b]", "c", "d")) == [
        "[b]           c        d",
        "[red]a[/red]  :smile:  3.5",
    ]
