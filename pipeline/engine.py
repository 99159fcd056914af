"""The shard engine: one shard of one feature, from image files to a finished file, bit for bit the same every time.

Images are sorted by hash, decoded ahead by a few threads, and go through the model in batches of one fixed size. A
finished shard has a receipt beside the build's working files; a shard whose receipt and bytes agree is not done again.
"""

import hashlib
import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.extractors.base import Extractor
from pipeline.images import image_path
from schemas.errors import ImageFault
from schemas.features import Row
from schemas.files import publish_json, read_json, sha256_file
from schemas.posts import Dropped
from schemas.shards import shard_name, write_shard

DECODERS = 2
"""Threads that prepare images while the model computes."""

AHEAD = 2
"""Batches that may lie prepared: what bounds the engine's memory."""

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

    dropped: images without a row.
    """

    file: str
    sha256: str
    rows: int
    first: str
    slice: str
    dropped: list[Dropped] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Atomically, after the shard itself."""
        publish_json(path, asdict(self))

    @classmethod
    def read(cls, path: Path) -> "Receipt":
        """Inverse of `write`."""
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


def run_shard(
    task: ShardTask,
    images: Sequence[str],
    extractor: Extractor,
    dataset: Path,
    out: Path,
    known: Mapping[str, Row | Dropped] | None = None,
) -> Receipt:
    """Make the task's shard of `images` (hashes, sorted) below `out`, from the pictures of `dataset`.

    known: what need not be computed again. extractor: loaded, unless all is known.
    """
    known = known or {}
    rows: dict[str, Row] = {}
    dropped: list[Dropped] = []
    new = [image for image in images if image not in known]
    for image, outcome in (*known.items(), *_outcomes(new, extractor, dataset)):
        if isinstance(outcome, Dropped):
            dropped.append(outcome)
        else:
            rows[image] = outcome
    name = task.file_name(extractor.spec.suffix)
    write_shard(out / name, extractor.spec, rows)
    return Receipt(name, sha256_file(out / name), len(rows), images[0], slice_digest(images), sorted(dropped))


def _outcomes(images: Sequence[str], extractor: Extractor, dataset: Path) -> Iterator[tuple[str, Row | Dropped]]:
    size = extractor.batch_size
    remaining = iter(images)
    with ThreadPoolExecutor(DECODERS) as pool:

        def prepare_next() -> list[tuple[str, Future[Any]]]:
            batch = islice(remaining, size)
            return [(image, pool.submit(extractor.prepare, image_path(dataset, image))) for image in batch]

        queue = [prepare_next() for _ in range(AHEAD)]
        while queue[0]:
            prepared: list[tuple[str, Any]] = []
            for image, future in queue.pop(0):
                try:
                    prepared.append((image, future.result()))
                except Exception as error:  # a picture's fault costs that picture alone
                    yield image, _fault(extractor, image, error)
            queue.append(prepare_next())
            yield from _extract(prepared, extractor)


def _extract(prepared: Sequence[tuple[str, Any]], extractor: Extractor) -> Iterator[tuple[str, Row | Dropped]]:
    """One batch; on a fault its halves, down to the picture that caused it."""
    if not prepared:
        return
    try:
        rows = _padded(extractor, [value for _, value in prepared])
        for (image, _), row in zip(prepared, rows, strict=True):
            extractor.spec.check(row, image)
    except Exception as error:  # whatever it is, only the culprit is lost
        if len(prepared) == 1:
            yield prepared[0][0], _fault(extractor, prepared[0][0], error)
            return
        half = len(prepared) // 2
        yield from _extract(prepared[:half], extractor)
        yield from _extract(prepared[half:], extractor)
        return
    yield from ((image, row) for (image, _), row in zip(prepared, rows, strict=True))


def _padded(extractor: Extractor, inputs: list[Any]) -> list[Row]:
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
