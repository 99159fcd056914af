"""Ctrl-C while a pipeline runs: its processes are ended, and nothing that breaks by that is told."""

import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TypeVar

import psutil

T = TypeVar("T")

DEAF = "trap '' INT; "
"""Before a shell command: Ctrl-C reaches every process of the terminal, and is the parent's to answer."""

KILLED_BY_INTERRUPT = f"return code -{signal.SIGINT.value}"
"""How a process's end is told that Ctrl-C reached before it was deaf."""


_GLANCE_SECONDS = 1.0


class Interruption:
    """Runs a pipeline so that Ctrl-C ends it at once, wherever it is."""

    def __init__(self) -> None:
        self._earlier = set(psutil.Process().children(recursive=True))
        self._happened = threading.Event()

    def watch(self, work: Callable[[], T]) -> T:
        """The result of `work`, which runs in a thread of its own.

        In the main thread the interrupt would arrive anywhere inside Beam, whose way out waits for its workers. This
        thread only waits. After an interrupt the other one is left to itself until the process ends.
        """
        ended: Future[T] = Future()

        def run() -> None:
            try:
                ended.set_result(work())
            except BaseException as error:
                ended.set_exception(error)

        threading.Thread(target=run, daemon=True, name="pipeline").start()
        try:
            while not ended.done():
                wait([ended], _GLANCE_SECONDS)  # not for ever: a signal that another thread gets wakes nobody
            return ended.result()
        except KeyboardInterrupt:
            self._happened.set()
            _silence_threads()
            self.end_processes()
            raise

    def happened(self, seconds: float) -> bool:
        """Whether there is an interrupt within so many seconds."""
        return self._happened.wait(seconds)

    def end_processes(self) -> None:
        """Kill every process that was started since, and all that those started."""
        for child in psutil.Process().children(recursive=True):
            if child not in self._earlier:
                with suppress(psutil.NoSuchProcess):  # such as a Tesseract that was just done
                    child.kill()


def _silence_threads() -> None:
    """Say nothing of the exceptions in threads that serve the processes which are about to be killed."""
    serving, before = set(threading.enumerate()), threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.thread not in serving:
            before(args)

    threading.excepthook = hook
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL + 1)
