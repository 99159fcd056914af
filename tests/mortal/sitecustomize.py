"""Python loads this at the start of every process of a command under test, for this folder is on its path.

All processes of the command together count their changes of the files below MORTAL_ROOT, in MORTAL_LOG; before change
number MORTAL_DIES the whole group of the command is killed. So a kill comes at a place of the work, not at a time, and
is as likely in one stage as in another, on any machine. MORTAL_AT names files instead, joined by colons: the kill comes
before the first one is put in its place. With MORTAL_CLOCK, the clock jumps.
"""

import fcntl
import itertools
import os
import signal
import stat
import time

RECORD = 256
"""Bytes of a line of the log: what was about to be done to which file, padded."""

_CHANGES = ("replace", "unlink", "rmdir", "mkdir", "fsync", "ftruncate", "write")


def install():
    """Count from now on, in this process and those it starts."""
    os.environ.setdefault("MORTAL_GROUP", str(os.getpgrp()))
    for name in _CHANGES:
        setattr(os, name, _counted(name, getattr(os, name)))


def _counted(name, change):
    def counted(*args, **kwargs):
        path = _path(args[-1] if name == "replace" else args[0])
        if path.startswith(os.environ["MORTAL_ROOT"]):
            _note(f"{name} {path}")
        return change(*args, **kwargs)

    return counted


def _path(target):
    """The file that is changed; none for pipes and sockets."""
    if not isinstance(target, int):
        return os.path.abspath(os.fsdecode(target))  # noqa: PTH100 (no file is asked about)
    status = os.fstat(target).st_mode
    named = stat.S_ISREG(status) or stat.S_ISDIR(status)
    return os.readlink(f"/proc/self/fd/{target}") if named else ""  # noqa: PTH115


def _note(line):
    log = os.open(os.environ["MORTAL_LOG"], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(log, fcntl.LOCK_EX)
        if os.fstat(log).st_size // RECORD + 1 == int(os.environ["MORTAL_DIES"]) or _is_named(line):
            os.killpg(int(os.environ["MORTAL_GROUP"]), signal.SIGKILL)
        _write(log, line.encode()[: RECORD - 1].ljust(RECORD - 1) + b"\n")
    finally:
        os.close(log)


def _is_named(line):
    named = os.environ.get("MORTAL_AT")
    return bool(named) and line.startswith("replace ") and line.endswith(tuple(named.split(":")))


_write = os.write


_now, _looks = time.time, itertools.count()


def jumping():
    """What time it is: years ahead and years back, from one look to the next."""
    return _now() + 1e8 * (-1) ** next(_looks)


if "MORTAL_CLOCK" in os.environ:
    time.time = jumping
if "MORTAL_LOG" in os.environ:
    install()
