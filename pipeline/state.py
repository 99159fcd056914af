"""The working state of a build that is not finished: DATASET/.build, gone once the manifest is written."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.parts import IMAGE_LIST
from schemas.errors import IntegrityError, UsageError
from schemas.files import publish_bytes, publish_json, read_json, temp_files, told_of
from schemas.lock import alone
from schemas.manifest import MANIFEST, Manifest

FOLDER = ".build"

_ROOM, _ROOM_A_FILE = 1 << 20, 1 << 10
"""Bytes that a manifest and what else is written after the files are in their place may take."""


class BuildState:
    """Paths and markers of a build in progress."""

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset
        self.folder = dataset / FOLDER
        self.receipts = self.folder / "receipts"
        self.tallies = self.folder / "tallies.json"
        self.image_list = self.folder / "images.txt"
        self.stdin = self.folder / "stdin"
        self.next = self.folder / "next"
        self.crawl = self.folder / "crawl"
        self.judged = self.folder / "judged"
        self.readings = self.folder / "readings"
        self.forgetting = self.folder / "forget.json"
        self._signature = self.folder / "signature.json"
        self._records = self.folder / "records.json"
        self.compacting = self.folder / "compact.json"
        self._installing = self.folder / "installing.json"
        self._leaving = self.folder / "leaving.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one build at a time may write into a dataset. UsageError where another one runs.

        The system takes the lock from whoever dies.
        """
        with alone(self.folder / "lock", f"{self.dataset}: another build is writing here; wait for it, or end it."):
            self.remove_leaving()
            Manifest.settle(self.dataset)
            yield

    def refuse_changed(self, known: Manifest | None) -> None:
        """UsageError where the dataset is another one than before the lock was taken."""
        now = Manifest.read(self.dataset) if (self.dataset / MANIFEST).is_file() else None
        if now != known:
            raise UsageError(f"{self.dataset}: another command has changed it meanwhile; run this one again.")

    def sweep(self) -> None:
        """Remove what killed writers left half done."""
        for path in temp_files(self.dataset):
            path.unlink(missing_ok=True)

    def begin(self, signature: dict[str, Any]) -> None:
        """Go on with the build of these inputs and rules; what an unfinished build of others left is removed first.

        The image store stays: its files are named by their content, and publishing removes those nobody shows.
        UsageError where forget or compact was interrupted.
        """
        self._refuse_changing()
        if not self._signature.is_file() or read_json(self._signature) != signature:
            self._records.unlink(missing_ok=True)
            self.forget_records()
            for kept in (self.receipts, self.readings):
                shutil.rmtree(kept, ignore_errors=True)
        publish_json(self._signature, signature)

    def _refuse_changing(self) -> None:
        for marker, command in ((self.forgetting, "forget"), (self.compacting, "compact")):
            if marker.is_file():
                raise UsageError(f"{self.dataset}: {command} was interrupted halfway; run {command} again first.")

    def refuse_unfinished(self, *mine: str) -> None:
        """UsageError where work has begun here and was not finished: its rows are in no manifest yet.

        mine: work, by a field of its signature, that may go on or be given up.
        """
        self._refuse_changing()
        begun = read_json(self._signature) if self._signature.is_file() else {}
        if self.is_unfinished and begun.keys().isdisjoint(mine):
            raise UsageError(f"{self.dataset}: an unfinished build lies in {self.folder}; run its command again first.")

    @property
    def is_unfinished(self) -> bool:
        """Whether work that writes new rows has begun here."""
        return self._signature.is_file() or self.is_installing

    @property
    def records_done(self) -> bool:
        """Whether posts/, dropped/ and the image store are finished."""
        return self._records.is_file()

    def mark_records_done(self) -> None:
        """Written last of the records' phase."""
        publish_json(self._records, True)
        for kept in (self.judged, self.readings):
            shutil.rmtree(kept, ignore_errors=True)

    def forget_records(self) -> None:
        """Before the records' phase is done anew: no rows of an unfinished one may stay."""
        shutil.rmtree(self.next, ignore_errors=True)

    @property
    def records(self) -> Path:
        """The folder in which this build's posts/, dropped/ and images.parquet lie: new ones wait to be installed."""
        return self.next if self.records_done and record_files(self.next) else self.dataset

    @property
    def is_installing(self) -> bool:
        """Whether the last build was killed between its last shard and its manifest."""
        return self._installing.is_file()

    def install(self) -> None:
        """Put new records in the place of the old ones. Killed in the middle, the same call goes on from there.

        Until here an earlier dataset in this folder is whole.
        """
        if not self.next.is_dir():
            return
        waiting = {path.relative_to(self.next).as_posix(): path for path in self.next.rglob("*") if path.is_file()}
        names = {*waiting, *self._named(self._installing)}
        room = self.folder / "room"
        publish_bytes(room, bytes(_ROOM + _ROOM_A_FILE * len(names)))  # a disk that is full now is full in time
        publish_json(self._installing, sorted(names))
        if any(map(_holds_records, names)):
            for old in record_files(self.dataset):
                if old.relative_to(self.dataset).as_posix() not in names:
                    old.unlink()
        for name, new in sorted(waiting.items()):
            target = self.dataset / name
            target.parent.mkdir(parents=True, exist_ok=True)
            new.replace(target)
        shutil.rmtree(self.next)
        room.unlink()

    def let_leave(self, names: Iterable[str]) -> None:
        """Note which files the next manifest no longer lists; `remove_leaving` removes them after it was written."""
        publish_json(self._leaving, sorted(names))

    def remove_leaving(self) -> None:
        """Remove the files that were to leave and that no manifest lists any more, now or after a kill."""
        if not self._leaving.is_file():
            return
        gone = self._named(self._leaving).difference(Manifest.read(self.dataset).files)
        for path in sorted(self.dataset / name for name in gone):
            path.unlink(missing_ok=True)
            if path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()
        self._leaving.unlink()

    @property
    def in_transit(self) -> set[str]:
        """Files that a manifest is about to list, has just ceased to list, or that a killed writer left half done."""
        if not self.folder.is_dir():
            return set()
        half = {path.relative_to(self.dataset).as_posix() for path in temp_files(self.dataset)}
        return half | self._named(self._installing) | self._named(self._leaving)

    def _named(self, marker: Path) -> set[str]:
        names: list[str] = read_json(marker) if marker.is_file() else []
        with told_of(marker):
            outside = [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]
        if outside:
            raise IntegrityError(f"{marker}: names a file that lies outside the dataset; remove {self.folder}.")
        return set(names)

    def finish(self) -> None:
        """The manifest is written: nothing here is needed any more. What asks for more work goes first."""
        for marker in (self._installing, self._signature, self.forgetting, self.compacting):
            marker.unlink(missing_ok=True)
        shutil.rmtree(self.folder)


def record_files(folder: Path) -> list[Path]:
    """The files of a folder that hold records: posts, dropped ones, and the list of images."""
    return [path for pattern in _RECORDS for path in folder.glob(pattern)]


def _holds_records(name: str) -> bool:
    """Whether a name in a dataset is one of `record_files`."""
    return any(PurePosixPath(name).match(pattern) for pattern in _RECORDS)


_RECORDS = ("posts/part-*.parquet", "dropped/part-*.parquet", IMAGE_LIST)
