"""Commands that are killed, with all their processes, before some change of the file system, and called again."""

import json
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from m3h.pipeline.dataset.workspace import FOLDER
from m3h.schemas.files import TEMP_PREFIX
from tests.commands import ROOT, command, environment
from tests.mortal.sitecustomize import RECORD

MORTAL = ROOT / "tests" / "mortal"
PATIENCE_SECONDS = 60.0


class Zygote:
    """`tests.zygote`, which runs commands of one program in children of its own."""

    def __init__(self, program: str) -> None:
        self._process = subprocess.Popen(
            command("tests.zygote", program), env=environment(MORTAL), cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(
        self,
        words: Sequence[object],
        printed: Path,
        environment: Mapping[str, str] | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> int:
        """The wait status of a command. printed: the file for what it says."""
        asked: dict[str, Any] = {"words": [str(word) for word in words], "printed": str(printed)}
        asked |= {"environment": dict(environment or {}), "limits": dict(limits or {})}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Nobody asks any more."""
        self._process.communicate(timeout=PATIENCE_SECONDS)


@contextmanager
def zygote(program: str) -> Iterator[Zygote]:
    opened = Zygote(program)
    try:
        yield opened
    finally:
        opened.close()


@dataclass
class Victim:
    """A command over a folder that is its own. log: every change of a file below the folder, of all runs."""

    zygote: Zygote
    words: Sequence[object]
    folder: Path
    log: list[str] = field(default_factory=list)

    def run(self, dies_before: int = 0, at: Sequence[str] = ()) -> bool:
        """Whether it was killed; else it has succeeded.

        Args:
            dies_before: number of a change, 0 for none.
            at: ends of files' names; it is killed before the first of these is put in its place. Unlike the number of a
                change they do not depend on how often progress was noted.
        """
        beside = self.folder.parent
        log, printed = beside / "changes", beside / "printed"
        log.unlink(missing_ok=True)
        mortal = {"MORTAL_ROOT": str(self.folder), "MORTAL_LOG": str(log), "MORTAL_DIES": str(dies_before)}
        mortal["MORTAL_AT"] = ":".join(at)
        status = self.zygote.run(self.words, printed, mortal)
        wait_for_orphans(str(log))
        changes = [line.decode().rstrip() for line in _records(log)]
        self.log += changes
        if status == signal.SIGKILL:
            assert at or len(changes) == dies_before - 1
            return True
        assert status == 0, printed.read_text(errors="replace")[-3000:]
        return False

    def made(self, part: str) -> Counter[str]:
        """How often each file below `.build`, with `part` in its name, was put in its place."""
        made = (line.partition(f"/{FOLDER}/")[2] for line in self.log if line.startswith("replace"))
        return Counter(name for name in made if part in name)

    @property
    def distinct_changes(self) -> set[str]:
        """What was changed, however often, by names that do not depend on the run."""
        lines = (line.replace(str(self.folder), "") for line in self.log)
        return {_RANDOM.sub("", line) for line in lines if f"{FOLDER}/progress" not in line}


_RANDOM = re.compile(rf"(?<={re.escape(TEMP_PREFIX)})[0-9a-f]+")


def _records(log: Path) -> list[bytes]:
    data = log.read_bytes() if log.is_file() else b""
    return [data[at : at + RECORD] for at in range(0, len(data), RECORD)]


def wait_for_orphans(log: str) -> None:
    """Until no process that the command started is left."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := list(_of_command(log)):
        assert time.monotonic() < deadline, f"orphans: {left}"
        time.sleep(0.02)


def _of_command(log: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get("MORTAL_LOG") == log and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def kill_again_and_again(victim: Victim, whole: Victim, kills: int, seed: int, after: Callable[[], None]) -> None:
    """Run a command, killed so many times, until it succeeds. whole: the same, never killed. after: looks at each.

    Each kill comes before one, drawn at random, of those changes that no run has made yet: so the later ones come to
    the work's end.
    """
    chance = random.Random(seed)
    for _ in range(kills):
        left = len(whole.distinct_changes - victim.distinct_changes)
        assert victim.run(chance.randint(1, left)), "it ended before it was killed"
        after()
    assert not victim.run()


def temps(folder: Path) -> list[Path]:
    """Temp files of writers."""
    return sorted(folder.rglob(f"{TEMP_PREFIX}*"))
