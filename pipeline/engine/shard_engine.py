"""The shard engine: makes one shard of one or several features from image files, always with the same bits.

Images are sorted by hash. A few threads decode them ahead, once for all features that are computed together. Each
feature takes them in batches of its own fixed size. A finished shard has a receipt beside the build's working files. A
shard whose receipt and bytes agree is not made again.
"""

import hashlib
import logging
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.images.picture import Picture
from m3h.pipeline.images.store import image_path
from m3h.schemas.errors import ImageFault, MachineError
from m3h.schemas.features import Row
from m3h.schemas.files import publish_json, read_json, sha256_file, validating
from m3h.schemas.inside import file_in
from m3h.schemas.machine import is_exhausted
from m3h.schemas.posts import Dropped
from m3h.schemas.shards import shard_name, write_shard

DECODERS = 2
"""Threads that prepare images while a model computes on this processor. For a GPU all cores prepare images."""

AHEAD = 2
"""Prepared batches that may wait where an extractor does not say how many inputs. This bounds the engine's memory."""

UNEXPECTED = "extractor_error"
"""The reason of a row lost to an unforeseen fault. Its traceback is stored, and the run ends with exit 1."""


@dataclass(frozen=True)
class ShardTask:
    """One shard of one feature under one fingerprint. index: of the shard, below `count`."""

    feature: str
    fingerprint: str
    index: int
    count: int

    def file_name(self, suffix: str) -> str:
        """The shard's path inside the dataset."""
        return f"features/{self.feature}/{self.fingerprint}/{shard_name(self.index, self.count, suffix)}"


@dataclass(frozen=True)
class Receipt:
    """The outcome of a shard.

    sha256: of its file.
    rows: number of images with a row.
    first: its first image. slice: digest of its images, as `slice_digest` gives it.
    dropped: images without a row.
    computed: number of images that were computed; all others were known. seconds: how long that takes a feature alone.
    """

    file: str
    sha256: str
    rows: int
    first: str
    slice: str
    dropped: list[Dropped] = field(default_factory=list)
    computed: int = field(default=0, compare=False)
    seconds: float = field(default=0.0, compare=False)

    def write(self, path: Path) -> None:
        """Write the receipt atomically. The shard itself must be written before."""
        publish_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Receipt":
        """Read what `write` wrote."""
        with validating(path):
            raw = read_json(path)
            return cls(**{**raw, "dropped": [Dropped.of_row(row) for row in raw["dropped"]]})

    @property
    def is_clean(self) -> bool:
        """Whether there was no unforeseen fault, so that computing the shard again would give the same."""
        return all(row.reason != UNEXPECTED for row in self.dropped)


def slice_digest(images: Sequence[str]) -> str:
    """16 hex digits that stand for the images of a shard."""
    return hashlib.sha256("\n".join(images).encode("ascii")).hexdigest()[:16]


def finished(receipt: Path, folders: Sequence[Path], images: Sequence[str]) -> Receipt | None:
    """The receipt of a finished shard. None where the shard must be made, or made again.

    Args:
        receipt: The path of the receipt, if there is one.
        folders: One of them must hold the shard's file unchanged.
        images: Hashes of the images that the shard must be about, sorted.
    """
    if not receipt.is_file():
        return None
    found = Receipt.read(receipt)
    if not found.is_clean or found.slice != slice_digest(images):
        return None
    shards = [file_in(folder, found.file) for folder in folders]
    return found if any(shard.is_file() and sha256_file(shard) == found.sha256 for shard in shards) else None


@dataclass
class Work:
    """What one feature has to compute for a shard.

    extractor: loaded, unless all rows are known.
    known: outcomes that need not be computed again, by image.
    """

    task: ShardTask
    extractor: Extractor
    known: Mapping[str, Row | Dropped] = field(default_factory=dict)


OnProgress = Callable[[str, Sequence[Row | Dropped]], None]
"""Called with the feature's name and the outcomes of some pictures, as soon as these are done."""


def _no_progress(_feature: str, _outcomes: Sequence[Row | Dropped]) -> None:
    return


def run_shards(
    works: Sequence[Work], images: Sequence[str], dataset: Path, *, out: Path, on_progress: OnProgress = _no_progress
) -> list[Receipt]:
    """Make a shard of the same images for each of several features. Each picture is decoded once.

    Args:
        works: What each feature has to compute.
        images: Hashes, sorted.
        dataset: Folder of the dataset whose store has the pictures.
        out: Folder below which the shards are written.
        on_progress: Called from this thread.

    Returns:
        The receipts, in the order of `works`.

    Raises:
        MachineError: The machine, not a picture, is to blame. Also raised as the OSError that says so.
    """
    shards = [_Shard(work, images, on_progress) for work in works]
    readers = {image: [shard for shard in shards if image not in shard.work.known] for image in images}
    ahead = max(work.extractor.ahead or AHEAD * work.extractor.batch_size for work in works)
    threads = (os.cpu_count() or DECODERS) if any(work.extractor.accelerated for work in works) else DECODERS
    with ThreadPoolExecutor(threads) as pool:

        def prepare(image: str) -> Future[list[_Prepared]]:
            return pool.submit(_prepare, Picture(image_path(dataset, image)), readers[image])

        for image, outcomes in _ahead(prepare, [image for image in images if readers[image]], ahead):
            for shard, outcome in zip(readers[image], outcomes, strict=True):
                shard.take(image, outcome)
    return [shard.finish(out) for shard in shards]


