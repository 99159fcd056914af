"""How far a training or a prediction is: a bar on stderr if that is a terminal, and nothing elsewhere."""

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

from m3h.schemas.console import one_line

T = TypeVar("T")

TOLD_FROM = 0.05
"""The share of the batches after which the time left is shown: the first ones say little."""
_WIDE, _LONG, _SHORT = 80, 20, 6
"""Columns of a terminal from which there is room for a long bar, and those of a long and of a short one."""
_NUMBERS = len(" ") + len(" 100%") + len(" -:--:--")
"""Columns of what stands beside title and bar, which is always whole."""


def show_progress(batches: list[T], title: str) -> Iterable[T]:
    """The batches, or other parts of the work, with a bar of how many of them are done while they are worked on.

    Args:
        batches: of the work.
        title: what is done, and to what. A name in it is shown as it is: it has no markup, and steers no terminal.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.text import Text

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from batches
        return
    length, about = _LONG if console.width >= _WIDE else _SHORT, Text(one_line(title))
    about.truncate(max(1, console.width - length - _NUMBERS), overflow="ellipsis")
    columns = (TextColumn("{task.description}", markup=False), BarColumn(length), TaskProgressColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=console, transient=True) as bar:
        task, began = bar.add_task(about.plain, total=len(batches), left="-:--:--"), time.monotonic()
        for done, rows in enumerate(batches, start=1):
            yield rows
            bar.update(task, completed=done, left=time_left(done, len(batches), time.monotonic() - began))


def time_left(done: int, total: int, seconds: float) -> str:
    """Hours, minutes and seconds that the rest will take; dashes while too few are done.

    Args:
        done: batches, at least one.
        total: batches.
        seconds: what those that are done took.
    """
    if done < TOLD_FROM * total:
        return "-:--:--"
    return str(timedelta(seconds=round(seconds / done * (total - done))))
