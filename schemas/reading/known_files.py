"""Which large files were compared with their sha256 before: who trains ten times need not hash 50 GB ten times.

A check is remembered by an empty file, whose name is a hash of the checked file's path and hash and of what the system
says of it: device, inode, size, and the times of its last change. Whoever changes a file changes one of these. A disk
that loses bits does not; `verify` therefore reads every file anew.
"""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from m3h.schemas.files import user_cache

LARGE = 1 << 20
"""Bytes from which on remembering is worth a file."""

SETTLED = 2.0
"""Seconds since its last change after which a file is remembered: some file systems state times that coarsely."""

MOST = 20_000
"""Files in the folder of remembered checks; when it is full, the oldest half goes."""


def cache_folder() -> Path:
    """Where checks are remembered."""
    return user_cache("checked")


def is_known(path: Path, sha256: str, found: os.stat_result) -> bool:
    """Whether this very file was found to have this sha256 before.

    Args:
        path: the file.
        sha256: hex digest that is expected.
        found: what the system says of the file now.
    """
    return found.st_size >= LARGE and _mark(path, sha256, found).exists()


def remember(path: Path, sha256: str, found: os.stat_result) -> None:
    """Remember that a file was found to have this sha256.

    Nothing is remembered of small files, of files that changed a moment ago, or where the folder cannot be written.

    Args:
        path: the file.
        sha256: its hex digest.
        found: what the system said of it before it was read.
    """
    if found.st_size < LARGE or time.time() - max(found.st_mtime, found.st_ctime) < SETTLED:
        return
    mark = _mark(path, sha256, found)
    with suppress(OSError):  # a home folder that cannot be written costs time, no more
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        _trim(mark.parent)


def _mark(path: Path, sha256: str, found: os.stat_result) -> Path:
    what = (
        os.path.realpath(path), sha256, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    )  # fmt: skip
    return cache_folder() / hashlib.sha256(repr(what).encode()).hexdigest()


def _trim(folder: Path) -> None:
    marks = list(folder.iterdir())
    if len(marks) > MOST:
        for mark in sorted(marks, key=lambda mark: mark.stat().st_mtime)[: len(marks) // 2]:
            mark.unlink(missing_ok=True)
