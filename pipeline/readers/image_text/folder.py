"""Image-text sets in folders: files of one name, or pictures that a Hugging Face table of metadata names.

Such a folder is one dump. Its pictures stay where they are: the image stage looks for them there.
"""

import hashlib
import io
import re
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path

from m3h.pipeline.readers.image_text import metadata
from m3h.pipeline.readers.image_text.members import PICTURES, TEXTS, are_pairs, is_hidden, key_of, suffix_of
from m3h.pipeline.readers.image_text.samples import Limits, Located, Members, samples_of
from m3h.pipeline.readers.record import RecordFault
from m3h.pipeline.readers.streams import buffered
from m3h.pipeline.runtime.filesystems import blocks_of, sha256_of

IMAGE_TEXT = "image-text"
"""The format of a folder that is a set."""


def sets_in(folder: Path) -> dict[Path, list[Path]]:
    """The sets among `folder` and all folders below it, each with its files. A table covers all below its folder."""
    found: dict[Path, list[Path]] = {}
    with_table: list[Path] = []
    for place in [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]:
        if is_hidden(place.relative_to(folder).as_posix()) or any(map(place.is_relative_to, with_table)):
            continue
        if table := metadata.table_of(place):
            with_table.append(place)
            found[place] = [table, *(place.joinpath(name) for name in _pictures_below(place))]
        elif are_pairs(names := _own_files(place)):
            found[place] = [place.joinpath(name) for name in _named_like(place, set(map(key_of, names)))]
    return found


def _named_like(folder: Path, keys: Collection[str]) -> list[str]:
    """The files of these keys in a folder, such as `KEY.features.npy` too, which are read by nobody."""
    names = (path.name for path in folder.iterdir() if path.is_file())
    return [name for name in names if any(name[: dot.start()] in keys for dot in re.finditer(r"\.", name))]


def located_in(folder: Path, name: str, limits: Limits, on_bytes: Callable[[int], None]) -> Iterator[Located]:
    """Every record of a set, each of one position.

    Args:
        folder: of the set.
        name: of the dump. Its ids begin with it.
        limits: for texts; pictures are not read.
        on_bytes: called with the number of bytes of each text.
    """
    if table := metadata.table_of(folder):
        described = metadata.Table(table.name, name, _pictures_below(folder))
        with table.open("rb") as file:
            yield from described.located(buffered(_counted(blocks_of(file), on_bytes)), limits)
        return
    for position, sample in enumerate(samples_of(_members(folder, limits, on_bytes), limits), start=1):
        yield position, sample.raw, [sample.record(name)]


def _counted(blocks: Iterator[bytes], on_bytes: Callable[[int], None]) -> Iterator[bytes]:
    for block in blocks:
        on_bytes(len(block))
        yield block


def size_of_set(folder: Path) -> int:
    """Bytes of the texts of a set."""
    return sum(path.stat().st_size for path in _texts(folder))


def sha256_of_set(folder: Path) -> str:
    """Hex digest of the names in a set and of its texts. Of pictures, what a record was found to show is kept."""
    digest = hashlib.sha256()
    names = _pictures_below(folder) if metadata.table_of(folder) else _own_files(folder)
    for line in chain(names, (f"{path.name} {sha256_of(str(path))}" for path in _texts(folder))):
        digest.update(f"{line}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _texts(folder: Path) -> list[Path]:
    if table := metadata.table_of(folder):
        return [table]
    return [folder.joinpath(name) for name in _own_files(folder) if suffix_of(name) in TEXTS]


def _own_files(folder: Path) -> list[str]:
    """Names of the pictures and texts in a folder itself, those of one record side by side."""
    names = (path.name for path in folder.iterdir() if suffix_of(path.name) in (*PICTURES, *TEXTS) and path.is_file())
    return sorted((name for name in names if not is_hidden(name)), key=lambda name: (key_of(name), name))


def _pictures_below(folder: Path) -> list[str]:
    """Paths of the pictures in a folder and below it."""
    paths = (path for path in folder.rglob("*") if suffix_of(path.name) in PICTURES and path.is_file())
    return sorted(name for path in paths if not is_hidden(name := path.relative_to(folder).as_posix()))


def _members(folder: Path, limits: Limits, on_bytes: Callable[[int], None]) -> Members:
    """The files of a folder. Pictures have no content here. A text that cannot be read costs its own record only."""
    for name in _own_files(folder):
        if suffix_of(name) in PICTURES:
            yield name, None
            continue
        try:
            with folder.joinpath(name).open("rb") as file:
                data = file.read(limits.text + 1)
            on_bytes(len(data))
            yield name, io.BufferedReader(io.BytesIO(data))
        except OSError as error:
            yield name, RecordFault("unreadable_file", error.strerror or type(error).__name__)
