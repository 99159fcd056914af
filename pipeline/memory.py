"""Memory of a command with all the processes it started."""

import sys
from contextlib import suppress
from typing import Any

import psutil

MEASURE = "PSS" if sys.platform == "linux" else "RSS"
"""Linux tells each process's share of what several map; elsewhere shared pages count once for each process."""


class PeakMemory:
    """The largest sum seen. bytes: of this process and its descendants; processes: the most at once."""

    def __init__(self) -> None:
        self.bytes = 0
        self.processes = 0

    def look(self) -> None:
        """Measure now. Processes that end meanwhile do not count."""
        me = psutil.Process()
        sizes = []
        for process in (me, *me.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                sizes.append(_size(process))
        self.bytes = max(self.bytes, sum(sizes))
        self.processes = max(self.processes, len(sizes))

    def summary(self) -> dict[str, Any]:
        """For the summary of a run."""
        return {"bytes": self.bytes, "processes": self.processes, "measure": MEASURE}


def _size(process: psutil.Process) -> int:
    if MEASURE == "PSS":
        return int(process.memory_full_info().pss)
    return int(process.memory_info().rss)
