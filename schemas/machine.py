"""Faults of the machine rather than of a command or its data: a full disk, a read-only folder, too few open files.

Libraries report them in different exceptions. All of them give the system's error number.
"""

import errno
import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "Make room there",
    errno.EDQUOT: "Make room there, or have the quota raised",
    errno.EROFS: "Mount it for writing, or choose another folder",
    errno.EACCES: "Give this user the right to, or choose another folder",
    errno.EPERM: "Give this user the right to, or choose another folder",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f)",
    errno.EMFILE: "Raise the limit on open files (ulimit -n)",
    errno.ENFILE: "Raise the machine's limit on open files",
    errno.ENOMEM: "Free some memory, or use fewer workers",
    errno.EAGAIN: "Raise the limit on processes (ulimit -u)",
    errno.EIO: "Look after that disk",
    errno.ENOTDIR: "Choose another folder",
    errno.EISDIR: "Choose another name",
    errno.EEXIST: "Choose another folder",
    errno.ELOOP: "Choose another folder",
    errno.ENAMETOOLONG: "Choose a shorter name",
}
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_NUMBER = re.compile(r"\[errno (\d+)\]|errno = (\d+)|os error (\d+)", re.IGNORECASE)
_FILE = re.compile(r"\[Errno \d+\] [^:\n]*: '([^'\n]+)'")


def number_of(error: BaseException | str) -> int:
    """The error number of a fault for which there is advice, else 0. Read from the text where a library hides it."""
    number = getattr(error, "errno", None) if isinstance(error, OSError) else None
    if number is None and (found := _NUMBER.search(str(error))):
        number = int(next(filter(None, found.groups())))
    return number if number in _ADVICE else 0


def is_exhausted(error: BaseException) -> bool:
    """Whether the machine lacks room, memory or open files, so that the data at hand is not to blame."""
    return isinstance(error, OSError | RuntimeError) and number_of(error) in _EXHAUSTED


def fault_message(number: int, place: object) -> str:
    """One line that says where, what, and what to do."""
    return (
        f"{place}: {os.strerror(number)}. {_ADVICE[number]}; what is finished stays, and the same command goes on from "
        "there."
    )


def place_of(error: BaseException | str) -> str:
    """The file that a fault names, or "this machine" where it names none."""
    if isinstance(error, OSError) and error.filename is not None:
        return os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    found = _FILE.search(str(error))
    return found[1] if found else "this machine"


def why_unwritable(path: Path, *, is_folder: bool) -> str:
    """Why a command cannot write its result to a path; "" where it can. Nothing is left there.

    A file is tried, in the nearest folder that exists: the superuser has every right, and yet cannot write everywhere.

    Args:
        path: Of a file that will be made or replaced, or of a folder that files will be put into.
        is_folder: Which of the two it is.
    """
    try:
        if fault := _kind_fault(path, is_folder=is_folder):
            return fault
        is_link = not is_folder and path.is_symlink()  # the file that it leads to is the one written
        target = path.resolve() if is_link else path.absolute()
        ways = (target, *target.parents) if is_folder else target.parents
        place = next(one for one in ways if os.path.lexists(one))
        if not place.is_dir():
            return f"{place} is no folder"
        for name in target.relative_to(place).parts:
            with suppress(FileNotFoundError):
                os.lstat(place / name)  # a name that is too long for this disk is refused
        with tempfile.TemporaryFile(dir=place):
            return ""
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        return f"no file can be made there ({why})"


def _kind_fault(path: Path, *, is_folder: bool) -> str:
    """What is at a path, where it is something else than what will be written."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    expected, found = ("folder" if is_folder else "file"), "device"
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        found = "folder" if stat.S_ISDIR(mode) else "file"
    return "" if found == expected else f"expected a {expected}, found a {found}"
