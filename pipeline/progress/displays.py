"""Where progress is shown: log lines, JSON lines; bars have a file of their own."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

from m3h.pipeline.progress.stage import Stage
from m3h.schemas.console import json_line

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 15.0


class Display(Protocol):
    """Shows the stages again and again. ended: for the last time."""

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
        self._file.write(json_line(line, self._file) + "\n")
        self._file.flush()
