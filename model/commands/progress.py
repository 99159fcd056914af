"""How far a training or a prediction is: a bar on stderr if that is a terminal, and nothing elsewhere."""

import time
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")

TOLD_FROM = 0.05
"""The share of the batches after which the time left is shown: the first ones say little."""


def show_progress(batches: list[T], title: str) -> Iterable[T]:
    """The batches, or other parts of the work, with a bar of how many of them are done while they are worked on."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from batches
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task, began = bar.add_task(title, total=len(batches), left="-:--:--"), time.monotonic()
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
