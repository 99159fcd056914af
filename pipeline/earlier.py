"""Rows that an earlier build computed under the same fingerprint: copied, not computed again.

A row's bits depend on its image and the fingerprint alone, never on its neighbours. So when the dataset's pictures
change (a new dump, a second try at failed ones, forgotten posts), the new shards are put together from the old rows and
only new pictures are computed; the bytes are those of a build from nothing.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.engine import UNEXPECTED
from schemas.features import Row
from schemas.files import sha256_file
from schemas.manifest import FileEntry, Manifest
from schemas.parquet import read_parquet
from schemas.posts import Dropped
from schemas.shards import KEY, read_table_shard, read_tensor_shard, shard_keys


@dataclass(frozen=True)
class File:
    """A file of the earlier dataset. first: the smallest image hash of its slice (of a shard)."""

    name: str
    sha256: str
    rows: int
    first: str = ""
    slice: str = ""


@dataclass(frozen=True)
class Earlier:
    """One feature under one fingerprint, as a finished dataset has it.

    shards: in order. dropped: the list of images without a row, None where there is none.
    again: reasons for which an image without a row is tried again.
    """

    shards: tuple[File, ...] = ()
    dropped: File | None = None
    again: frozenset[str] = frozenset()

    def rows(self, dataset: Path, images: Sequence[str]) -> dict[str, Row | Dropped]:
        """What is known of `images` (sorted). Files that are no longer what the manifest says count for nothing."""
        known: dict[str, Row | Dropped] = dict(self.lost(dataset, images))
        if not images or not self.shards:
            return known
        firsts = [shard.first for shard in self.shards]
        wanted = set(images)
        for shard in self.shards[max(0, bisect_right(firsts, images[0]) - 1) : bisect_right(firsts, images[-1])]:
            known |= {image: row for image, row in _shard_rows(dataset, shard).items() if image in wanted}
        return known

    def lost(self, dataset: Path, images: Sequence[str]) -> dict[str, Dropped]:
        """Those of `images` that are known to have no row, and shall not be tried again."""
        listed = _lost_rows(dataset, self.dropped) if self.dropped else {}
        found = {image: listed[image] for image in images if image in listed}
        return {image: row for image, row in found.items() if row.reason not in self.again | {UNEXPECTED}}

    def unknown(self, dataset: Path, images: Sequence[str]) -> list[str]:
        """Those of `images` that must be computed, told by the shards' keys alone: their rows are not read."""
        known = {key for shard in self.shards for key in shard_keys(dataset / shard.name)}
        known.update(self.lost(dataset, images))
        return [image for image in images if image not in known]

    def wants_again(self, dataset: Path, images: Sequence[str]) -> bool:
        """Whether one of `images` has no row for a reason that is to be tried again."""
        listed = _lost_rows(dataset, self.dropped) if self.dropped else {}
        return any(image in listed and listed[image].reason in self.again | {UNEXPECTED} for image in images)


def earlier_feature(known: Manifest | None, name: str, fingerprint: str, again: frozenset[str]) -> Earlier:
    """What a dataset's manifest vouches for; nothing where it has not this feature under this fingerprint."""
    version: Mapping[str, Any] = {}
    if known is not None:
        version = known.features.get(name, {}).get("versions", {}).get(fingerprint, {})
    if known is None or not version:
        return Earlier(again=again)
    shards = tuple(
        _file(known.files, shard, **described)
        for shard, described in zip(version["shards"], version["slices"], strict=True)
    )
    lost = f"dropped/{name}-{fingerprint}.parquet"
    return Earlier(shards, _file(known.files, lost) if lost in known.files else None, again)


def _file(files: Mapping[str, FileEntry], name: str, **described: str) -> File:
    return File(name, files[name].sha256, files[name].rows, **described)


def is_whole(dataset: Path, file: File) -> bool:
    """Whether a file is still what the manifest says."""
    path = dataset / file.name
    return path.is_file() and sha256_file(path) == file.sha256


@lru_cache(maxsize=4)
def _shard_rows(dataset: Path, shard: File) -> dict[str, Row]:
    return shard_rows(dataset / shard.name) if is_whole(dataset, shard) else {}


def shard_rows(path: Path) -> dict[str, Row]:
    """All rows of a shard by image, whatever kind it is."""
    if path.suffix == ".parquet":
        return {row.pop(KEY): row for row in read_table_shard(path).to_pylist()}
    keys, arrays = read_tensor_shard(path)
    return {key: {name: values[i] for name, values in arrays.items()} for i, key in enumerate(keys)}


@lru_cache(maxsize=4)
def _lost_rows(dataset: Path, file: File) -> dict[str, Dropped]:
    if not is_whole(dataset, file):
        return {}
    return {row["record_id"]: Dropped(**row) for row in read_parquet(dataset / file.name).to_pylist()}
