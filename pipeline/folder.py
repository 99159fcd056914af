"""Pictures of the user's folders: found by their names, and read without trusting what lies under them."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlparse

from pipeline.images import refuse_size
from schemas.errors import ImageFault
from schemas.machine import is_exhausted
from schemas.posts import ImageRef

_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL}
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}  # the rest are devices


def locate(reference: ImageRef, folders: Sequence[Path]) -> Path:
    """The record's path below a folder, else its file name, else the URL's file name: a regular file, links resolved.

    The first folder that has one counts. ImageFault: `image_missing` where nothing lies there; else why the first thing
    found cannot be taken. A path or a link that leads out of its folder is never followed.
    """
    problem = None
    for folder, name in product(map(os.path.realpath, folders), _candidates(reference)):
        try:
            return _file(folder, name)
        except ImageFault as fault:
            problem = problem or ImageFault(fault.reason, f"{name}: {fault.detail}")
        except (OSError, ValueError) as error:
            if is_exhausted(error):
                raise
            if isinstance(error, OSError) and error.errno not in _NO_SUCH_FILE:
                problem = problem or ImageFault("image_unreadable", f"{name}: {error.strerror}")
    raise problem or ImageFault("image_missing", reference.path or reference.url)


def _file(folder: str, name: str) -> Path:
    path = Path(os.path.realpath(Path(folder, name), strict=True))
    if not path.is_relative_to(folder):
        raise ImageFault("image_outside", "a link out of the folder; put the file itself there")
    _refuse_other_than_file(path.stat().st_mode)
    return path


def _refuse_other_than_file(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ImageFault("image_not_a_file", f"{_KINDS.get(stat.S_IFMT(mode), 'a device')}, expected a file")


def _candidates(reference: ImageRef) -> Iterator[str]:
    inside = PurePosixPath(reference.path)
    if inside.name and not inside.is_absolute() and ".." not in inside.parts:
        yield reference.path
    yield from _plain(inside.name)
    try:
        url = urlparse(reference.url)
    except ValueError:  # no URL at all, such as one with half an IPv6 address
        return
    name = PurePosixPath(unquote(url.path)).name
    yield from _plain(name)
    yield from _plain(name.partition(":")[0])  # NAME.jpg:large
    if name and (form := parse_qs(url.query).get("format")):
        yield from _plain(f"{name}.{form[0]}")  # NAME?format=jpg&name=large


def _plain(name: str) -> Iterator[str]:
    if name not in ("", ".", "..") and "/" not in name:
        yield name


def read(path: Path, max_bytes: int) -> bytes:
    """A picture's bytes. ImageFault where it is too large, no file (any more) or not ours to read; never waits."""
    try:
        # Not to follow a link that took the file's place, nor to wait for the other end of a named pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _refuse_other_than_file(status.st_mode)
            refuse_size(status.st_size, max_bytes)
            data = file.read(max_bytes + 1)
    except OSError as error:
        if is_exhausted(error):  # says nothing of the picture
            raise
        raise ImageFault("image_unreadable", error.strerror or "") from error
    refuse_size(len(data), max_bytes)
    return data
