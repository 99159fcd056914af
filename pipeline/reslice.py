"""A finished feature without some of its pictures: the rows that stay, in the shards a build of them would write."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.earlier import Earlier, earlier_feature
from pipeline.engine import Receipt, ShardTask, slice_digest
from pipeline.publish import BuiltFeature
from schemas.dataset import Dataset
from schemas.errors import IntegrityError
from schemas.features import ArraySpec, FeatureSpec
from schemas.files import read_json, sha256_file
from schemas.parquet import read_parquet
from schemas.posts import Dropped
from schemas.shards import KEY, shard_count, shard_keys, shard_slice, write_shard


def images_of(data: Dataset, name: str, fingerprint: str) -> set[str]:
    """The pictures that a version of a feature has a row of, or knows to have none."""
    earlier = earlier_feature(data.manifest, name, fingerprint, frozenset())
    return {*_lost(data, earlier), *(key for shard in earlier.shards for key in shard_keys(data.checked(shard.name)))}


def without(
    data: Dataset,
    name: str,
    fingerprint: str,
    gone: Collection[str],
    out: Path,
    per_shard: int = 0,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> BuiltFeature | None:
    """Write a feature's shards below `out`, without the rows of `gone`. None, and nothing written, where it has none.

    Nothing is computed, and no extractor is needed. per_shard: images a file, 0 for as many as now. told: is told how
    many images of a shard are written, of how many in all. IntegrityError where one of its files is not what it was.
    """
    as_now = data.manifest.config["shards"]["images"]
    per_shard = per_shard or as_now
    images = images_of(data, name, fingerprint)
    if images.isdisjoint(gone) and per_shard == as_now:
        return None
    earlier = earlier_feature(data.manifest, name, fingerprint, frozenset())
    lost, left = _lost(data, earlier), sorted(images.difference(gone))
    spec = _spec(data, earlier, name, fingerprint)
    count = shard_count(len(left), per_shard)
    receipts = []
    for index in range(count):
        mine = left[shard_slice(index, per_shard)]
        known = earlier.rows(data.folder, mine)
        rows = {image: row for image, row in known.items() if not isinstance(row, Dropped)}
        if missing := [image for image in mine if image not in rows and image not in lost]:
            raise IntegrityError(f"{data.folder}: {name} {fingerprint} lost the row of {missing[0]}. Run verify.")
        file = ShardTask(name, fingerprint, index, count).file_name(spec.suffix)
        write_shard(out / file, spec, rows, fingerprint)
        dropped = sorted(lost[image] for image in mine if image in lost)
        told(len(mine), len(left))
        receipts.append(Receipt(file, sha256_file(out / file), len(rows), mine[0], slice_digest(mine), dropped))
    known = data.manifest.features[name]["versions"][fingerprint]
    return BuiltFeature(spec, fingerprint, known["parts"], receipts, known["notes"], known["settings"])


def _lost(data: Dataset, earlier: Earlier) -> dict[str, Dropped]:
    """Pictures without a row, for whatever reason."""
    if earlier.dropped is None:
        return {}
    rows = read_parquet(data.checked(earlier.dropped.name)).to_pylist()
    return {row["record_id"]: Dropped(**row) for row in rows}


def _spec(data: Dataset, earlier: Earlier, name: str, fingerprint: str) -> FeatureSpec:
    """As far as shards need it: arrays from feature.json, columns from a shard."""
    raw: dict[str, Any] = read_json(data.checked(f"features/{name}/{fingerprint}/feature.json"))["spec"]
    if arrays := tuple(ArraySpec(a["name"], tuple(a["shape"]), a["dtype"]) for a in raw["arrays"]):
        return FeatureSpec(name, arrays=arrays, version=raw["version"])
    schema = pq.read_schema(data.folder / earlier.shards[0].name)
    columns = tuple((field.name, _as_declared(field.type)) for field in schema if field.name != KEY)
    return FeatureSpec(name, columns=columns, version=raw["version"])


def _as_declared(kind: pa.DataType) -> pa.DataType:
    """A column's type as a spec spells it: Parquet gives the values of a list another name, which changes bytes."""
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_as_declared(kind.value_type), kind.list_size)
    return pa.list_(_as_declared(kind.value_type)) if pa.types.is_list(kind) else kind
