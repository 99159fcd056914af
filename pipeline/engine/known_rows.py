"""Rows that an earlier build computed under the same fingerprint. They are copied, not computed again.

A row's bits depend only on its image and the fingerprint, never on its neighbours. The dataset's pictures may change by
a new dump, a retry of failed ones, or forgotten posts. Then the new shards are put together from the old rows, and only
new pictures are computed. The bytes are those of a build from scratch.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from m3h.pipeline.engine.shard_engine import UNEXPECTED
from m3h.schemas.dataset import Whole, read_whole, whole_file
from m3h.schemas.feature_versions import Slice
from m3h.schemas.features import Row
from m3h.schemas.files import sha256_file
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import FileEntry, Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import Dropped
from m3h.schemas.shards import KEY, read_table_shard, read_tensor_shard, shard_keys

T = TypeVar("T")


@dataclass(frozen=True)
class File:
    """A file of the earlier dataset. Of a shard, first: its smallest image hash; slice: digest of its image hashes."""

    name: str
    sha256: str
    rows: int
    first: str = ""
    slice: str = ""


@dataclass(frozen=True)
class KnownRows:
    """One feature under one fingerprint, as a finished dataset has it.

    shards: in order.
    dropped: the list of images without a row; None where every image has one.
    retry_reasons: an image without a row for one of these reasons is computed again.
    """

    shards: tuple[File, ...] = ()
    dropped: File | None = None
    retry_reasons: frozenset[str] = frozenset()

    def rows(self, dataset: Path, images: Sequence[str]) -> dict[str, Row | Dropped]:
        """The known outcomes of `images` (sorted). Files that differ from the manifest's hash are ignored."""
        known: dict[str, Row | Dropped] = dict(self.lost(dataset, images))
        if not images or not self.shards:
            return known
        firsts = [shard.first for shard in self.shards]
        wanted = set(images)
        for shard in self.shards[max(0, bisect_right(firsts, images[0]) - 1) : bisect_right(firsts, images[-1])]:
            known |= {image: row for image, row in _shard_rows(dataset, shard).items() if image in wanted}
        return known

    def lost(self, dataset: Path, images: Sequence[str]) -> dict[str, Dropped]:
        """Those of `images` that are known to have no row, and are not to be computed again."""
        listed = _lost_rows(dataset, self.dropped) if self.dropped else {}
        found = {image: listed[image] for image in images if image in listed}
        return {image: row for image, row in found.items() if row.reason not in self._all_retried}

    def unknown(self, dataset: Path, images: Sequence[str]) -> list[str]:
        """Those of `images` that must be computed. Only the shards' keys are read, not their rows."""
        known = {key for shard in self.shards for key in shard_keys(file_in(dataset, shard.name))}
        known.update(self.lost(dataset, images))
        return [image for image in images if image not in known]

    def needs_retry(self, dataset: Path, images: Sequence[str]) -> bool:
        """Whether one of `images` has no row for a reason that is to be retried."""
        listed = _lost_rows(dataset, self.dropped) if self.dropped else {}
        return any(image in listed and listed[image].reason in self._all_retried for image in images)

    @property
    def _all_retried(self) -> frozenset[str]:
        """The reasons asked for, and unforeseen faults, which are always retried."""
        return self.retry_reasons | {UNEXPECTED}


def read_known_rows(
    known: Manifest | None, name: str, fingerprint: str, *, retry_reasons: frozenset[str] = frozenset()
) -> KnownRows:
    """The rows of a feature that a dataset's manifest lists.

    Args:
        known: The manifest. None where there is no dataset yet.
        name: The feature.
        fingerprint: The version. Where the dataset does not have it, no rows are known.
        retry_reasons: An image without a row for one of these reasons is computed again.
    """
    version = known.version(name, fingerprint) if known else None
    if known is None or version is None:
        return KnownRows(retry_reasons=retry_reasons)
    shards = tuple(
        _file(known.files, shard, images) for shard, images in zip(version.shards, version.slices, strict=True)
    )
    lost = f"dropped/{name}-{fingerprint}.parquet"
    return KnownRows(shards, _file(known.files, lost) if lost in known.files else None, retry_reasons)


def _file(files: Mapping[str, FileEntry], name: str, images: Slice | None = None) -> File:
    """images: of a shard."""
    entry = files[name]
    return File(name, entry.sha256, entry.rows, images.first if images else "", images.slice if images else "")


def is_whole(dataset: Path, file: File) -> bool:
    """Whether a file still has the hash that the manifest states."""
    path = file_in(dataset, file.name)
    return path.is_file() and sha256_file(path) == file.sha256


def _read(dataset: Path, file: File, reader: Callable[[Path], T]) -> T | None:
    """What `reader` makes of a file; None where it is not there with these bytes, and was not kept either."""

    def find() -> list[Whole]:
        whole = whole_file(dataset, file.name, file.sha256)
        return [whole] if whole else []

    return read_whole(find, lambda paths: reader(paths[0]) if paths else None)


@lru_cache(maxsize=4)
def _shard_rows(dataset: Path, shard: File) -> dict[str, Row]:
    return _read(dataset, shard, shard_rows) or {}


def shard_rows(path: Path) -> dict[str, Row]:
    """All rows of a shard by image, of a tensor feature or a table feature."""
    if path.suffix == ".parquet":
        return {row.pop(KEY): row for row in read_table_shard(path).to_pylist()}
    keys, arrays = read_tensor_shard(path)
    return {key: {name: values[i] for name, values in arrays.items()} for i, key in enumerate(keys)}


@lru_cache(maxsize=4)
def _lost_rows(dataset: Path, file: File) -> dict[str, Dropped]:
    rows = _read(dataset, file, lambda path: read_parquet(path).to_pylist()) or []
    return {row["record_id"]: Dropped.of_row(row) for row in rows}
