"""The shard engine: one shard of one or several features, from image files to finished files, always the same bits.

Images are sorted by hash and decoded ahead by a few threads, once for all features that are asked for together; each
feature takes them in batches of its own fixed size. A finished shard has a receipt beside the build's working files; a
shard whose receipt and bytes agree is not done again.
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

from pipeline.extractors.base import Extractor
from pipeline.images import image_path
from pipeline.picture import Picture
from schemas.errors import ImageFault, MachineError
from schemas.features import Row
from schemas.files import publish_json, read_json, sha256_file, told_of
from schemas.machine import is_exhausted
from schemas.posts import Dropped
from schemas.shards import shard_name, write_shard

DECODERS = 2
"""Threads that prepare images while a model computes on this processor; for a GPU all cores do."""

AHEAD = 2
"""Batches, of the feature with the largest, that may lie prepared: what bounds the engine's memory."""

UNEXPECTED = "extractor_error"
"""The reason of a row lost to a fault nobody foresaw: its traceback is kept, and the run ends with exit 1."""


@dataclass(frozen=True)
class ShardTask:
    """One shard of one feature. index of count; fingerprint: of the feature."""

    feature: str
    fingerprint: str
    index: int
    count: int

    def file_name(self, suffix: str) -> str:
        """The shard's path inside the dataset."""
        return f"features/{self.feature}/{self.fingerprint}/{shard_name(self.index, self.count, suffix)}"


@dataclass(frozen=True)
class Receipt:
    """What became of a shard. sha256: of its file. first, slice: its first image, and which images it is about.

    dropped: images without a row. computed: images that were looked at, in `seconds`; all others were known.
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
        """Atomically, after the shard itself."""
        publish_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Receipt":
        """Inverse of `write`."""
        with told_of(path):
            raw = read_json(path)
            return cls(**{**raw, "dropped": [Dropped(**row) for row in raw["dropped"]]})

    @property
    def is_clean(self) -> bool:
        """Whether nothing unforeseen happened, so that doing it again would give the same."""
        return all(row.reason != UNEXPECTED for row in self.dropped)


def slice_digest(images: Sequence[str]) -> str:
    """16 hex digits that stand for the images of a shard."""
    return hashlib.sha256("\n".join(images).encode("ascii")).hexdigest()[:16]


def finished(receipt: Path, folders: Sequence[Path], images: Sequence[str]) -> Receipt | None:
    """The receipt of a shard of `images` that is done, its bytes whole in one of `folders`; None to do it (again)."""
    if not receipt.is_file():
        return None
    found = Receipt.read(receipt)
    if not found.is_clean or found.slice != slice_digest(images):
        return None
    shards = [folder / found.file for folder in folders]
    return found if any(shard.is_file() and sha256_file(shard) == found.sha256 for shard in shards) else None


@dataclass
class Work:
    """What one feature has to do for a shard. extractor: loaded, unless all is known.

    known: what need not be computed again.
    """

    task: ShardTask
    extractor: Extractor
    known: Mapping[str, Row | Dropped] = field(default_factory=dict)


Told = Callable[[str, Sequence[Row | Dropped]], None]
"""Is told the feature, and what became of pictures as they are done."""


def _nobody(_feature: str, _outcomes: Sequence[Row | Dropped]) -> None:
    return


def run_shards(
    works: Sequence[Work], images: Sequence[str], dataset: Path, out: Path, told: Told = _nobody
) -> list[Receipt]:
    """Make a shard of `images` (hashes, sorted) for each of several features, below `out`.

    The pictures are those of `dataset`; each is decoded once. told: called from this thread.
    """
    shards = [_Shard(work, images, told) for work in works]
    readers = {image: [shard for shard in shards if image not in shard.work.known] for image in images}
    ahead = AHEAD * max(work.extractor.batch_size for work in works)
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
    """An input of `extract`, or the fault met while making it, and the processor's seconds that took."""

    value: Any
    fault: Exception | None
    seconds: float


def _prepare(picture: Picture, shards: Sequence["_Shard"]) -> list[_Prepared]:
    found = []
    for shard in shards:
        started = time.thread_time()  # of this thread alone: meanwhile a model computes, and has the processor too
        value, fault = None, None
        try:
            value = shard.work.extractor.prepare(picture)
        except Exception as error:  # a picture's fault costs that picture alone
            _refuse_machines_fault(error)
            fault = error
        found.append(_Prepared(value, fault, time.thread_time() - started))
    return found


