"""Dump files found by path, glob, folder, URL or standard input."""

import glob
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from posixpath import basename

from pipeline.readers import cmkp
from pipeline.readers.dumps import DumpFile
from pipeline.readers.formats import CMKP, FORMATS
from pipeline.storage import is_remote, matching
from schemas.errors import UsageError

STDIN = "-"
_MAGIC = "*?["


def find_dumps(patterns: Sequence[str], forced: str = "", stdin_copy: Path | None = None) -> list[DumpFile]:
    """Files behind paths, globs, folders, URLs and `-`. UsageError where one of them leads to nothing.

    A folder with any of `{train,valid,test}_src.txt` is a released dataset; of any other, every file is read.
    stdin_copy: where standard input is kept while the build lasts, so that a resumed build can read it again.
    """
    if forced and forced not in FORMATS:
        raise UsageError(f"--format {forced}: expected one of {', '.join(FORMATS)}.")
    found: list[DumpFile] = []
    for pattern in patterns:
        found += _behind(pattern, forced, stdin_copy)
    names = [dump.name for dump in found]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--dumps: {doubled[0]} is named twice; records could not be told apart by their file.")
    return sorted(found)


def _behind(pattern: str, forced: str, stdin_copy: Path | None) -> list[DumpFile]:
    if pattern == STDIN:
        if stdin_copy is None:
            raise UsageError("--dumps -: standard input cannot be read here.")
        _keep_stdin(stdin_copy)
        return [DumpFile("stdin", str(stdin_copy), forced)]
    if is_remote(pattern):
        return _remote(pattern, forced)
    path = Path(pattern)
    if path.is_dir():
        return _folder(path, forced)
    matches = [pattern] if path.is_file() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (** and absolute)
    dumps = [dump for match in matches if Path(match).is_file() for dump in _file(match, Path(match).name, forced)]
    if not dumps:
        raise UsageError(f"--dumps {pattern}: no such file, folder or match.")
    return dumps


def _file(path: str, name: str, forced: str) -> list[DumpFile]:
    if forced == CMKP:
        raise UsageError(
            f"--dumps {path}: format cmkp is a local folder with train_src.txt, valid_src.txt or test_src.txt."
        )
    return [DumpFile(name, path, forced)]


def _remote(pattern: str, forced: str) -> list[DumpFile]:
    """A URL's file by its last name; files below a URL that is a folder by their names inside it."""
    folder = pattern.rstrip("/") + "/"
    dumps = []
    for url in matching(pattern):
        inside = url.startswith(folder) and not any(mark in pattern for mark in _MAGIC)
        name = url.removeprefix(folder) if inside else basename(url)
        dumps += _file(url, name, forced) if not basename(url).startswith(".") else []
    if not dumps:
        raise UsageError(f"--dumps {pattern}: no such file, folder or match.")
    return dumps


def _folder(folder: Path, forced: str) -> list[DumpFile]:
    splits = cmkp.source_files(folder)
    if forced in ("", CMKP) and splits:
        return [DumpFile(path.name, str(path), CMKP) for path in splits.values()]
    if forced == CMKP:
        raise UsageError(f"--dumps {folder}: expected train_src.txt, valid_src.txt or test_src.txt in it.")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not files:
        raise UsageError(f"--dumps {folder}: the folder holds no files.")
    return [DumpFile(path.relative_to(folder).as_posix(), str(path), forced) for path in files]


def _keep_stdin(copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    with open(copy, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
