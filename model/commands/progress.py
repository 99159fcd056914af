"""How far a training or a prediction is: a bar on stderr if that is a terminal, and nothing elsewhere."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

TOLD_FROM = 0.05
"""The share of the batches after which the time left is shown: the first ones say little."""


def show_progress(batches: "list[np.ndarray]", title: str) -> "Iterable[np.ndarray]":
    """The batches, with a bar of how many of them are done while they are worked on."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class TimeLeft(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            told = task.total is not None and task.completed >= TOLD_FROM * task.total
            return super().render(task) if told else Text("-:--:--", style="progress.remaining")

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from batches
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeLeft())
    with Progress(*columns, console=console, transient=True) as bar:
        yield from bar.track(batches, description=title)