@dataclass
class _Prepared:
    """An input of `extract`, or the fault met while preparing it, and the processor seconds that this took."""

    value: Any
    fault: Exception | None
    seconds: float


def _prepare(picture: Picture, shards: Sequence["_Shard"]) -> list[_Prepared]:
    found = []
    for shard in shards:
        started = time.thread_time()  # of this thread only: a model uses the processor at the same time
        value, fault = None, None
        try:
            value = shard.work.extractor.prepare(picture)
        except Exception as error:  # a picture's fault costs only that picture
            _raise_fault_of_machine(error)
            fault = error
        found.append(_Prepared(value, fault, time.thread_time() - started))
    return found


def _ahead(
    prepare: Callable[[str], Future[list[_Prepared]]], images: Sequence[str], number: int
) -> Iterator[tuple[str, list[_Prepared]]]:
    """Each image with its prepared inputs, while the next `number` images are being prepared."""
    remaining = iter(images)
    queue = deque((image, prepare(image)) for image in islice(remaining, number))
    while queue:
        image, future = queue.popleft()
        queue.extend((following, prepare(following)) for following in islice(remaining, 1))
        yield image, future.result()


class _Shard:
    """One feature's shard while it is made: prepared inputs that wait for a full batch, and finished outcomes."""

    def __init__(self, work: Work, images: Sequence[str], on_progress: OnProgress) -> None:
        self.work = work
        self._images = images
        self._on_progress = on_progress
        self._outcomes: dict[str, Row | Dropped] = dict(work.known)
        self._waiting: list[tuple[str, Any]] = []
        self._seconds = 0.0

    def take(self, image: str, prepared: _Prepared) -> None:
        """Add one picture. A full batch is extracted."""
        self._seconds += prepared.seconds
        if prepared.fault is not None:
            self._record({image: _fault(self.work.extractor, image, prepared.fault)})
            return
        self._waiting.append((image, prepared.value))
        if len(self._waiting) == self.work.extractor.batch_size:
            self._extract_waiting()

    def _extract_waiting(self) -> None:
        extractor = self.work.extractor
        started, spared = time.monotonic(), extractor.spared_seconds
        batch, self._waiting = self._waiting, []
        outcomes = dict(_extract(batch, extractor))
        self._seconds += time.monotonic() - started + extractor.spared_seconds - spared
        self._record(outcomes)

    def _record(self, outcomes: Mapping[str, Row | Dropped]) -> None:
        self._outcomes.update(outcomes)
        self._on_progress(self.work.extractor.spec.name, list(outcomes.values()))

    def finish(self, out: Path) -> Receipt:
        """Extract the last, partial batch and write the shard."""
        self._extract_waiting()
        spec, images = self.work.extractor.spec, self._images
        rows = {image: row for image, row in self._outcomes.items() if not isinstance(row, Dropped)}
        dropped = sorted(row for row in self._outcomes.values() if isinstance(row, Dropped))
        name = self.work.task.file_name(spec.suffix)
        write_shard(file_in(out, name), spec, rows, fingerprint=self.work.task.fingerprint)
        return Receipt(
            name, sha256_file(file_in(out, name)), len(rows), images[0], slice_digest(images), dropped,
            computed=len(images) - len(self.work.known), seconds=self._seconds,
        )  # fmt: skip


def _extract(prepared: Sequence[tuple[str, Any]], extractor: Extractor) -> Iterator[tuple[str, Row | Dropped]]:
    """The outcomes of one batch. After a fault its halves are tried, down to the picture that caused it."""
    if not prepared:
        return
    try:
        rows = padded(extractor, [value for _, value in prepared])
        for (image, _), row in zip(prepared, rows, strict=True):
            extractor.spec.check(row, image)
    except Exception as error:  # whatever it is, only the picture that caused it is lost
        _raise_fault_of_machine(error)
        if len(prepared) == 1:
            yield prepared[0][0], _fault(extractor, prepared[0][0], error)
            return
        half = len(prepared) // 2
        yield from _extract(prepared[:half], extractor)
        yield from _extract(prepared[half:], extractor)
        return
    yield from ((image, row) for (image, _), row in zip(prepared, rows, strict=True))


def _raise_fault_of_machine(error: Exception) -> None:
    """Raise a fault such as a full disk or too few open files. The run ends, can be resumed, and drops no picture."""
    if isinstance(error, MachineError) or is_exhausted(error):
        raise error


def padded(extractor: Extractor, inputs: list[Any]) -> list[Row]:
    """The rows of at most `batch_size` inputs. The batch is filled up: a row's bits must not depend on it."""
    padding = [inputs[0]] * (extractor.batch_size - len(inputs))
    return extractor.extract([*inputs, *padding])[: len(inputs)]


def _fault(extractor: Extractor, image: str, error: Exception) -> Dropped:
    stage = f"feature:{extractor.spec.name}"
    if isinstance(error, ImageFault):
        return Dropped(stage, error.reason, image, detail=error.detail)
    logging.getLogger(__name__).error("%s, image %s: unexpected fault", stage, image, exc_info=error)
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return Dropped(stage, UNEXPECTED, image, detail="".join(lines)[-2000:])
