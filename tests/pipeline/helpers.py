"""The gate's helper processes, as they are seen from outside."""

from collections.abc import Collection
from contextlib import suppress

import psutil


def helpers(of: int | None = None, since: Collection[psutil.Process] = ()) -> list[psutil.Process]:
    """Helper processes of a process, of this one if not given; those of `since`, of other tests' gates, aside."""
    found = []
    for child in psutil.Process(of).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child not in since and "pipeline.gate_helper" in child.cmdline():
                found.append(child)
    return found
