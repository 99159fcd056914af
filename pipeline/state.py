"""The working state of a build that is not finished: DATASET/.build, gone once the manifest is written."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.parts import IMAGE_LIST
from schemas.errors import UsageError
from schemas.files import publish_json, read_json, temp_files

FOLDER = ".build"


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
        self.forgetting = self.folder / "forget.json"
        self._signature = self.folder / "signature.json"
        self._records = self.folder / "records.json"
        self._installing = self.folder / "installing.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only one build at a time may write into a dataset. UsageError where another one runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"{self.dataset}: another build is writing here; wait for it, or end it.") from error
            yield

    def sweep(self) -> None:
        """Remove what killed writers left half done."""
        for path in temp_files(self.dataset):
            path.unlink(missing_ok=True)

    def begin(self, signature: dict[str, Any]) -> None:
        """Go on with the build of these inputs and rules; what an unfinished build of others left is removed first.

        The image store stays: its files are named by their content, and publishing removes those nobody shows.
        UsageError where posts were being forgotten.
        """
        if self.forgetting.is_file():
            raise UsageError(f"{self.dataset}: posts were being forgotten when that was interrupted; run forget again.")
        if not self._signature.is_file() or read_json(self._signature) != signature:
            self._records.unlink(missing_ok=True)
            self.forget_records()
            shutil.rmtree(self.receipts, ignore_errors=True)
        publish_json(self._signature, signature)

    def refuse_unfinished(self, mine: dict[str, Any] | None = None) -> None:
        """UsageError where a build has begun here and was not finished: its rows are in no manifest yet.

        mine: the signature of work that may go on.
        """
        begun = read_json(self._signature) if self._signature.is_file() else None
        if begun != mine and (begun is not None or self.is_installing):
            raise UsageError(f"{self.dataset}: an unfinished build lies in {self.folder}; run its command again first.")

    @property
    def records_done(self) -> bool:
        """Whether posts/, dropped/ and the image store are finished."""
        return self._records.is_file()

    def mark_records_done(self) -> None:
        """Written last of the records' phase."""
        publish_json(self._records, True)

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
        if record_files(self.next) and not self._installing.is_file():
            for old in record_files(self.dataset):
                old.unlink()
        publish_json(self._installing, True)
        for new in sorted(path for path in self.next.rglob("*") if path.is_file()):
            target = self.dataset / new.relative_to(self.next)
            target.parent.mkdir(parents=True, exist_ok=True)
            new.replace(target)
        shutil.rmtree(self.next)

    def finish(self) -> None:
        """The manifest is written: nothing here is needed any more. What asks for more work goes first."""
        for marker in (self._installing, self._signature, self.forgetting):
            marker.unlink(missing_ok=True)
        shutil.rmtree(self.folder)


def record_files(folder: Path) -> list[Path]:
    """The files of a folder that hold records: posts, dropped ones, and the list of images."""
    return [*folder.glob("posts/part-*.parquet"), *folder.glob("dropped/part-*.parquet"), *folder.glob(IMAGE_LIST)]
