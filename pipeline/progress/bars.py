"""The stages on a terminal: a bar each, with rows, speed, time left, and what left."""

import logging
import sys
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

if TYPE_CHECKING:
    from m3h.pipeline.progress.stage import Stage


WIDE = 100
"""Columns from which there is room for a long bar: on a narrower terminal all numbers of a stage come first."""


class Bars:
    """A bar a stage. While it is shown, log lines go above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16 if self._console.width >= WIDE else 6),
            TextColumn("{task.fields[number]}", justify="right"),
            TextColumn("{task.fields[speed]}", justify="right"),
            TextColumn("{task.fields[left]}", justify="right"),
            TextColumn("{task.fields[lost]}", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[reasons]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=self._console,
            expand=True,
            redirect_stdout=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._redirected: list[tuple[logging.StreamHandler[Any], TextIO]] = []

    def __enter__(self) -> "Bars":
        before = sys.stderr
        self._bars.start()  # which puts a writer in the place of sys.stderr
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                handler.setStream(sys.stderr)
                self._redirected.append((handler, before))
        return self

    def __exit__(self, *_: object) -> None:
        for handler, stream in self._redirected:
            handler.setStream(stream)
        self._bars.stop()

    def show(self, stages: list["Stage"], ended: bool) -> None:
        """A bar is there once its stage has begun, and pulses where its length is not known."""
        for stage in stages:
            if stage.name not in self._tasks:
                self._tasks[stage.name] = self._bars.add_task(stage.name, total=None, **_fields(stage))
            total = stage.done if ended else stage.total
            self._bars.update(self._tasks[stage.name], completed=stage.done, total=total, **_fields(stage))


def _fields(stage: "Stage") -> dict[str, Any]:
    total = "" if stage.total is None else f"/{stage.total:,}"
    return {
        "number": f"{stage.done:,}{total}",
        "speed": f"{stage.rate:,.0f}/s" if stage.rate and stage.rate >= 10 else f"{stage.rate or 0:.1f}/s",
        "left": clock(stage.left),
        "lost": f"dropped {stage.lost:,}:" if stage.dropped else "",
        "reasons": stage.reasons(),
    }


def clock(seconds: float | None) -> str:
    """Time left, as hours, minutes and seconds; nothing where there is none left."""
    if seconds is None:
        return "-:--"
    if seconds == 0:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
