"""The working state of a build that is not finished: DATASET/.build, gone once the manifest is written."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
        self._signature = self.folder / "signature.json"
        self._records = self.folder / "records.json"

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
        """Go on with the build of these inputs and rules; what an unfinished build of others left is removed first."""
        if self._signature.is_file() and read_json(self._signature) != signature:
            for name in ("posts", "dropped", "images", "features"):
                shutil.rmtree(self.dataset / name, ignore_errors=True)
            shutil.rmtree(self.receipts, ignore_errors=True)
            self._records.unlink(missing_ok=True)
        publish_json(self._signature, signature)

    @property
    def records_done(self) -> bool:
        """Whether posts/, dropped/ and the image store are finished."""
        return self._records.is_file()

    def mark_records_done(self) -> None:
        """Written last of the records' phase."""
        publish_json(self._records, True)

    def forget_records(self) -> None:
        """Before the records' phase is done anew: no rows of an unfinished one may stay."""
        for name in ("posts", "dropped"):
            for part in (self.dataset / name).glob("part-*.parquet"):
                part.unlink()

    def finish(self) -> None:
        """The manifest is written: nothing here is needed any more."""
        shutil.rmtree(self.folder)
