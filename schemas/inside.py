"""The one way to the files inside a dataset folder: a name in it cannot lead out of it, whoever made the folder.

Names are checked against a grammar, no link below the folder is followed, and only regular files are opened. So a named
pipe never makes a command wait. The folder itself may be a link: its user has named it. `tests/schemas/inside` reads
the source and finds any other way. A process that changes the folder at the same time is not defended against.
"""

import fnmatch
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from m3h.schemas.errors import IntegrityError, UsageError

_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}  # the rest are devices


def require_dataset(folder: Path) -> Path:
    """The folder itself. Commands ask before they import what reads it, so that a wrong name costs nothing.

    Raises:
        UsageError: There is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such dataset folder.")
    return folder


def is_name(name: object) -> bool:
    """Whether a value is a name inside a dataset: parts of letters, digits, dots, dashes and underscores, no `..`."""
    return isinstance(name, str) and all(map(_SEGMENT.match, name.split("/")))


def refuse_other_names(names: object, file: Path) -> None:
    """Check the names that a file of the dataset lists, before any of them is used.

    Raises:
        IntegrityError: `names`, read from `file`, is no list of names inside a dataset.
    """
    if not isinstance(names, list):
        raise IntegrityError(f"{file}: expected a list of names, found {type(names).__name__}. Remove it.")
    if wrong := [name for name in names if not is_name(name)]:
        raise IntegrityError(
            f"{file}: names {_shortly(wrong[0])}, which lies outside the dataset or is no name of a file in it. "
            f"Nothing was touched. Restore {file.name}, or remove it."
        )


def file_in(folder: Path, name: str) -> Path:
    """The path of a file inside a dataset. It may be absent; what is there is a regular file below real folders.

    Args:
        folder: The dataset, or one of its folders that was found by `folder_in`.
        name: The file's name, with `/` between folders.

    Raises:
        IntegrityError: The name leads elsewhere, or a link, a pipe or a folder is in the file's place.
    """
    return _checked(folder, name, stat.S_IFREG)


def folder_in(folder: Path, name: str) -> Path:
    """As `file_in`, of a folder."""
    return _checked(folder, name, stat.S_IFDIR)


def has_file(folder: Path, name: str) -> bool:
    """Whether the file is there. Raises as `file_in`."""
    return file_in(folder, name).exists()


def _checked(folder: Path, name: str, kind: int) -> Path:
    if not is_name(name):
        raise IntegrityError(f"{folder}: {_shortly(name)} is no name inside a dataset. Build the dataset anew.")
    parts, path = name.split("/"), os.fspath(folder)
    for number, part in enumerate(parts, start=1):
        path = f"{path}/{part}"
        try:
            found = stat.S_IFMT(os.lstat(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            break
        expected = kind if number == len(parts) else stat.S_IFDIR
        if found != expected:
            raise IntegrityError(f"{path}: expected {_KINDS[expected]}, found {_kind(found)}. {_ADVICE}")
    return Path(folder, name)


_ADVICE = "A dataset holds only files and folders of its own, so nothing was read or changed through it. Remove it."


def _kind(found: int) -> str:
    return _KINDS.get(found, "a device")


def _shortly(name: object) -> str:
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:79]}…"


def picture_file(store: Path, image_sha256: object) -> Path:
    """The file of a picture in a store: ab/<sha256>.jpg.

    Args:
        store: The folder of the pictures.
        image_sha256: Of the picture's bytes, 64 hex digits. Tables and ledgers of others may say anything here.

    Raises:
        IntegrityError: It is no sha256, or something else than a file is in its place.
    """
    if not isinstance(image_sha256, str) or not _SHA256.match(image_sha256):
        raise IntegrityError(
            f"{store}: a picture is named {_shortly(image_sha256)}, expected a sha256. Build the dataset anew."
        )
    return file_in(store, f"{image_sha256[:2]}/{image_sha256}.jpg")


def files_in(folder: Path, pattern: str) -> list[Path]:
    """The files whose names match, sorted. No link is followed.

    Args:
        folder: The dataset, or one of its folders that was found by `folder_in`.
        pattern: Such as `images/*/*.jpg`. `*` stands for any part of one name.

    Raises:
        IntegrityError: What matches is a link, or neither a file nor a folder.
    """
    return [Path(entry.path) for entry in _matching(folder, pattern) if entry.is_file(follow_symlinks=False)]


def folders_in(folder: Path, pattern: str) -> list[Path]:
    """As `files_in`, of folders."""
    return [Path(entry.path) for entry in _matching(folder, pattern) if entry.is_dir(follow_symlinks=False)]


def _matching(folder: Path, pattern: str) -> list["os.DirEntry[str]"]:
    folders, found = [os.fspath(folder)], list["os.DirEntry[str]"]()
    for part in pattern.split("/"):
        found = [entry for path in folders for entry in _entries(path) if fnmatch.fnmatchcase(entry.name, part)]
        for problem in filter(None, map(_strangeness, found)):
            raise IntegrityError(problem)
        folders = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
    return found


def _entries(path: str) -> list["os.DirEntry[str]"]:
    """What lies in a folder, sorted by name; nothing where there is no folder."""
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _strangeness(entry: "os.DirEntry[str]") -> str:
    """A sentence about what is neither a file nor a folder. Nothing where another command has removed it meanwhile."""
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
        return ""
    try:
        found = _kind(stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode))
    except FileNotFoundError:
        return ""
    return f"{entry.path}: expected a file or a folder, found {found}. {_ADVICE}"


def refuse_strange(folder: Path) -> None:
    """Check that only files and folders lie in a dataset. It costs one look at each folder, none at the files.

    Every command does this before it begins. Without it a command would only stop where it meets the first link.

    Raises:
        IntegrityError: There is a link, a named pipe, a socket or a device. The message names it.
    """
    for problem in strange_entries(folder):
        raise IntegrityError(problem)


def strange_entries(folder: Path) -> Iterator[str]:
    """One sentence for each link, named pipe, socket or device in a dataset."""
    for entry in _below(folder):
        if problem := _strangeness(entry):
            yield problem


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder. Links are neither followed nor listed."""
    return (Path(entry.path) for entry in _below(folder) if entry.is_file(follow_symlinks=False))


