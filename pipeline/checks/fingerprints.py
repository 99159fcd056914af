"""Freshness of a finished dataset: every row lies once, under its own fingerprint, in the shard of its picture.

The manifest, feature.json and the shards each describe a version of a feature. The three must agree.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from m3h.pipeline.engine.shard_engine import slice_digest
from m3h.pipeline.progress.monitor import tracked
from m3h.schemas.errors import IntegrityError
from m3h.schemas.feature_versions import FeatureVersion
from m3h.schemas.features import described_fingerprint
from m3h.schemas.files import read_json
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.shards import Outline, shard_outline


def stale_rows(dataset: Path, manifest: Manifest, broken: AbstractSet[str]) -> Iterator[str]:
    """Find everything that breaks this law.

    Args:
        dataset: the dataset's folder.
        manifest: its manifest.
        broken: names of files that are known not to be what the manifest says; they are not read.

    Yields:
        One sentence for each breach, which names the file.
    """
    for name, known in sorted(manifest.features.items()):
        for version, described in sorted(known.versions.items()):
            yield from _Version(dataset, manifest, broken, name, version, described).breaches()
    for file in sorted(manifest.files):
        if file.startswith("features/") and not _has_version(manifest, file):
            yield f"{file_in(dataset, file)}: belongs to no version of a feature."


def _has_version(manifest: Manifest, file: str) -> bool:
    _, name, version, *rest = [*file.split("/"), "", ""]
    return any(rest) and manifest.version(name, version) is not None


@dataclass(frozen=True)
class _Version:
    """One fingerprint of a feature, as its entry in the manifest describes it."""

    dataset: Path
    manifest: Manifest
    broken: AbstractSet[str]
    name: str
    version: str
    described: FeatureVersion

    @property
    def folder(self) -> str:
        return f"features/{self.name}/{self.version}/"

    @property
    def description_file(self) -> str:
        return f"{self.folder}feature.json"

    @cached_property
    def description(self) -> Mapping[str, Any] | None:
        """The content of feature.json; None if it is broken or the manifest does not list it."""
        if self.description_file in self.broken or self.description_file not in self.manifest.files:
            return None
        found: Mapping[str, Any] = read_json(file_in(self.dataset, self.description_file))
        return found

    def breaches(self) -> Iterator[str]:
        shards, files = self.described.shards, self.manifest.files
        if misplaced := [shard for shard in shards if not shard.startswith(self.folder)]:
            yield f"{misplaced[0]}: listed under {self.name} {self.version}."
            return
        listed = [file for file in sorted(files) if file.startswith(f"{self.folder}shard-")]
        if sorted(shards) != listed:
            yield f"feature {self.name} {self.version}: its shards are not the files that the manifest lists."
            return
        yield from self._description_breaches()
        lost = self._lost()
        if lost is not None and self.broken.isdisjoint(shards):
            yield from self._count_breaches(lost)
        yield from self._shard_breaches(lost)

    def _description_breaches(self) -> Iterator[str]:
        """Whether the parts that feature.json states give this fingerprint."""
        file, found = file_in(self.dataset, self.description_file), self.description
        if self.description_file not in self.manifest.files:
            yield f"{file}: not in the manifest, which lists shards beside it."
        elif found is not None:
            described = described_fingerprint(found["spec"], found["parts"])
            if {found["fingerprint"], described} != {self.version} or found["parts"] != self.described.parts:
                yield f"{file}: what it describes is {described}, not {self.version}."

    def _lost(self) -> list[tuple[str, str]] | None:
        """The images without a row, with their reasons; None if the list of them is broken."""
        file = f"dropped/{self.name}-{self.version}.parquet"
        if file in self.broken:
            return None
        if file not in self.manifest.files:
            return []
        rows = read_parquet(file_in(self.dataset, file), columns=["record_id", "reason"]).to_pylist()
        return sorted((row["record_id"], row["reason"]) for row in rows)

    def _count_breaches(self, lost: list[tuple[str, str]]) -> Iterator[str]:
        rows = sum(self.manifest.files[shard].rows for shard in self.described.shards)
        stated = self.described.rows, self.described.dropped
        if (rows, dict(Counter(reason for _, reason in lost))) != stated:
            yield (
                f"feature {self.name} {self.version}: {rows} rows and {len(lost)} images without one, the manifest "
                f"says {stated[0]} and {sum(stated[1].values())}."
            )

    def _shard_breaches(self, lost: list[tuple[str, str]] | None) -> Iterator[str]:
        """Whether each shard holds the images of its slice, and says what the manifest says."""
        slices = self.described.slices
        without = None if lost is None else [image for image, _ in lost]
        ends = [*(entry.first for entry in slices[1:]), "~"][: len(slices)]  # "~" sorts after every hash
        shards = list(zip(self.described.shards, slices, ends, strict=True))
        for shard, entry, end in tracked(self.name, shards):
            if shard in self.broken:
                continue
            path = file_in(self.dataset, shard)
            try:
                found = shard_outline(path)
            except IntegrityError as error:
                yield str(error)
                continue
            if found.fingerprint != self.version:
                yield f"{path}: its rows are of {found.fingerprint or 'no fingerprint'}, it lies under {self.version}."
            yield from self._layout_breaches(path, found)
            if len(found.keys) != self.manifest.files[shard].rows:
                yield f"{path}: {len(found.keys)} rows, the manifest says {self.manifest.files[shard].rows}."
            if without is not None:
                lost_here = without[bisect_left(without, entry.first) : bisect_left(without, end)]
                if slice_digest(sorted([*found.keys, *lost_here])) != entry.slice:
                    yield f"{path}: its images are not those of its slice."

    def _layout_breaches(self, path: Path, found: Outline) -> Iterator[str]:
        if self.description is None:
            return
        spec = self.description["spec"]
        arrays = {array["name"]: (array["shape"], array["dtype"]) for array in spec["arrays"]}
        columns = {name: _plain(kind) for name, kind in spec["columns"].items()}
        if {name: _plain(kind) for name, kind in found.columns.items()} != (arrays or columns):
            yield f"{path}: it holds {found.columns}, {self.description_file} says {arrays or columns}."


def _plain(kind: object) -> object:
    """A column's type without the name of a list's values, because Parquet changes that name."""
    return kind.replace("element:", "item:") if isinstance(kind, str) else kind
