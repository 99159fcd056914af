"""Feature shards: their names, and the HDF5 and Parquet files themselves.

A shard holds its images sorted by sha256, and says under which fingerprint its rows were computed; its bytes depend on
its rows and that fingerprint alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import IntegrityError
from schemas.features import FeatureSpec, Row
from schemas.files import publish, publish_table
from schemas.parquet import read_parquet

KEY = "image_sha256"
FINGERPRINT = "fingerprint"

_BROKEN = (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError)
"""As h5py says that something is broken somewhere."""


def shard_name(index: int, count: int, suffix: str) -> str:
    """`shard-00007-of-00064.h5`."""
    return f"shard-{index:05d}-of-{count:05d}{suffix}"


def shard_count(images: int, per_shard: int) -> int:
    """How many shards `images` images make."""
    return -(-images // per_shard)


def shard_slice(index: int, per_shard: int) -> slice:
    """Which of the dataset's images, sorted by sha256, lie in shard `index`."""
    return slice(index * per_shard, (index + 1) * per_shard)


def write_shard(path: Path, spec: FeatureSpec, rows: Mapping[str, Row], fingerprint: str = "") -> None:
    """Write one finished shard atomically. rows: image sha256 -> row, each already checked against `spec`.

    fingerprint: under which they were computed; "" outside of datasets.
    """
    keys = sorted(rows)
    if spec.is_table:
        records = [{KEY: key, **rows[key]} for key in keys]
        schema = spec.table_schema().with_metadata({FINGERPRINT: fingerprint})
        publish_table(path, pa.Table.from_pylist(records, schema=schema))
    else:
        publish(path, lambda temp: _write_hdf5(temp, spec, keys, rows, fingerprint))


def _write_hdf5(path: Path, spec: FeatureSpec, keys: Sequence[str], rows: Mapping[str, Row], fingerprint: str) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs[FINGERPRINT] = fingerprint
        file.create_dataset(KEY, data=np.array(keys, dtype="S64"), track_times=False)
        for array in spec.arrays:
            values = np.zeros((len(keys), *array.shape), dtype=array.dtype)
            for i, key in enumerate(keys):
                values[i] = rows[key][array.name]
            file.create_dataset(array.name, data=values, track_times=False)


def read_tensor_shard(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Image hashes, and the arrays by name with the images on axis 0."""
    with _opened(path) as file:
        return _keys(file), {name: file[name][:] for name in file if name != KEY}


def _refuse_tricks(path: Path, file: h5py.File) -> None:
    """IntegrityError unless each array lies in this very file, number for number, as `_write_hdf5` puts it there.

    HDF5 can do more: links to other files, arrays whose numbers lie elsewhere or nowhere, filters that blow up or are
    code of their own. Whether an array is plain is known before any of it is read.
    """
    for name in file:
        link = file.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise IntegrityError(f"{path}: {name} is a {type(link).__name__}, a shard holds its arrays itself.")
        array = file[name]
        plain = isinstance(array, h5py.Dataset) and not array.is_virtual and not array.external and not array.chunks
        if not plain or array.dtype.kind not in "fiubS" or array.id.get_storage_size() != array.nbytes:
            raise IntegrityError(f"{path}: {name} is no plain array of numbers that lies in this file.")
        if array.shape[:1] != file[KEY].shape:
            raise IntegrityError(f"{path}: {name} has the shape {array.shape}, {KEY} {file[KEY].shape}.")


def shard_keys(path: Path) -> list[str]:
    """The image hashes of a shard's rows alone, in order."""
    if path.suffix == ".parquet":
        return read_table_shard(path, [KEY])[KEY].to_pylist()
    with _opened(path) as file:
        return _keys(file)


@dataclass(frozen=True)
class Outline:
    """What a shard says of itself. keys: image hashes, in order. fingerprint: "" where it states none.

    columns: what lies beside the keys: array -> (shape of one image, dtype), or column -> its type as Arrow spells it.
    """

    keys: list[str]
    fingerprint: str
    columns: dict[str, Any]


def shard_outline(path: Path) -> Outline:
    """All but the rows' values. IntegrityError where it is no readable shard."""
    if path.suffix == ".parquet":
        keys, schema = shard_keys(path), pq.read_schema(path)
        stated = (schema.metadata or {}).get(FINGERPRINT.encode(), b"").decode(errors="replace")
        return Outline(keys, stated, {field.name: str(field.type) for field in schema if field.name != KEY})
    with _opened(path) as file:
        columns = {name: (list(file[name].shape[1:]), str(file[name].dtype)) for name in file if name != KEY}
        return Outline(_keys(file), str(file.attrs.get(FINGERPRINT, "")), columns)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            _refuse_tricks(path, file)
            yield file
    except _BROKEN as error:
        raise IntegrityError(f"{path}: not a readable feature shard ({error}). Run verify, then refresh.") from error


def _keys(file: h5py.File) -> list[str]:
    return [key.decode() for key in file[KEY][:]]


def read_table_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a table feature's shard. columns: None for all."""
    return read_parquet(path, columns)
