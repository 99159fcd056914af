"""Memory of a command with all the processes it started: how much it is, and how it is kept small."""

import ctypes
import sys
import time
from contextlib import suppress
from typing import Any

import psutil
import pyarrow as pa

MEASURE = "PSS" if sys.platform == "linux" else "RSS"
"""Linux tells each process's share of what several map; elsewhere shared pages count once for each process."""


class PeakMemory:
    """The largest sum seen. bytes: of this process and its descendants; processes: the most at once.

    share: of a processor's time, for looking: to add up the pages of a process with gigabytes takes a while.
    """

    def __init__(self, share: float = 0.01) -> None:
        self.bytes = 0
        self.processes = 0
        self._share = share
        self._rests_until = 0.0

    @staticmethod
    def now() -> list[int]:
        """Bytes of this process and of each it started. Those that end meanwhile do not count."""
        me = psutil.Process()
        sizes = []
        for process in (me, *me.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                sizes.append(_size(process))
        return sizes

    def look(self) -> None:
        """Measure once more, unless the time for it is used up."""
        started = time.monotonic()
        if started < self._rests_until:
            return
        sizes = self.now()
        ended = time.monotonic()
        self._rests_until = ended + (ended - started) / self._share
        self.bytes = max(self.bytes, sum(sizes))
        self.processes = max(self.processes, len(sizes))

    def summary(self) -> dict[str, Any]:
        """For the summary of a run."""
        return {"bytes": self.bytes, "processes": self.processes, "measure": MEASURE}


def _size(process: psutil.Process) -> int:
    if MEASURE == "PSS":
        return int(process.memory_full_info().pss)
    return int(process.memory_info().rss)


_M_ARENA_MAX = -8  # <malloc.h>
_ARENAS = 2
"""Heaps that glibc may divide allocations among; by default eight a core, each of which keeps what was freed in it."""


_IDLE_SECONDS = 1
"""After which Beam may let go what a stage worked with. It keeps that, with all its buffers, for a minute, for more of
the same work; the embedded runner runs every stage once."""


def limit_arenas() -> None:
    """Early in a process that runs stages, before it has many threads."""
    if _GLIBC is not None:
        _GLIBC.mallopt(_M_ARENA_MAX, _ARENAS)
    from apache_beam.runners.worker import sdk_worker

    sdk_worker.DEFAULT_BUNDLE_PROCESSOR_CACHE_SHUTDOWN_THRESHOLD_S = _IDLE_SECONDS


def trim_memory() -> None:
    """Hand freed memory back to the system, which glibc does only at the end of a heap, and Arrow when it likes."""
    pa.default_memory_pool().release_unused()
    if _GLIBC is not None:
        _GLIBC.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """None where the C library is another one."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None


_GLIBC = _glibc()
