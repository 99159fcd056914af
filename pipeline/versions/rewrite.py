"""Remove pictures from a finished feature: write the rows that stay into the shards that a build would write."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from m3h.pipeline.config import shard_rules_of
from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.publish import file_entry
from m3h.pipeline.engine.known_rows import KnownRows, read_known_rows
from m3h.pipeline.engine.shard_engine import Receipt, ShardTask, slice_digest
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError
from m3h.schemas.features import ArraySpec, FeatureSpec
from m3h.schemas.files import read_json, sha256_file, validating
from m3h.schemas.inside import file_in, name_of, walk
from m3h.schemas.manifest import FileEntry, Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import Dropped
from m3h.schemas.shards import KEY, shard_count, shard_keys, shard_slice, write_shard


def images_of(data: Dataset, name: str, fingerprint: str) -> set[str]:
    """The pictures that a version of a feature knows: those with a row, and those listed as without one.

    Args:
        data: the dataset.
        name: the feature's name.
        fingerprint: the version's whole fingerprint.

    Returns:
        Their sha256.

    Raises:
        IntegrityError: a file is not what the manifest says.
    """
    earlier = read_known_rows(data.manifest, name, fingerprint)
    return {*_lost(data, earlier), *(key for shard in earlier.shards for key in shard_keys(data.checked(shard.name)))}


Progress = Callable[[str, int, int], None]
"""Called with a feature's name, how many images of a shard are written, and how many images the feature has."""


@dataclass
class Rewrite:
    """Files of a finished dataset that get other bytes. They are written below `out`. Nothing is computed.

    manifest: of the dataset as it will be; it is completed step by step. replaced: names of files that get other bytes
    or are removed.
    """

    data: Dataset
    manifest: Manifest
    out: Path
    replaced: set[str] = field(default_factory=set)
    _rows: dict[str, int] = field(default_factory=dict)

    def features(
        self,
        removed: Callable[[str], Collection[str]],
        per_shard: int = 0,
        on_progress: Progress = lambda feature, done, total: None,
    ) -> list[BuiltFeature]:
        """Write every version of every feature without some pictures, unless that leaves its files as they are.

        Args:
            removed: called with a feature's name; returns the sha256 of the pictures to leave out.
            per_shard: images in each file; 0 keeps the present number.
            on_progress: called after each shard.

        Returns:
            The versions that were written.

        Raises:
            IntegrityError: a file is not what the manifest says.
        """
        written = []
        for name, feature in self.manifest.features.items():
            pictures = removed(name)
            for version, described in feature.versions.items():
                built = without(
                    self.data,
                    name,
                    version,
                    removed=pictures,
                    out=self.out,
                    per_shard=per_shard,
                    on_progress=on_progress,
                )
                if built is None:
                    continue
                built.write_dropped(self.out)
                feature = feature.described_as({version: built.version()})
                self.replaced |= {*described.shards, built.dropped_file}
                self._rows |= {receipt.file: receipt.rows for receipt in built.receipts}
                written.append(built)
            self.manifest.features[name] = feature
        return written

    def collect(self) -> int:
        """List the new files in the manifest instead of those that they replace. Returns how many there are."""
        staged = {name_of(self.out, path): path for path in walk(self.out)}
        self.manifest.files = {n: entry for n, entry in self.manifest.files.items() if n not in self.replaced}
        self.manifest.files |= {
            name: FileEntry.of(path, self._rows[name]) if name in self._rows else file_entry(path)
            for name, path in staged.items()
        }
        return len(staged)


def without(
    data: Dataset,
    name: str,
    fingerprint: str,
    *,
    removed: Collection[str],
    out: Path,
    per_shard: int = 0,
    on_progress: Progress = lambda feature, done, total: None,
) -> BuiltFeature | None:
    """Write the shards of one version of a feature without the rows of some pictures.

    Args:
        data: the dataset.
        name: the feature's name.
        fingerprint: the version's whole fingerprint.
        removed: the sha256 of the pictures to leave out.
        out: the folder for the shards, which get the names that they have in the dataset.
        per_shard: images in each file; 0 keeps the present number.
        on_progress: called after each shard.

    Returns:
        What was written. None if the files stay as they are; then nothing is written.

    Raises:
        IntegrityError: one of its files is not what the manifest says.
    """
    present = shard_rules_of(data.manifest).images
    per_shard = per_shard or present
    images = images_of(data, name, fingerprint)
    if images.isdisjoint(removed) and (per_shard == present or not images):
        return None
    earlier = read_known_rows(data.manifest, name, fingerprint)
    lost, kept = _lost(data, earlier), sorted(images.difference(removed))
    spec = _spec(data, earlier, name, fingerprint=fingerprint)
    count = shard_count(len(kept), per_shard)
    receipts = []
    for index in range(count):
        shard_images = kept[shard_slice(index, per_shard)]
        known = earlier.rows(data.folder, shard_images)
        rows = {image: row for image, row in known.items() if not isinstance(row, Dropped)}
        if missing := [image for image in shard_images if image not in rows and image not in lost]:
            raise IntegrityError(f"{data.folder}: {name} {fingerprint} lost the row of {missing[0]}. Run verify.")
        file = ShardTask(name, fingerprint, index, count).file_name(spec.suffix)
        write_shard(file_in(out, file), spec, rows, fingerprint=fingerprint)
        dropped = sorted(lost[image] for image in shard_images if image in lost)
        on_progress(name, len(shard_images), len(kept))
        digests = sha256_file(file_in(out, file)), slice_digest(shard_images)
        receipts.append(Receipt(file, digests[0], len(rows), shard_images[0], digests[1], dropped))
    described = data.manifest.features[name].versions[fingerprint]
    return BuiltFeature(spec, fingerprint, described.parts, receipts, described.notes, described.settings)


def _lost(data: Dataset, earlier: KnownRows) -> dict[str, Dropped]:
    """Pictures without a row, for whatever reason."""
    if earlier.dropped is None:
        return {}
    rows = read_parquet(data.checked(earlier.dropped.name)).to_pylist()
    return {row["record_id"]: Dropped.of_row(row) for row in rows}


def _spec(data: Dataset, earlier: KnownRows, name: str, *, fingerprint: str) -> FeatureSpec:
    """The parts of a spec that shards need: arrays from feature.json, columns from a shard."""
    with validating(data.checked(f"features/{name}/{fingerprint}/feature.json")) as path:
        raw: dict[str, Any] = read_json(path)["spec"]
        if arrays := tuple(ArraySpec(a["name"], tuple(a["shape"]), a["dtype"]) for a in raw["arrays"]):
            return FeatureSpec(name, arrays=arrays, version=raw["version"])
        schema = pq.read_schema(file_in(data.folder, earlier.shards[0].name))
        columns = tuple((column.name, _as_declared(column.type)) for column in schema if column.name != KEY)
        return FeatureSpec(name, columns=columns, version=raw["version"])


def _as_declared(kind: pa.DataType) -> pa.DataType:
    """A column's type as a spec states it: Parquet gives the values of a list another name, which changes bytes."""
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_as_declared(kind.value_type), kind.list_size)
    return pa.list_(_as_declared(kind.value_type)) if pa.types.is_list(kind) else kind
