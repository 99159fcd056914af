"""Helper processes, as they are seen from outside."""

import time
from collections.abc import Callable, Collection
from contextlib import suppress

import psutil


def wait_for(reached: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"it did not come to that within {seconds:g} seconds"
        time.sleep(0.01)


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, be it that nobody has asked how."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def helpers(
    of: int | None = None, since: Collection[psutil.Process] = (), module: str = "m3h.pipeline.images.validator_process"
) -> list[psutil.Process]:
    """Helper processes of a process, of this one if not given; those of `since`, of other tests' validators, aside."""
    found = []
    for child in psutil.Process(of).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child not in since and module in child.cmdline():
                found.append(child)
    return found
