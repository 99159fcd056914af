"""Pictures of the user's folders: found by their names, and read without trusting what lies under them."""

import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, product
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlparse

from m3h.pipeline.images.jpeg import refuse_size
from m3h.schemas.errors import ImageFault
from m3h.schemas.machine import is_exhausted
from m3h.schemas.posts import ImageRef

_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL}
_ARCHIVE_ROOMS = (
    *("tweets_media/", "tweet_media/", "community_tweet_media/"),
    *("data/tweets_media/", "data/tweet_media/", "data/community_tweet_media/"),
)
"""Folders of a personal archive of Twitter that hold the pictures of posts, since 2020 below `data`."""
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}  # the rest are devices


def locate(reference: ImageRef, folders: Sequence[Path], post_ids: Iterable[str] = ()) -> Path:
    """The record's path below a folder, else its file name, else the URL's file name: a regular file, links resolved.

    The first folder that has one counts. A path or a link that leads out of its folder is never followed.

    Args:
        reference: where the record says the picture lies.
        folders: where it is looked for, in this order.
        post_ids: of the posts that show it, by which personal archives name their pictures.

    Raises:
        ImageFault: `image_missing` where nothing lies there; else why the first thing found cannot be taken.
    """
    problem = None
    resolved = [Path(os.path.realpath(folder)) for folder in folders]
    for folder, name in chain(product(resolved, _candidates(reference)), _archived(reference, resolved, post_ids)):
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


def _file(folder: Path, name: str) -> Path:
    path = Path(os.path.realpath(Path(folder, name), strict=True))
    if not path.is_relative_to(folder):
        raise ImageFault("image_outside", "a link out of the folder; put the file itself there")
    _refuse_other_than_file(path.stat().st_mode)
    return path


def _refuse_other_than_file(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ImageFault("image_not_a_file", f"{_KINDS.get(stat.S_IFMT(mode), 'a device')}, expected a file")


def possible_names(reference: ImageRef, post_id: str) -> Iterator[str]:
    """The paths and names under which the picture of a post may lie in an archive, the likeliest first."""
    yield from _candidates(reference)
    for name in dict.fromkeys(_names_in_url(reference.url)):
        yield from _plain(f"{post_id}-{name}")


def _archived(reference: ImageRef, folders: Sequence[Path], post_ids: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Places where personal archives keep the picture of a post: `<id>-<media name>`, often in a folder of pictures."""
    names = list(dict.fromkeys(_names_in_url(reference.url)))
    for post_id, (folder, room), name in product(post_ids if names else (), _rooms(folders), names):
        yield from ((folder, f"{room}{named}") for named in _plain(f"{post_id}-{name}"))


def archived_by_any_post(url: str, folders: Sequence[Path]) -> Iterator[ImageRef]:
    """Pictures of this URL in personal archives, whichever post showed them."""
    for (folder, room), name in product(_rooms(folders), dict.fromkeys(_names_in_url(url))):
        found = sorted(path.name for path in (folder / room).glob(f"*-{glob.escape(name)}"))
        yield from (ImageRef(f"{room}{name}") for name in found)


def own_folders(files: Iterable[Path]) -> list[Path]:
    """The folders of files that have a personal archive's folder of pictures beside them."""
    return [folder for folder in dict.fromkeys(file.parent for file in files) if len(_rooms([folder])) > 1]


def _rooms(folders: Iterable[Path]) -> list[tuple[Path, str]]:
    return [(folder, room) for folder in folders for room in ("", *_ARCHIVE_ROOMS) if Path(folder / room).is_dir()]


def _candidates(reference: ImageRef) -> Iterator[str]:
    inside = PurePosixPath(reference.path)
    if inside.name and not inside.is_absolute() and ".." not in inside.parts:
        yield reference.path
    yield from _plain(inside.name)
    yield from _names_in_url(reference.url)


def _names_in_url(address: str) -> Iterator[str]:
    try:
        url = urlparse(address)
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
