"""The working folder of an unfinished build: DATASET/.build. It is removed once the manifest is written."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from m3h.schemas.files import publish_bytes, publish_json, read_json, sha256_file, temp_files, validating
from m3h.schemas.inside import (
    file_in,
    files_in,
    folder_in,
    move_in,
    name_of,
    refuse_other_names,
    remove,
    remove_if_empty,
    remove_tree,
    walk,
)
from m3h.schemas.lock import alone
from m3h.schemas.manifest import Manifest

FOLDER = ".build"

_ROOM, _ROOM_A_FILE = 1 << 20, 1 << 10
"""Bytes that the manifest and other files may take that are written after the dataset's files are in place."""


class Workspace:
    """Paths and markers of a build in progress."""

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset
        self.folder = folder_in(dataset, FOLDER)
        self.receipts, self.next, self.crawl = map(self._folder, ("receipts", "next", "crawl"))
        self.verdicts, self.text_cache, self.embedded = map(self._folder, ("judged", "readings", "embedded"))
        self.tallies, self.unread = map(self._file, ("tallies.json", "unread.json"))
        self.kept_by_rule, self.image_list = map(self._file, ("rare_hashtags.json", "images.txt"))
        self.stdin = self._file("stdin")
        self._signature, self._records = map(self._file, ("signature.json", "records.json"))
        self._installing, self._to_remove = map(self._file, ("installing.json", "leaving.json"))

    def _folder(self, name: str) -> Path:
        return folder_in(self.folder, name)

    def _file(self, name: str) -> Path:
        return file_in(self.folder, name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the dataset's lock: only one build at a time may write into it. The lock ends with the process.

        Raises:
            UsageError: Another build is running.
        """
        try:
            with alone(self._file("lock"), f"{self.dataset}: another build is writing here; wait for it, or end it."):
                yield
        finally:
            with suppress(OSError):  # unfinished work stays
                remove_if_empty(self.folder)

    def journal(self, command: str) -> Path:
        """The file in which a command notes what it is going to publish."""
        return self._file(f"{command}.json")

    def remove_temp_files(self) -> None:
        """Remove the incomplete files of killed processes."""
        for path in temp_files(self.dataset):
            path.unlink(missing_ok=True)

    def begin(self, signature: dict[str, Any]) -> None:
        """Begin or resume the work of this signature. What unfinished work of another signature left is removed first.

        The image store stays. Its files are named by their content, and publishing removes those that no post shows.
        """
        if self.signature != signature:
            self._installing.unlink(missing_ok=True)  # or the names in it would protect old files
            self.discard_records()
            self._remove_trees(self.receipts, self.text_cache, self.embedded)
        publish_json(self._signature, signature)

    @property
    def signature(self) -> dict[str, Any]:
        """The signature of unfinished work. Empty where there is none."""
        if not self._signature.is_file():
            return {}
        with validating(self._signature) as path:
            return dict(read_json(path))

    @property
    def is_unfinished(self) -> bool:
        """Whether there is unfinished work that writes new rows."""
        return self._signature.is_file() or self.is_installing

    @property
    def records_done(self) -> bool:
        """Whether posts/, dropped/ and the image store are finished."""
        return self._records.is_file()

    def mark_records_done(self) -> None:
        """Note that the records are finished, and remove what only their making needs."""
        publish_json(self._records, True)
        self._remove_trees(self.verdicts, self.text_cache, self.embedded)

    def _remove_trees(self, *folders: Path) -> None:
        for folder in folders:
            remove_tree(self.folder, folder.name, ignore_errors=True)

    def discard_records(self) -> None:
        """Have the records made anew, as if they had never been finished."""
        self._records.unlink(missing_ok=True)
        self.discard_staged()

    def discard_staged(self) -> None:
        """Remove the staged files, so that no rows of unfinished work stay when it is done anew."""
        self._remove_trees(self.next)
        self.kept_by_rule.unlink(missing_ok=True)

    @property
    def records(self) -> Path:
        """The folder with this build's posts/, dropped/ and images.parquet. New ones are still staged in `next`."""
        return self.next if self.records_done and record_files(self.next) else self.dataset

    @property
    def is_installing(self) -> bool:
        """Whether the last build was killed while it moved files into place or wrote its manifest."""
        return self._installing.is_file()

    def is_half_installed(self, known: Manifest | None) -> bool:
        """Whether files that `known` lists were already replaced by files of unfinished work."""
        for name in self._named(self._installing):
            path, entry = file_in(self.dataset, name), known.files.get(name) if known else None
            if entry and not (path.is_file() and sha256_file(path) == entry.sha256):
                return True
        return False

    @property
    def staged(self) -> dict[str, Path]:
        """The staged files by the names that they will have in the dataset."""
        return {name_of(self.next, path): path for path in walk(self.next)}

    def install(self) -> None:
        """Move the staged files into the dataset. After a kill in the middle, the same call continues.

        Until this call an earlier dataset in this folder is whole.
        """
        if not self.next.is_dir():
            return
        staged = self.staged
        refuse_other_names(list(staged), self.next)
        names = {*staged, *self._named(self._installing)}
        room = self._file("room")
        publish_bytes(room, bytes(_ROOM + _ROOM_A_FILE * len(names)))  # a full disk is found before anything is moved
        publish_json(self._installing, sorted(names))
        if any(map(_holds_records, names)):
            for earlier in record_files(self.dataset):
                if name_of(self.dataset, earlier) not in names:
                    earlier.unlink()
        for name, path in sorted(staged.items()):
            move_in(path, self.dataset, name)
        remove_tree(self.folder, self.next.name)
        room.unlink()

    def schedule_removal(self, names: Iterable[str]) -> None:
        """Note the files that the next manifest no longer lists. `remove_scheduled` removes them once it is written."""
        publish_json(self._to_remove, sorted(names))

    def remove_scheduled(self) -> None:
        """Remove the noted files that the manifest does not list. After a kill, the next call does it."""
        if not self._to_remove.is_file():
            return
        names = self._named(self._to_remove)  # none where a first build was killed before it wrote its manifest
        unlisted = names.difference(Manifest.read(self.dataset).files) if names else set()
        for name in sorted(unlisted):
            remove(self.dataset, name)
            remove_if_empty(file_in(self.dataset, name).parent)
        self._to_remove.unlink()

    @property
    def in_transit(self) -> set[str]:
        """Files that are being moved in, are about to be removed, or were left incomplete by a killed process."""
        if not self.folder.is_dir():
            return set()
        incomplete = {name_of(self.dataset, path) for path in temp_files(self.dataset)}
        return incomplete | self._named(self._installing) | self._named(self._to_remove)

    def _named(self, marker: Path) -> set[str]:
        names: list[str] = read_json(marker) if marker.is_file() else []
        refuse_other_names(names, marker)
        return set(names)

    def finish(self) -> None:
        """Remove the working folder; the manifest is written. The markers of unfinished work are removed first."""
        for marker in (self._installing, self._signature):
            marker.unlink(missing_ok=True)
        remove_tree(self.dataset, FOLDER)


def record_files(folder: Path) -> list[Path]:
    """The files of a folder that hold records: the posts, the dropped records, and what is known of images."""
    return [path for pattern in _RECORDS for path in files_in(folder, pattern)]


def _holds_records(name: str) -> bool:
    """Whether a file name in a dataset is one of `record_files`."""
    return any(PurePosixPath(name).match(pattern) for pattern in _RECORDS)


_RECORDS = ("posts/part-*.parquet", "dropped/part-*.parquet", "images/*.parquet")
