"""Feature specifications and fingerprints: what an extractor computes, and under which name its rows are stored."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from m3h.schemas import SCHEMA_VERSION
from m3h.schemas.errors import FeatureError

Row = Mapping[str, Any]
"""One image's feature: array name -> ndarray, or column name -> value for a table feature."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of a tensor feature. shape: of one image, no batch axis. dtype: as stored, not as computed."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float16"


@dataclass(frozen=True)
class FeatureSpec:
    """What one extractor computes for every image.

    Exactly one of `arrays` and `columns` is given.

    arrays: of a tensor feature, stored as HDF5.
    columns: of a table feature (words, labels), stored as Parquet.
    version: part of the fingerprint; raise it when values change.
    """

    name: str
    arrays: tuple[ArraySpec, ...] = ()
    columns: tuple[tuple[str, pa.DataType], ...] = ()
    version: int = 1

    @property
    def is_table(self) -> bool:
        """Whether its rows hold words or labels rather than tensors."""
        return bool(self.columns)

    @property
    def suffix(self) -> str:
        """The suffix of this feature's shard files."""
        return ".parquet" if self.is_table else ".h5"

    def table_schema(self) -> pa.Schema:
        """The schema of a table feature's Parquet shards. Rows are keyed by `image_sha256`."""
        return pa.schema([("image_sha256", pa.string()), *self.columns])

    def stored_as(self, dtype: str) -> "FeatureSpec":
        """A copy whose float16 arrays have `dtype` (float16 or float32). Arrays of other types keep theirs."""
        arrays = (replace(array, dtype=dtype) if array.dtype == "float16" else array for array in self.arrays)
        return replace(self, arrays=tuple(arrays))

    def check(self, row: Row, image: str) -> None:
        """Check that `row` is what this spec describes. `image` is named in the error.

        Raises:
            FeatureError: Names or shapes differ, or a value is not finite in the stored dtype.
        """
        expected = {name for name, _ in self.columns} or {array.name for array in self.arrays}
        if set(row) != expected:
            raise FeatureError(
                f"{self.name} v{self.version}, image {image}: expected {sorted(expected)}, got {sorted(row)}. "
                "Fix the extractor."
            )
        for array in self.arrays:
            value = np.asarray(row[array.name])
            if value.shape != array.shape:
                raise FeatureError(
                    f"{self.name} v{self.version}, image {image}: expected {array.name}{array.shape}, "
                    f"got {array.name}{value.shape}. Fix the extractor, or bump its version and rebuild the shards."
                )
            if not np.isfinite(value.astype(array.dtype)).all():
                raise FeatureError(
                    f"{self.name} v{self.version}, image {image}: {array.name} has values that are not finite as "
                    f"{array.dtype}. Check the weights, or store it as float32."
                )

    def as_json(self) -> dict[str, Any]:
        """The spec as it stands in feature.json."""
        return {
            "name": self.name,
            "version": self.version,
            "arrays": [{"name": a.name, "shape": list(a.shape), "dtype": a.dtype} for a in self.arrays],
            "columns": {name: str(kind) for name, kind in self.columns},
        }


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(spec: FeatureSpec, parts: Mapping[str, Any]) -> str:
    """16 hex digits of the sha256 over everything that changes a feature's values.

    Args:
        spec: What the extractor computes.
        parts: JSON values: identity of the weights, preprocessing, precision, thresholds, engine version.
    """
    return described_fingerprint(spec.as_json(), parts)


def described_fingerprint(spec: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """As `fingerprint`, of a spec in the form that feature.json has it."""
    whole = {"schema": SCHEMA_VERSION, "spec": dict(spec), "parts": dict(parts)}
    return hashlib.sha256(canonical_json(whole).encode()).hexdigest()[:16]
