"""Finds dump files by path, glob, folder, URL or standard input."""

import glob
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from posixpath import basename
from typing import TypeVar

from m3h.pipeline.readers import cmkp
from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.files.names import told_apart
from m3h.pipeline.readers.files.personal_archives import HEAD_BYTES, record_files
from m3h.pipeline.readers.formats import CMKP, FORMATS
from m3h.pipeline.readers.image_text.folder import IMAGE_TEXT, sets_in
from m3h.pipeline.readers.image_text.sidecars import without_sidecars
from m3h.pipeline.runtime.filesystems import is_remote, matching
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish

T = TypeVar("T")

STDIN = "-"
_GLOB_CHARACTERS = "*?["


def find_dumps(patterns: Sequence[str], forced_format: str = "", stdin_copy: Path | None = None) -> list[DumpFile]:
    """The dump files that paths, globs, folders, URLs and `-` lead to, sorted by name.

    A folder with at least one of `{train,valid,test}_src.txt` is a released dataset. In any other folder every file is
    a dump, but for pictures, videos and those files of a personal archive that hold no posts.

    Args:
        patterns: paths, globs, folders, URLs, or `-` for standard input.
        forced_format: one of formats.FORMATS for all files; "" detects the format of each record.
        stdin_copy: file that keeps standard input during the build, so that a resumed build can read it again. None
            refuses `-`.

    Raises:
        UsageError: the format is unknown, a pattern leads to no dump, or a file is given twice.
    """
    if forced_format and forced_format not in FORMATS:
        raise UsageError(f"--format {forced_format}: expected one of {', '.join(FORMATS)}.")
    found: list[DumpFile] = []
    for pattern in patterns:
        found += _matching_dumps(pattern, forced_format, stdin_copy)
    return sorted(told_apart(found))


def _matching_dumps(pattern: str, forced_format: str, stdin_copy: Path | None) -> list[DumpFile]:
    if pattern == STDIN:
        if stdin_copy is None:
            raise UsageError("--dumps -: standard input cannot be read here.")
        _keep_stdin(stdin_copy)
        return [DumpFile("stdin", str(stdin_copy), forced_format)]
    if is_remote(pattern):
        return _remote_files(pattern, forced_format)
    path = Path(pattern)
    if path.is_dir():
        return _folder_files(path, forced_format)
    if path.is_file():
        return [_file(pattern, path.name, forced_format)]
    matches = sorted(match for match in glob.glob(pattern, recursive=True) if Path(match).is_file())  # noqa: PTH207 (** and absolute)
    if not matches:
        raise UsageError(f"--dumps {pattern}: no such file, folder or match.")
    dumps = record_files(map(str, without_sidecars(list(map(Path, matches)))), _head_of)
    return [_file(match, Path(match).name, forced_format) for match in _some(dumps, pattern)]


def _file(path: str, name: str, forced_format: str) -> DumpFile:
    if forced_format == CMKP:
        raise UsageError(
            f"--dumps {path}: format cmkp is a local folder with train_src.txt, valid_src.txt or test_src.txt."
        )
    return DumpFile(name, path, forced_format)


def _remote_files(pattern: str, forced_format: str) -> list[DumpFile]:
    """Files of a URL. A file below a folder URL is named by its path within the folder, any other by its last part."""
    folder = pattern.rstrip("/") + "/"
    dumps = []
    for url in matching(pattern):
        inside = url.startswith(folder) and not any(character in pattern for character in _GLOB_CHARACTERS)
        name = url.removeprefix(folder) if inside else basename(url)
        if not basename(url).startswith("."):
            dumps.append(_file(url, name, forced_format))
    if not dumps:
        raise UsageError(f"--dumps {pattern}: no such file, folder or match.")
    return dumps


def _folder_files(folder: Path, forced_format: str) -> list[DumpFile]:
    splits = cmkp.source_files(folder)
    if forced_format in ("", CMKP) and splits:
        return [DumpFile(path.name, str(path), CMKP) for path in splits.values()]
    if forced_format == CMKP:
        raise UsageError(f"--dumps {folder}: expected train_src.txt, valid_src.txt or test_src.txt in it.")
    sets = {} if forced_format else sets_in(folder)
    in_sets = {path for paths in sets.values() for path in paths}
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise UsageError(f"--dumps {folder}: the folder holds no files.")
    others = without_sidecars([path for path in files if path not in in_sets], sets)
    names = (path.relative_to(folder).as_posix() for path in others)
    dumps = record_files(names, lambda name: _head_of(str(folder / name)))
    found = [DumpFile(name, str(folder / name), forced_format) for name in dumps]
    return _some([*found, *(_set(place, folder) for place in sets)], str(folder))


def _set(place: Path, folder: Path) -> DumpFile:
    """An image-text set: `folder` itself, or a folder below it."""
    name = folder.absolute().name if place == folder else place.relative_to(folder).as_posix()
    return DumpFile(name, str(place), IMAGE_TEXT)


def _some(dumps: list[T], pattern: str) -> list[T]:
    """The files, if there are any."""
    if not dumps:
        raise UsageError(f"--dumps {pattern}: no file with posts: only pictures, and what tells of an account's owner.")
    return dumps


def _head_of(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(HEAD_BYTES)


def _keep_stdin(copy: Path) -> None:
    def write(temp: Path) -> None:
        with open(temp, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)

    publish(copy, write)
