"""How far a command is: a bar a stage on a terminal, a log line now and then elsewhere, JSON lines for programs."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO, TypeVar

from m3h.pipeline.progress.bars import Bars
from m3h.pipeline.progress.counts import Count
from m3h.pipeline.progress.displays import Display, JsonLines, LogLines
from m3h.pipeline.progress.stage import Stage
from m3h.schemas.errors import UsageError

T = TypeVar("T")

LOOK_SECONDS = 1.0
WINDOW_SECONDS = 30.0
"""The speed of what goes on is that of the last so many seconds."""

TOLD_FROM = 0.05
"""Of the rows that are open, the share that must be done before the time left is told: the first ones say little."""

Look = Callable[[], Mapping[str, tuple[Count, int | None]]]
"""stage -> (its counts, rows it will have in the end, or None where that is not known), in the order of the stages."""


class Speed:
    """Rows a second of one stage that goes on."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def now(self, count: Count, moment: float) -> float | None:
        """Of the last WINDOW_SECONDS, up to `moment` (seconds since 1970)."""
        if not self._seen:
            self._seen.append((count.began, 0))
        self._seen.append((moment, count.rows))
        while len(self._seen) > 2 and moment - self._seen[1][0] >= WINDOW_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        return (count.rows - before) / (moment - then) if moment > then else None


def average(count: Count) -> float | None:
    """Rows a second of a stage that has ended; None where it took no time that could be measured."""
    seconds = count.ended - count.began
    return count.rows / seconds if seconds > 0 else None


AUTO, JSON, NONE = "auto", "json", "none"


class Watch:
    """Shows what `look` sees while the body of its `with` runs.

    Args:
        look: how far the stages are.
        progress: auto, json (lines on stderr), none, or the path of a file that gets the lines beside the display.
        command: its name, for the JSON lines.
        beside: called at each look.
        alike: whether the rows of a stage take about the same time each. If not, no time left is told.

    Raises:
        UsageError: on entering, where the file cannot be written.
    """

    def __init__(
        self,
        look: Look,
        progress: str = AUTO,
        command: str = "",
        *,
        beside: Callable[[], None] | None = None,
        alike: bool = True,
    ) -> None:
        self._look = look
        self._alike = alike
        self._progress = progress
        self._command = command
        self._beside = beside
        self._speeds: dict[str, Speed] = {}
        self._displays: list[Display] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="progress")
        self._open = ExitStack()

    def __enter__(self) -> "Watch":
        if self._progress == JSON:
            self._displays.append(JsonLines(sys.stderr, self._command))
        elif self._progress != NONE:
            if self._progress != AUTO:
                file = self._open.enter_context(lines_file(self._progress))
                self._displays.append(JsonLines(file, self._command))
            self._displays.append(self._open.enter_context(Bars()) if sys.stderr.isatty() else LogLines())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._open.close()

    def end(self) -> None:
        """Show the last state, once."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            self._show(ended=True)

    def say(self, event: str, fields: Mapping[str, Any]) -> None:
        """One more line for programs."""
        for display in self._displays:
            if isinstance(display, JsonLines):
                display.write(event, fields)

    def _follow(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._show(ended=False)

    def _show(self, ended: bool) -> None:
        if self._beside:
            self._beside()
        stages = [self._stage(name, count, total, ended=ended) for name, (count, total) in self._look().items()]
        for display in self._displays:
            display.show(stages, ended)

    def _stage(self, name: str, count: Count, total: int | None, *, ended: bool) -> Stage:
        open_rows = None if total is None else max(0, total - count.rows - count.copied)
        over = ended or open_rows == 0
        rate = average(count) if over else self._speeds.setdefault(name, Speed()).now(count, time.time())
        is_told = self._alike and open_rows is not None and count.rows >= TOLD_FROM * open_rows
        left = open_rows / rate if rate and open_rows is not None and is_told else None
        return Stage(
            name, count.rows, count.copied, total, rate, 0.0 if over else left, dict(sorted(count.dropped.items()))
        )


@contextmanager
def lines_file(path: str) -> Iterator[TextIO]:
    """A file for JSON lines, made anew. UsageError where it cannot be written."""
    try:
        file = open(path, "w", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"--progress {path}: expected auto, json, none or a file: {error.strerror}.") from error
    with file:
        yield file


@contextmanager
def watched(what: str, total: int | None, done: Callable[[], int], *, alike: bool = True) -> Iterator[None]:
    """Show how far something is while the body runs.

    Args:
        what: the name of the stage.
        total: how many there will be, None where it is not known.
        done: how many there are now.
        alike: as for `Watch`.
    """
    began = time.time()

    def look() -> dict[str, tuple[Count, int | None]]:
        return {what: (Count(done(), began=began, ended=time.time()), total)}

    with Watch(look, alike=alike):
        yield


def tracked(what: str, items: Collection[T], *, alike: bool = True) -> Iterator[T]:
    """The items one after the other, with a display of how many of them are done.

    Args:
        what: the name of the stage.
        items: all of them.
        alike: as for `Watch`.
    """
    done = 0
    with watched(what, len(items), lambda: done, alike=alike):
        for item in items:
            yield item
            done += 1
