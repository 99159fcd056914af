"""What the files of an image-text set are, by their names, and which of them belong together."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import quote

PICTURES = frozenset("jpg jpeg jpe jfif png webp gif bmp tif tiff avif heic".split())  # noqa: SIM905
"""Suffixes of pictures, in lower case. Which of them are kept is decided by their bytes."""

TEXTS = ("json", "jsn", "txt", "text", "caption")
"""Suffixes of texts, in lower case."""

NO_BYTES = hashlib.sha256(b"").hexdigest()
"""What a reader gives as `embedded` of a picture that the dump holds and that has no bytes."""

_IN_NO_ID = re.compile(r"[\s,;:\"'{}\[\]%]")

_LOOKED_AT = 8
"""Keys at the beginning of a set of which one must have a picture and a text."""


def suffix_of(name: str) -> str:
    """The last suffix of a file's name, in lower case and without its dot."""
    return PurePosixPath(name).suffix[1:].lower()


def key_of(name: str) -> str:
    """What the files of one record share: the path without the last suffix."""
    return name[: -len(suffix)] if (suffix := PurePosixPath(name).suffix) else name


def record_id(dump: str, key: str) -> str:
    """The id of a record that states none: the name of its dump and its key, as one word that a list of ids may hold.

    Args:
        dump: the name of the set.
        key: of its files.
    """
    return _IN_NO_ID.sub(lambda found: quote(found[0], safe=""), f"{dump}/{key.removeprefix('./')}")


def is_hidden(name: str) -> bool:
    """Whether a file, or a folder it lies in, is hidden. macOS packs one (`__MACOSX/._a.jpg`) with each real file."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts if part not in (".", ".."))


def are_pairs(names: Iterable[str]) -> bool:
    """Whether files are an image-text set: one of the first keys has a picture and a text.

    Args:
        names: of files, in their order. No more are asked for than needed.
    """
    key, number, suffixes = "", 0, set[str]()
    for name in names:
        if is_hidden(name):
            continue
        if key_of(name) != key:
            key, number, suffixes = key_of(name), number + 1, set()
        if number > _LOOKED_AT:
            return False
        suffixes.add(suffix_of(name))
        if not suffixes.isdisjoint(PICTURES) and not suffixes.isdisjoint(TEXTS):
            return True
    return False
