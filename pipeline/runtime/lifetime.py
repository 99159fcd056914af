"""A process that ends with the one that started it."""

import ctypes
import os
import signal
import sys
import threading
import time

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
