"""Reading a finished dataset folder, every file checked against the manifest before it is used."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import IntegrityError, UsageError
from schemas.files import read_json, sha256_file
from schemas.manifest import Manifest
from schemas.parquet import read_parquet
from schemas.posts import DROPPED_SCHEMA, IMAGE_SCHEMA, POST_SCHEMA
from schemas.shards import KEY, read_table_shard, read_tensor_shard, shard_keys


@dataclass(frozen=True)
class TensorFeature:
    """A tensor feature in memory.

    rows: image sha256 -> index on axis 0. arrays: name -> (images, *shape), as stored (float16 by default).
    """

    rows: dict[str, int]
    arrays: dict[str, np.ndarray]


class Dataset:
    """A dataset folder. Opening it checks the manifest; each file is checked when it is first read.

    Raises IntegrityError that names the file where one is missing or its bytes changed.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder}: no such dataset folder.")
        self.manifest = Manifest.read(self.folder)

    def checked(self, name: str) -> Path:
        """The path of the file `name` of the manifest, after its sha256 was compared."""
        path = self.folder / name
        entry = self.manifest.files[name]
        if path.exists() and not path.is_file():  # such as a device without an end
            raise IntegrityError(f"{path}: expected a file. Run verify.")
        try:
            found = sha256_file(path)
        except OSError as error:
            raise IntegrityError(f"{path}: {error.strerror}, but the manifest lists it. Run verify.") from error
        if found != entry.sha256:
            raise IntegrityError(f"{path}: sha256 is {found}, the manifest says {entry.sha256}. Run verify.")
        return path

    def names(self, prefix: str) -> list[str]:
        """The manifest's file names that begin with `prefix`, sorted."""
        return sorted(name for name in self.manifest.files if name.startswith(prefix))

    @cached_property
    def posts(self) -> pa.Table:
        """All posts in POST_SCHEMA, sorted by id."""
        return self._tables("posts/", POST_SCHEMA).sort_by("post_id")

    @cached_property
    def dropped(self) -> pa.Table:
        """All dropped records in DROPPED_SCHEMA."""
        return self._tables("dropped/part-", DROPPED_SCHEMA)

    @cached_property
    def images(self) -> pa.Table:
        """All images in IMAGE_SCHEMA."""
        return self._tables("images/images.parquet", IMAGE_SCHEMA)

    def _tables(self, prefix: str, schema: pa.Schema) -> pa.Table:
        tables = [schema.empty_table()]
        for name in self.names(prefix):
            table = read_parquet(self.checked(name))
            if not table.schema.equals(schema):
                raise IntegrityError(
                    f"{self.folder / name}: expected columns {schema.names}, got {table.schema.names}. "
                    "Another version of m3h built it; build it anew."
                )
            tables.append(table)
        return pa.concat_tables(tables)

    def split(self, name: str) -> pa.Table:
        """The posts of train, valid or test, sorted by id."""
        mask = pc.equal(self.posts["split"], name)
        return self.posts.filter(mask)

    def has_feature(self, name: str) -> bool:
        """Whether the dataset has this feature at all."""
        return name in self.manifest.features

    def fingerprint(self, name: str) -> str:
        """The current fingerprint of a feature; UsageError where the dataset lacks it."""
        if not self.has_feature(name):
            have = ", ".join(sorted(self.manifest.features)) or "none"
            raise UsageError(f"{self.folder}: no feature '{name}'; it has {have}. Build it with --features.")
        return self.manifest.features[name]["current"]

    def described(self, name: str) -> dict[str, Any]:
        """feature.json of a feature's current fingerprint: `spec`, `fingerprint` and its `parts`."""
        return read_json(self.checked(f"features/{name}/{self.fingerprint(name)}/feature.json"))

    def shards(self, name: str) -> list[Path]:
        """The checked shard files of a feature's current fingerprint, in order."""
        prefix = f"features/{name}/{self.fingerprint(name)}/shard-"
        return [self.checked(file) for file in self.names(prefix)]

    def tensors(self, name: str) -> TensorFeature:
        """A tensor feature, all shards together."""
        rows: dict[str, int] = {}
        arrays: dict[str, np.ndarray] = {}
        shards = self.shards(name)
        total = sum(len(shard_keys(path)) for path in shards)
        for shard in shards:
            keys, parts = read_tensor_shard(shard)
            for array, values in parts.items():  # into place, one shard at a time: never twice in memory
                if array in arrays and arrays[array].shape[1:] != values.shape[1:]:
                    raise IntegrityError(f"{shard}: {array} is {values.shape[1:]} an image, in other shards it is not.")
                whole = arrays.setdefault(array, np.empty((total, *values.shape[1:]), values.dtype))
                whole[len(rows) : len(rows) + len(keys)] = values
            rows.update({key: len(rows) + i for i, key in enumerate(keys)})
        return TensorFeature(rows, arrays)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A table feature (ocr, attributes), all shards together, keyed by `image_sha256`. columns: None for all."""
        tables = [read_table_shard(shard, columns) for shard in self.shards(name)]
        return pa.concat_tables(tables) if tables else self._no_rows(name)

    def _no_rows(self, name: str) -> pa.Table:
        """A table feature of no pictures at all: its columns, as feature.json names them."""
        return pa.table({column: pa.nulls(0) for column in (KEY, *self.described(name)["spec"]["columns"])})
