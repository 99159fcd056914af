"""A folder of temporary files. A process that is killed leaves its own behind, and the next one removes it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from m3h.schemas.errors import MachineError, UsageError
from m3h.schemas.lock import alone

_LOCK = "lock"
"""The file that the process which uses a folder holds."""


@contextmanager
def temporary_folder(prefix: str, place: Path | None = None) -> Iterator[Path]:
    """A folder that no other process uses. It is removed at the end.

    Args:
        prefix: of its name. This user's folders with it that no living process uses are removed first.
        place: where; the system's folder of temporary files if None.
    """
    place = place or Path(gettempdir())
    _remove_left_behind(prefix, place)
    with ExitStack() as held:
        while True:
            folder = Path(held.enter_context(TemporaryDirectory(prefix=prefix, dir=place)))
            try:
                held.enter_context(alone(folder / _LOCK, f"{folder}: in use."))
            except UsageError:  # another process took it for one that was left behind, before it was locked
                continue
            except MachineError:  # a file system without locks: there nothing is removed
                pass
            break
        yield folder


def _remove_left_behind(prefix: str, place: Path) -> None:
    for folder in place.glob(f"{prefix}*"):
        with suppress(OSError, UsageError, MachineError):  # removed meanwhile, in use, no locks
            lock = folder / _LOCK
            if folder.lstat().st_uid == os.getuid() and not folder.is_symlink() and lock.is_file():
                with alone(lock, f"{folder}: in use."):
                    shutil.rmtree(folder)
