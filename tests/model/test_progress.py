"""The bar of a training or a prediction."""

import io

import numpy as np
import pytest
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
