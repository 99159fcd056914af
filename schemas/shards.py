"""Feature shards: their names, and the HDF5 and Parquet files themselves.

A shard holds its images sorted by sha256, and states the fingerprint under which its rows were computed. Its bytes
depend only on its rows and that fingerprint.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from m3h.schemas.errors import IntegrityError
from m3h.schemas.features import FeatureSpec, Row
from m3h.schemas.files import publish, publish_table
from m3h.schemas.parquet import read_parquet

KEY = "image_sha256"
FINGERPRINT = "fingerprint"

_HDF5_ERRORS = (OSError, KeyError, ValueError, RuntimeError, AttributeError, TypeError)
"""The exceptions by which h5py reports a broken file."""


def shard_name(index: int, count: int, suffix: str) -> str:
    """The file name of a shard, such as `shard-00007-of-00064.h5`.

    Args:
        index: Of the shard, from 0.
        count: Number of shards.
        suffix: `.h5` or `.parquet`.
    """
    return f"shard-{index:05d}-of-{count:05d}{suffix}"


def shard_count(images: int, per_shard: int) -> int:
    """The number of shards that `images` images fill."""
    return -(-images // per_shard)


def shard_slice(index: int, per_shard: int) -> slice:
    """Which of the dataset's images, sorted by sha256, belong to shard `index`."""
    return slice(index * per_shard, (index + 1) * per_shard)


def finished_hdf5(path: Path) -> h5py.File:
    """Open a finished file for reading, without a lock: it never changes, and some file systems have no locks."""
    return h5py.File(path, "r", locking=False)


def new_hdf5(path: Path) -> h5py.File:
    """Open a new file for writing, without a lock: until it has its final name nobody else knows of it.

    The earliest format of HDF5, because every reader opens it, and all versions of h5py since 3.12 write it with the
    same bytes. With `libver="latest"` those before 3.15 write the time into it; 3.11 writes arrays that grow otherwise.
    """
    return h5py.File(path, "w", libver="earliest", locking=False)


def write_shard(path: Path, spec: FeatureSpec, rows: Mapping[str, Row], *, fingerprint: str = "") -> None:
    """Write one finished shard atomically.

    Args:
        path: The file to write.
        spec: Of the feature.
        rows: Image sha256 -> row. Each is already checked against `spec`.
        fingerprint: The fingerprint under which the rows were computed. "" outside of datasets.

    Raises:
        MachineError: The file cannot be written.
    """
    if spec.is_table:
        records = [{KEY: key, **rows[key]} for key in sorted(rows)]
        schema = spec.table_schema().with_metadata({FINGERPRINT: fingerprint})
        publish_table(path, pa.Table.from_pylist(records, schema=schema))
    else:
        publish(path, lambda temp: _write_hdf5(temp, spec, rows, fingerprint=fingerprint))


def _write_hdf5(path: Path, spec: FeatureSpec, rows: Mapping[str, Row], *, fingerprint: str) -> None:
    keys = sorted(rows)
    with new_hdf5(path) as file:
        file.attrs[FINGERPRINT] = fingerprint
        file.create_dataset(KEY, data=np.array(keys, dtype="S64"), track_times=False)
        for array in spec.arrays:
            values = np.zeros((len(keys), *array.shape), dtype=array.dtype)
            for i, key in enumerate(keys):
                values[i] = rows[key][array.name]
            file.create_dataset(array.name, data=values, track_times=False)


def read_tensor_shard(path: Path, arrays: Collection[str] | None = None) -> tuple[list[str], dict[str, np.ndarray]]:
    """The image hashes in order, and the arrays by name, each of shape (images, *shape).

    Args:
        path: The file.
        arrays: Names of the arrays to read. None for all.
    """
    with _opened(path) as file:
        names = [name for name in file if name != KEY and (arrays is None or name in arrays)]
        return _keys(file), {name: file[name][:] for name in names}


def map_tensor_shard(path: Path, arrays: Collection[str] | None = None) -> tuple[list[str], dict[str, np.ndarray]]:
    """As `read_tensor_shard`, but the numbers stay in the file, which is mapped: each is read when it is looked at.

    The arrays cannot be written. They stay readable when the file is removed, as long as it lies on this machine.
    """
    with _opened(path) as file:
        names = [name for name in file if name != KEY and (arrays is None or name in arrays)]
        return _keys(file), {name: _mapped(path, file[name]) for name in names}


def _mapped(path: Path, array: h5py.Dataset) -> np.ndarray:
    if not array.nbytes:
        return np.empty(array.shape, array.dtype)
    offset = array.id.get_offset()
    if offset is None or offset + array.nbytes > path.stat().st_size:
        raise ValueError(f"{array.name} lies beyond its end")  # looking at it would end the process
    return np.memmap(path, array.dtype, "r", offset, array.shape)


def _refuse_tricks(path: Path, file: h5py.File) -> None:
    """Check that each array is stored in this file itself, number by number, as `_write_hdf5` writes it.

    HDF5 allows more: links to other files, arrays whose numbers are elsewhere or nowhere, filters that expand without
    limit or run code. Whether an array is plain is known before any of it is read.

    Raises:
        IntegrityError: An array is not plain, or its length is not that of the keys.
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
    """Only the image hashes of a shard's rows, in order."""
    if path.suffix == ".parquet":
        keys: list[str] = read_table_shard(path, [KEY])[KEY].to_pylist()
        return keys
    with _opened(path) as file:
        return _keys(file)


@dataclass(frozen=True)
class Outline:
    """What a shard states about itself.

    keys: image hashes, in order.
    fingerprint: "" where it states none.
    columns: all but the keys: array -> (shape of one image, dtype), or column -> its type in Arrow's spelling.
    """

    keys: list[str]
    fingerprint: str
    columns: dict[str, Any]


def shard_outline(path: Path) -> Outline:
    """Everything about a shard except the values of its rows.

    Raises:
        IntegrityError: The file is no readable shard.
    """
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
        with finished_hdf5(path) as file:
            _refuse_tricks(path, file)
            yield file
    except _HDF5_ERRORS as error:
        raise IntegrityError(f"{path}: not a readable feature shard ({error}). Run verify, then refresh.") from error


def _keys(file: h5py.File) -> list[str]:
    return [key.decode() for key in file[KEY][:]]


def read_table_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a table feature's shard.

    Args:
        path: The file.
        columns: The columns to read. None for all.
    """
    return read_parquet(path, columns)
