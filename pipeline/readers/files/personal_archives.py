"""Personal archives of Twitter: which of their files hold posts.

Layouts: since 2020 `data/tweets.js`, earlier `data/tweet.js`, in large archives `tweets-part1.js` too; 2018 and 2019
`tweet.js` without `data`; 2012 to 2018 `data/js/tweets/2013_04.js`, a file a month and the same posts in `tweets.csv`.
All other files tell of the account's owner, or belong to the pages with which the archive is looked at.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

HEAD_BYTES = 256
"""Bytes of a script that show what it is."""

_POSTS = re.compile(r"(?:(?:deleted|community)-)?tweets?(?:-part\d+)?\.js|note-tweet(?:-part\d+)?\.js")
_SCRIPT = re.compile(rb"(?:\xef\xbb\xbf)?\s*window\.(?:YTD\.\w+\.part\d+|__THAR_CONFIG)\s*=")
_MONTH = re.compile(rb"(?:\xef\xbb\xbf)?\s*Grailbird\.data\.tweets_\d{4}_\d{2}\s*=")
_OLD_PAGES = ("css", "data", "img", "js", "lib", "index.html", "README.txt", "tweets.csv")
_PAGES = (".html", ".js")
_MEDIA = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".mp4", ".mov"}


def record_files(names: Iterable[str], head_of: Callable[[str], bytes]) -> list[str]:
    """The names of files that may hold posts: no pictures and videos, and of a personal archive only its posts.

    Args:
        names: paths of files, with `/`.
        head_of: the first HEAD_BYTES bytes of a file.
    """
    names = [name for name in names if PurePosixPath(name).suffix.lower() not in _MEDIA]
    posts: set[str] = set()
    rooms: set[PurePosixPath] = set()
    old: set[PurePosixPath] = set()
    for name in (name for name in names if name.endswith(".js")):
        path, head = PurePosixPath(name), head_of(name)
        if _MONTH.match(head):
            posts.add(name)
            old.add(path.parent)
        elif _SCRIPT.match(head):
            rooms.add(path.parent)
            if _POSTS.fullmatch(path.name):
                posts.add(name)
    foreign = (*map(_foreign_to_old, old), *map(_foreign_to_new, rooms))
    return [name for name in names if name in posts or not any(is_foreign(name) for is_foreign in foreign)]


def _foreign_to_new(data: PurePosixPath) -> Callable[[str], bool]:
    """data: the folder with `tweets.js`. Pages and their assets lie beside it where it is called `data`."""
    rooms = (data, data.parent) if data.name == "data" else (data,)

    def is_foreign(name: str) -> bool:
        return any(_is_page(part) for room in rooms if (part := _below(name, room)))

    return is_foreign


def _is_page(path: PurePosixPath) -> bool:
    folder = path.parts[0] if len(path.parts) > 1 else ""
    is_page = not folder and (path.suffix in _PAGES or path.name == "README.txt")
    return is_page or folder == "assets" or folder.endswith("_media")


def _foreign_to_old(months: PurePosixPath) -> Callable[[str], bool]:
    """months: the folder with a file a month, `data/js/tweets`."""
    root = PurePosixPath(*months.parts[: -len(_MONTHS)]) if months.parts[-len(_MONTHS) :] == _MONTHS else months

    def is_foreign(name: str) -> bool:
        path = _below(name, root)
        return path is not None and (path.parts[0] in _OLD_PAGES or (root == months and path.suffix in _PAGES))

    return is_foreign


_MONTHS = ("data", "js", "tweets")


def _below(name: str, folder: PurePosixPath) -> PurePosixPath | None:
    path = PurePosixPath(name)
    return path.relative_to(folder) if path.is_relative_to(folder) else None