def _below(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Everything below a folder, without following links. What this user may not list, such as lost+found, is left."""
    waiting = [os.fspath(folder)]
    while waiting:
        with suppress(PermissionError):
            for entry in _entries(waiting.pop()):
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def name_of(folder: Path, path: Path) -> str:
    """The name of a path inside a dataset, as a manifest lists it."""
    return path.relative_to(folder).as_posix()


def remove(folder: Path, name: str) -> None:
    """Remove a file, if it is there."""
    file_in(folder, name).unlink(missing_ok=True)


def remove_tree(folder: Path, name: str, *, ignore_errors: bool = False) -> None:
    """Remove a folder with all that lies in it, if it is there. Links in it are removed, never followed."""
    path = folder_in(folder, name)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors)


def remove_if_empty(path: Path) -> None:
    """Remove a folder of a dataset, found by `folder_in` or `folders_in`, in which nothing lies."""
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()


def copy_in(path: Path, folder: Path, name: str) -> None:
    """Copy a file to its place in a folder of a dataset.

    Args:
        path: The file.
        folder: The dataset, or one of its folders that was found by `folder_in`.
        name: Of its place.
    """
    target = file_in(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def link_in(path: Path, folder: Path, name: str) -> bool:
    """Give a file of a dataset a second name in it. Where the file system has no such links, nothing is done.

    Args:
        path: The file. It may be absent.
        folder: The dataset.
        name: The second name. Where something has it already, that stays.

    Returns:
        Whether it has that name only now.
    """
    target = file_in(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(path, target, follow_symlinks=False)
        return True
    return False


def move_in(path: Path, folder: Path, name: str) -> None:
    """Move a file to its place in a dataset, in one step. An older file there is replaced.

    Args:
        path: The file, on the same disk.
        folder: The dataset.
        name: Of its place.
    """
    target = file_in(folder, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
