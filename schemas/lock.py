"""Only one at a time: a lock that the system takes from whoever dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from schemas.errors import UsageError


@contextmanager
def alone(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock that is the file `path`, and remove it at the end. UsageError `refusal` where somebody else does.

    A file that a killed holder left behind locks nobody out.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(path, "w")  # noqa: SIM115 (closed below, whatever comes)
        except FileNotFoundError:  # whoever had it has just finished, and removed the folder
            continue
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(refusal) from error
            if not _is_at(file, path):  # the same, between our opening and our locking: nobody else sees this file
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_at(file: IO[Any], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
