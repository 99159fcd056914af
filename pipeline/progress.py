"""How far a command is: a bar a stage on a terminal, a log line now and then elsewhere, JSON lines for programs."""

import json
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from pipeline.bars import Bars
from pipeline.tally import Count
from schemas.errors import UsageError

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
LOG_EVERY_SECONDS = 15.0
WINDOW_SECONDS = 30.0
"""The speed of what goes on is that of the last so many seconds."""

Look = Callable[[], Mapping[str, tuple[Count, int | None]]]
"""stage -> (its counts, rows it will have in the end, or None where nobody knows), in the order of the stages."""


@dataclass(frozen=True)
class Stage:
    """One stage as it is shown.

    rows: done now; copied: known before. total: of both in the end. rate: rows a second; left: seconds; None where
    nobody knows. dropped: rows that left here, by reason.
    """

    name: str
    rows: int
    copied: int = 0
    total: int | None = None
    rate: float | None = None
    left: float | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Rows that need no more work."""
        return self.rows + self.copied

    def as_json(self) -> dict[str, Any]:
        """Fields of a JSON line."""
        return {
            "stage": self.name, "rows": self.rows, "copied": self.copied, "total": self.total,
            "rate": _rounded(self.rate), "left": _rounded(self.left), "dropped": dict(self.dropped),
        }  # fmt: skip

    def text(self) -> str:
        """A log line."""
        parts = [f"{self.name}: {self.done} of {'?' if self.total is None else self.total}"]
        parts += [f"{self.rate:.1f}/s"] if self.rate else []
        parts += [f"{self.left:.0f} s left"] if self.left else []
        return ", ".join([*parts, *([self.losses()] if self.dropped else [])])

    def losses(self) -> str:
        """What left, the most frequent reason first."""
        ordered = sorted(self.dropped.items(), key=lambda item: (-item[1], item[0]))
        return f"dropped {sum(self.dropped.values())}: " + ", ".join(f"{reason} {n}" for reason, n in ordered)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


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


class Display(Protocol):
    """Somebody who is shown the stages again and again. ended: for the last time."""

    def show(self, stages: list[Stage], ended: bool) -> None:
        """Now and then, from one thread at a time."""
        ...


class LogLines:
    """A log line a stage now and then, of those that went on meanwhile; nothing about a short run."""

    def __init__(self) -> None:
        self._shown: dict[str, int] = {}
        self._last = time.monotonic()

    def show(self, stages: list[Stage], ended: bool) -> None:
        """Unless the last lines are fresh."""
        if ended or time.monotonic() - self._last < LOG_EVERY_SECONDS:
            return
        self._last = time.monotonic()
        for stage in stages:
            if self._shown.get(stage.name) != stage.done:
                log.info("%s", stage.text())
            self._shown[stage.name] = stage.done


class JsonLines:
    """A line a stage whenever it has changed, and for every stage in the end."""

    def __init__(self, file: TextIO, command: str) -> None:
        self._file = file
        self._command = command
        self._shown: dict[str, Stage] = {}
        self._started = time.monotonic()

    def show(self, stages: list[Stage], ended: bool) -> None:
        """What is new."""
        for stage in stages:
            before = self._shown.get(stage.name)
            if ended or before is None or (before.done, before.total) != (stage.done, stage.total):
                self.write("progress", stage.as_json())
            self._shown[stage.name] = stage

    def write(self, event: str, fields: Mapping[str, Any]) -> None:
        """One line, seen at once."""
        seconds = round(time.monotonic() - self._started, 2)
        line = {"event": event, "command": self._command, "seconds": seconds, **fields}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()


AUTO, JSON, NONE = "auto", "json", "none"


class Watch:
    """Shows what `look` sees while the body of its `with` runs.

    progress: auto, json (lines on stderr), none, or the path of a file that gets the lines beside the display.
    beside: called at each look.
    """

    def __init__(
        self, look: Look, progress: str = AUTO, command: str = "", beside: Callable[[], None] | None = None
    ) -> None:
        self._look = look
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
        stages = [self._stage(name, count, total, ended) for name, (count, total) in self._look().items()]
        for display in self._displays:
            display.show(stages, ended)

    def _stage(self, name: str, count: Count, total: int | None, ended: bool) -> Stage:
        open_rows = None if total is None else max(0, total - count.rows - count.copied)
        over = ended or open_rows == 0
        rate = average(count) if over else self._speeds.setdefault(name, Speed()).now(count, time.time())
        left = open_rows / rate if rate and open_rows is not None else None
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
def watched(what: str, total: int | None, done: Callable[[], int]) -> Iterator[None]:
    """Show `done()` of `total` (None where it is not known) while the body runs."""
    began = time.time()

    def look() -> dict[str, tuple[Count, int | None]]:
        return {what: (Count(done(), began=began, ended=time.time()), total)}

    with Watch(look):
        yield
