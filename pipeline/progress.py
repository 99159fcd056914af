"""How far the extraction is: a bar on a terminal, a log line now and then elsewhere."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

log = logging.getLogger(__name__)
LOG_EVERY_SECONDS = 15.0


@contextmanager
def watched(what: str, total: int | None, done: Callable[[], int]) -> Iterator[None]:
    """Show `done()` of `total` while the body runs. Worker processes report by the files they finish.

    total: None where it is not known.
    """
    stop = threading.Event()
    on_terminal = sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=not on_terminal) as bar:
        task = bar.add_task(what, total=total)

        def follow() -> None:
            while not stop.wait(0.5 if on_terminal else LOG_EVERY_SECONDS):
                bar.update(task, completed=done())
                if not on_terminal:
                    log.info("%s: %d of %s", what, done(), "?" if total is None else total)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            bar.update(task, completed=done())
