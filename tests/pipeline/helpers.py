"""The gate's helper processes, as they are seen from outside."""

from contextlib import suppress

import psutil


def helpers(of: int | None = None) -> list[psutil.Process]:
    """Helper processes of a process, of this one if not given."""
    found = []
    for child in psutil.Process(of).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "pipeline.gate_helper" in child.cmdline():
                found.append(child)
    return found
