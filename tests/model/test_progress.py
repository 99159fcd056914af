"""The bar of a training or a prediction."""

import io

import numpy as np
import pytest
import rich.cells
import rich.console

from m3h.model.commands.progress import show_progress, time_left


@pytest.mark.parametrize(
    ("done", "seconds", "left"), [(1, 9.0, "-:--:--"), (4, 9.0, "-:--:--"), (5, 10.0, "0:03:10"), (100, 9.0, "0:00:00")]
)
def test_a_time_left_is_shown_once_a_twentieth_is_done(done: int, seconds: float, left: str) -> None:
    assert time_left(done, 100, seconds) == left


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_drawn_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    file = io.StringIO()
    console = rich.console.Console(file=file, force_terminal=is_terminal, width=80, color_system=None)
    monkeypatch.setattr(rich.console, "Console", lambda stderr: console)
    assert [int(rows[0]) for rows in show_progress([np.array([1]), np.array([2])], "predicting")] == [1, 2]
    drawn = file.getvalue()
    assert all((part in drawn) is is_terminal for part in ("predicting", "100%", "0:00:00"))


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("loading r[/b]un", "loading r[/b]un "),
        ("loading [bold] :smile:", "loading [bold] :smile: "),
        ("loading a\x1b[31mb\nc\u202e", "loading a\\x1b[31mb\\nc\\u202e "),
        ("loading " + "runs/" * 40, "loading runs/runs/run… " + "\u2501"),
        ("loading " + "漢" * 40, "loading 漢漢漢漢漢漢 … "),
    ],
)
def test_any_name_is_shown_as_it_is_and_leaves_room_for_the_numbers(
    monkeypatch: pytest.MonkeyPatch, title: str, shown: str
) -> None:
    """Before, a run whose folder was called `r[/b]un` could not be served from a terminal."""
    file = io.StringIO()
    width = 42 if len(title) > 40 else 80
    console = rich.console.Console(file=file, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(rich.console, "Console", lambda stderr: console)
    assert list(show_progress([1, 2], title)) == [1, 2]
    last = file.getvalue().split("\n")[0].split("\r")[-1]
    assert last.startswith("\x1b[2K" + shown)
    assert last.endswith(" 100% 0:00:00")
    assert rich.cells.cell_len(last.removeprefix("\x1b[2K")) <= width
