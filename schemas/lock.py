"""A lock file that one process holds at a time. The system releases it when the process dies.

The library filelock is not used. It takes a lock as held where the file still has a name. On NFS a removed file that is
open keeps a name (`.nfs…`), so two processes could hold the lock. We compare the locked file with the one at the path.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from m3h.schemas.errors import IntegrityError, MachineError, UsageError

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
"""The errors of flock on file systems that have no locks."""


@contextmanager
def alone(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock file `path`, and remove it at the end.

    A lock file that a killed process left behind does not block anybody.

    Args:
        path: The lock file.
        refusal: The error message where another process holds the lock.

    Raises:
        UsageError: Another process holds the lock.
        MachineError: The file system has no locks.
        IntegrityError: A link is in the lock file's place. Its target is not touched.
    """
    locked = _locked(path, refusal)
    try:
        yield
    finally:
        try:
            path.unlink(missing_ok=True)
        finally:
            os.close(locked)


def _locked(path: Path, refusal: str) -> int:
    """A descriptor of the file at `path`. It holds the lock until it is closed."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:  # the previous holder has just finished and removed the folder
            continue
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise IntegrityError(f"{path}: expected a file, found a link. Remove it.") from error
            raise
        try:
            _lock(descriptor, path, refusal)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # removed after we opened it and before we locked it: no other process sees this file


def _lock(descriptor: int, path: Path, refusal: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(refusal) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise MachineError(
            f"{path.parent}: this file system has no locks ({error.strerror}), so nothing keeps two commands from "
            "writing there at once. Choose a folder on a local disk, or mount it with locks."
        ) from error


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False
