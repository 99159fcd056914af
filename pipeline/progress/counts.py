"""How far each stage is: every process that works on a run keeps its counts in one small file, and the monitor adds
them up.

Files, because worker processes and other machines share no memory with the command, but always the dataset's folder.
They hold times, live in the working folder of the run, and are gone when it has ended.
"""

import json
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from m3h.schemas.files import TEMP_PREFIX
from m3h.schemas.inside import file_in, files_in

WRITE_SECONDS = 0.5
"""How old the counts of a process may be that go on changing."""


@dataclass
class Count:
    """One stage so far. rows: that are through, whatever became of them; dropped: those that left, by reason.

    copied: rows that were known, beside `rows`. expected: rows announced before. bytes: of dumps that were read.
    began, ended: first and last report, seconds since 1970; 0 before any.
    """

    rows: int = 0
    copied: int = 0
    expected: int = 0
    bytes: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    began: float = 0.0
    ended: float = 0.0

    def add(self, more: "Count") -> None:
        """Two processes' counts together."""
        self.rows += more.rows
        self.copied += more.copied
        self.expected += more.expected
        self.bytes += more.bytes
        self.dropped.update(more.dropped)
        self.began = min(filter(None, (self.began, more.began)), default=0.0)
        self.ended = max(self.ended, more.ended)

    @property
    def done(self) -> int:
        """Rows that need no more work."""
        return self.rows + self.copied

    @property
    def lost(self) -> int:
        """Rows that left here."""
        return self.dropped.total()


class Tally:
    """The counts of this process, in a file of their own below `folder`; any of its threads may add to them."""

    def __init__(self, folder: Path) -> None:
        self._path = file_in(folder, f"{uuid.uuid4().hex}.json")
        self._counts: dict[str, Count] = {}
        self._lock = threading.Lock()
        self._written = 0.0

    def add(self, stage: str, more: Count) -> None:
        """What a stage did since the last time."""
        now = time.time()
        with self._lock:
            self._counts.setdefault(stage, Count()).add(more)
            if now - self._written > WRITE_SECONDS:
                self._write()

    def flush(self) -> None:
        """Nothing may follow for a while."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        self._written = time.time()
        temp = self._path.with_name(TEMP_PREFIX + self._path.name)
        with suppress(OSError):  # lost counts must not fail a build: where nothing can be written, it fails elsewhere
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temp.write_text(json.dumps({stage: vars(count) for stage, count in self._counts.items()}))
            os.replace(temp, self._path)


_making = threading.Lock()


def tally_of(folder: Path) -> Tally:
    """This process's tally of a run."""
    with _making:  # a worker's threads share one
        return _made(folder)


@lru_cache(maxsize=1)
def _made(folder: Path) -> Tally:
    return Tally(folder)


def read_tallies(folder: Path) -> dict[str, Count]:
    """The counts of all processes together, by stage. A file that goes while it is read says nothing."""
    found: dict[str, Count] = {}
    for path in files_in(folder, "[!.]*.json"):
        with suppress(OSError):
            counts: Mapping[str, dict[str, Any]] = json.loads(path.read_text())
            for stage, count in counts.items():
                found.setdefault(stage, Count()).add(_count(count))
    return found


def _count(raw: dict[str, Any]) -> Count:
    return Count(**{**raw, "dropped": Counter(raw["dropped"])})