def _ahead(
    prepare: Callable[[str], Future[list[_Prepared]]], images: Sequence[str], number: int
) -> Iterator[tuple[str, list[_Prepared]]]:
    """Each image with what was prepared of it, while `number` further ones are being prepared."""
    waiting = iter(images)
    queue = deque((image, prepare(image)) for image in islice(waiting, number))
    while queue:
        image, future = queue.popleft()
        queue.extend((following, prepare(following)) for following in islice(waiting, 1))
        yield image, future.result()


class _Shard:
    """One feature's shard while it is made: what is prepared and waits for a full batch, and what is done."""

    def __init__(self, work: Work, images: Sequence[str], told: Told) -> None:
        self.work = work
        self._images = images
        self._told = told
        self._outcomes: dict[str, Row | Dropped] = dict(work.known)
        self._waiting: list[tuple[str, Any]] = []
        self._seconds = 0.0

    def take(self, image: str, prepared: _Prepared) -> None:
        """One more picture; a full batch is extracted."""
        self._seconds += prepared.seconds
        if prepared.fault is not None:
            self._settle({image: _fault(self.work.extractor, image, prepared.fault)})
            return
        self._waiting.append((image, prepared.value))
        if len(self._waiting) == self.work.extractor.batch_size:
            self._extract_waiting()

    def _extract_waiting(self) -> None:
        started = time.monotonic()
        batch, self._waiting = self._waiting, []
        outcomes = dict(_extract(batch, self.work.extractor))
        self._seconds += time.monotonic() - started
        self._settle(outcomes)

    def _settle(self, outcomes: Mapping[str, Row | Dropped]) -> None:
        self._outcomes.update(outcomes)
        self._told(self.work.extractor.spec.name, list(outcomes.values()))

    def finish(self, out: Path) -> Receipt:
        """Extract what is left, and write the shard."""
        self._extract_waiting()
        spec, images = self.work.extractor.spec, self._images
        rows = {image: row for image, row in self._outcomes.items() if not isinstance(row, Dropped)}
        dropped = sorted(row for row in self._outcomes.values() if isinstance(row, Dropped))
        name = self.work.task.file_name(spec.suffix)
        write_shard(out / name, spec, rows, self.work.task.fingerprint)
        return Receipt(
            name, sha256_file(out / name), len(rows), images[0], slice_digest(images), dropped,
            computed=len(images) - len(self.work.known), seconds=self._seconds,
        )  # fmt: skip


def _extract(prepared: Sequence[tuple[str, Any]], extractor: Extractor) -> Iterator[tuple[str, Row | Dropped]]:
    """One batch; on a fault its halves, down to the picture that caused it."""
    if not prepared:
        return
    try:
        rows = padded(extractor, [value for _, value in prepared])
        for (image, _), row in zip(prepared, rows, strict=True):
            extractor.spec.check(row, image)
    except Exception as error:  # whatever it is, only the culprit is lost
        _refuse_machines_fault(error)
        if len(prepared) == 1:
            yield prepared[0][0], _fault(extractor, prepared[0][0], error)
            return
        half = len(prepared) // 2
        yield from _extract(prepared[:half], extractor)
        yield from _extract(prepared[half:], extractor)
        return
    yield from ((image, row) for (image, _), row in zip(prepared, rows, strict=True))


def _refuse_machines_fault(error: Exception) -> None:
    """No picture is to blame for a full disk or for too few open files: the run ends, and can be carried on."""
    if isinstance(error, MachineError) or is_exhausted(error):
        raise error


def padded(extractor: Extractor, inputs: list[Any]) -> list[Row]:
    """Exactly batch_size inputs go in, so that a row's bits do not depend on how many there are."""
    padding = [inputs[0]] * (extractor.batch_size - len(inputs))
    return extractor.extract([*inputs, *padding])[: len(inputs)]


def _fault(extractor: Extractor, image: str, error: Exception) -> Dropped:
    stage = f"feature:{extractor.spec.name}"
    if isinstance(error, ImageFault):
        return Dropped(stage, error.reason, image, detail=error.detail)
    logging.getLogger(__name__).error("%s, image %s: unexpected fault", stage, image, exc_info=error)
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return Dropped(stage, UNEXPECTED, image, detail="".join(lines)[-2000:])
