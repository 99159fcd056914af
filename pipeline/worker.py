"""A worker process of the embedded runner: Beam's own, but silent unless something is wrong, and never an orphan."""

import ctypes
import logging
import os
import signal
import sys
import threading
import time

from pipeline.memory import keep_little

_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """End this process when the one that started it is gone, whatever it is busy with.

    Linux kills it at once, even inside a C call; elsewhere a thread looks twice a second.
    by: SIGTERM for a process that handles it, to end others first.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), by)

    threading.Thread(target=watch, daemon=True, name="die-with-parent").start()


if __name__ == "__main__":
    die_with_parent()
    keep_little()
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    logging.getLogger().handlers[0].setLevel(logging.ERROR)
    from apache_beam.runners.worker import sdk_worker
    from apache_beam.runners.worker.sdk_worker_main import main

    from pipeline.told import silence_repetitions

    silence_repetitions()
    sdk_worker.print = lambda *_, **__: None  # tracebacks, which the process that serves us gets and tells anyway

    main(sys.argv)
    os._exit(0)  # all is written; to take gigabytes of models apart takes seconds
