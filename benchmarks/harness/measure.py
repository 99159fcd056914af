"""What a command costs: seconds by the clock, processor seconds and memory, of all processes that it starts."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_SUBREAPER = 36
"""Linux' PR_SET_CHILD_SUBREAPER: processes whose parent has ended become our children, so their time is told to us."""
_EACH_SECOND = 20


@dataclass(frozen=True)
class Cost:
    """Of one run. wall, cpu: seconds. peak_mb: megabytes that do not lie in files, of all processes together."""

    wall: float
    cpu: float
    peak_mb: float


class CommandFailed(Exception):
    """A command ended with another code than 0; its last lines say why."""


def cpu_seconds() -> float:
    """Processor seconds of this process and all it started, those that have ended among them."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return float(total)


def private_bytes(root: psutil.Process) -> int:
    """Of a process and of each it started, without the files they map: what other programs map as well counts less
    for each, and those come and go.
    """
    return sum(private_bytes_of_each(root).values())


def private_bytes_of_each(root: psutil.Process) -> dict[int, int]:
    """Process id -> bytes, as `private_bytes` adds them up."""
    found = {}
    with suppress(psutil.NoSuchProcess):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                info = process.memory_info()
                found[process.pid] = info.rss - getattr(info, "shared", 0)
    return found


def measured(words: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Run a command and wait for it and all it started.

    Args:
        words: the command.
        log: where what it prints goes.
        env: variables beside those of this process.

    Raises:
        CommandFailed: its exit code is not 0.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    with open(log, "wb") as out:
        started = time.monotonic()
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
    watcher = _Watcher(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    peak = watcher.end()
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime + _left_behind(process.pid)
    if process.returncode:
        raise CommandFailed(f"{' '.join(words)}: exit code {process.returncode}\n{log.read_text()[-3000:]}")
    return Cost(wall, cpu, peak / 1e6)


class _Watcher:
    """Looks at the memory of a process and its descendants until it is told to end."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._peak = max(self._peak, private_bytes(self._root))
            self._stop.wait(1 / _EACH_SECOND)

    def end(self) -> int:
        """The most bytes seen."""
        self._stop.set()
        self._thread.join()
        return self._peak


def _left_behind(group: int) -> float:
    """Processor seconds of processes that their parents did not wait for. Those that still run are ended."""
    seconds = 0.0
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            _, _, usage = os.wait4(-group, 0)
            seconds += usage.ru_utime + usage.ru_stime
    return seconds
