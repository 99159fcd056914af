"""Reads a finished dataset folder. Every file is checked against the manifest before it is used."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.files import read_json, sha256_file, validating
from m3h.schemas.inside import file_in, folder_in, picture_file, refuse_strange, require_dataset
from m3h.schemas.manifest import Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import DROPPED_SCHEMA, FOUND_SCHEMA, IMAGE_LISTS, IMAGE_SCHEMA, POST_SCHEMA
from m3h.schemas.reading.known_files import is_known, remember
from m3h.schemas.reading.stacked import StackedArray
from m3h.schemas.shards import KEY, map_tensor_shard, read_table_shard

T = TypeVar("T")


@dataclass(frozen=True)
class TensorFeature:
    """A tensor feature of all pictures.

    rows: image sha256 -> index on axis 0.
    arrays: name -> array of shape (images, *shape), of the stored dtype (float16 by default), read where it lies.
    """

    rows: dict[str, int]
    arrays: dict[str, StackedArray]


RETIRED = ".build-retired"
"""The folder of files that a manifest listed before a command replaced or removed them, by their hashes.

Whoever opened the dataset before that finds them there for a while, and so sees one whole version.
"""


def retired_name(name: str, sha256: str) -> str:
    """Where the file that had this name and hash is kept, inside the dataset."""
    return f"{RETIRED}/{sha256}{PurePosixPath(name).suffix}"


@dataclass(frozen=True)
class Whole:
    """A file with the bytes that a manifest states, and what the system said of it before they were compared."""

    path: Path
    stamp: tuple[int, ...]

    @property
    def is_unchanged(self) -> bool:
        """Whether the same file is still there. A finished file never changes, but another may take its place."""
        return _stamp(self.path) == self.stamp


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def whole_file(folder: Path, name: str, sha256: str, *, remembered: bool = False) -> Whole | None:
    """The file of a dataset with this name and hash, or the one that was kept when it went. None where neither is.

    Args:
        folder: The dataset.
        name: Of the file.
        sha256: Its hash.
        remembered: Whether a large file that was compared before, and has not changed since, is not compared again.
    """
    for place in (name, retired_name(name, sha256)):
        path = file_in(folder, place)
        found = Whole(path, _stamp(path))
        with suppress(FileNotFoundError):
            if _is_whole(path, sha256, remembered):
                return found
    return None


def _is_whole(path: Path, sha256: str, remembered: bool) -> bool:
    before = path.stat(follow_symlinks=False)
    if remembered and is_known(path, sha256, before):
        return True
    if sha256_file(path) != sha256:
        return False
    if remembered:
        remember(path, sha256, before)
    return True


def read_whole(find: Callable[[], Sequence[Whole]], reader: Callable[[list[Path]], T]) -> T:
    """What `reader` makes of finished files, although a command may be replacing them at this moment.

    Args:
        find: Finds them. Called again when one of them was replaced or removed meanwhile.
        reader: Called with their paths, perhaps more than once.
    """
    while True:
        found = find()
        try:
            result = reader([file.path for file in found])
        except Exception:  # parts of two versions can break a reader in any way
            if all(file.is_unchanged for file in found):
                raise
        else:
            if all(file.is_unchanged for file in found):
                return result


class Dataset:
    """A dataset folder. Opening it checks the manifest. Each file is checked when it is first read.

    Raises:
        UsageError: There is no such folder.
        IntegrityError: A file is missing or its bytes changed. The message names it.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        require_dataset(self.folder)
        refuse_strange(self.folder)
        self.manifest = Manifest.read(self.folder)

    def checked(self, name: str) -> Path:
        """The path of the manifest's file `name`, after its sha256 was compared.

        Raises:
            IntegrityError: The manifest does not list the file, or it is missing or changed.
        """
        return self._found(name).path

    def read(self, name: str, reader: Callable[[Path], T]) -> T:
        """What `reader` makes of the manifest's file `name`, after its sha256 was compared.

        The file may be replaced or removed at this moment: the result is of the version that was opened.

        Raises:
            IntegrityError: As by `checked`.
        """
        return self.read_all([name], lambda paths: reader(paths[0]))

    def read_all(self, names: Sequence[str], reader: Callable[[list[Path]], T], *, remembered: bool = False) -> T:
        """As `read`, of several files together. remembered: as in `whole_file`."""
        return read_whole(lambda: [self._found(name, remembered) for name in names], reader)

    def _found(self, name: str, remembered: bool = False) -> Whole:
        sha256 = self._sha256(name)
        if whole := whole_file(self.folder, name, sha256, remembered=remembered):
            return whole
        raise self._fault(name, sha256)

    def _sha256(self, name: str) -> str:
        entry = self.manifest.files.get(name)
        if entry is None:
            path = file_in(self.folder, name)
            raise IntegrityError(f"{path}: expected it in the manifest, which does not list it. Run verify.")
        return entry.sha256

    def _fault(self, name: str, stated: str) -> IntegrityError:
        path = file_in(self.folder, name)
        if self._is_being_changed():
            return IntegrityError(f"{self.folder}: is being changed by another command, or was just now; try again.")
        try:
            found = sha256_file(path)
        except OSError as error:
            return IntegrityError(f"{path}: {error.strerror}, but the manifest lists it. Run verify.")
        return IntegrityError(f"{path}: sha256 is {found}, the manifest says {stated}. Run verify.")

    def _is_being_changed(self) -> bool:
        """Whether another manifest is there than the one that was opened, or one is being written."""
        try:
            return not Manifest.is_settled(self.folder) or Manifest.read(self.folder) != self.manifest
        except IntegrityError:
            return False

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
        return self._tables(IMAGE_LISTS, IMAGE_SCHEMA)

    @cached_property
    def found(self) -> pa.Table:
        """Which picture each record was found to show, in FOUND_SCHEMA. Empty where no pictures came from folders."""
        return self._tables("images/part-", FOUND_SCHEMA)

    def picture(self, image_sha256: str) -> bytes | None:
        """The bytes of a picture, out of the store. None where the dataset has none of it.

        Raises:
            IntegrityError: The bytes are others than those that its name is the hash of.
        """
        mask = pc.and_(pc.equal(self.images[KEY], image_sha256), pc.equal(self.images["status"], "stored"))
        if not self.images.filter(mask).num_rows:
            return None
        path = picture_file(folder_in(self.folder, "images"), image_sha256)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        if (found := hashlib.sha256(data).hexdigest()) != image_sha256:
            raise IntegrityError(f"{path}: its sha256 is {found}, not that of its name. Run verify --repair.")
        return data

    def _tables(self, prefix: str, schema: pa.Schema) -> pa.Table:
        tables = [schema.empty_table()]
        for name in self.names(prefix):
            table = self.read(name, read_parquet)
            if not table.schema.equals(schema):
                raise IntegrityError(
                    f"{file_in(self.folder, name)}: expected columns {schema.names}, got {table.schema.names}. "
                    "Another version of m3h built it; build it anew."
                )
            tables.append(table)
        return pa.concat_tables(tables)

    def split(self, name: str) -> pa.Table:
        """The posts of train, valid or test, sorted by id."""
        mask = pc.equal(self.posts["split"], name)
        return self.posts.filter(mask)

    def has_feature(self, name: str) -> bool:
        """Whether the dataset has any version of this feature."""
        return name in self.manifest.features

    def fingerprint(self, name: str) -> str:
        """The current fingerprint of a feature.

        Raises:
            UsageError: The dataset does not have the feature.
        """
        if not self.has_feature(name):
            available = ", ".join(sorted(self.manifest.features)) or "none"
            raise UsageError(f"{self.folder}: no feature '{name}'; it has {available}. Build it with --features.")
        return self.manifest.features[name].current

    def described(self, name: str) -> dict[str, Any]:
        """The feature.json of a feature's current fingerprint: `spec`, `fingerprint` and its `parts`."""
        return self.read(f"features/{name}/{self.fingerprint(name)}/feature.json", read_json)

    def shards(self, name: str) -> list[Path]:
        """The checked shard files of a feature's current fingerprint, in order."""
        return [self.checked(file) for file in self._shard_names(name)]

    def _shard_names(self, name: str) -> list[str]:
        return self.names(f"features/{name}/{self.fingerprint(name)}/shard-")

    def tensors(self, name: str, arrays: Collection[str] | None = None) -> TensorFeature:
        """A tensor feature, all shards together. Its rows stay in their files until they are asked for.

        A shard that was compared with its sha256 before, and has not changed since, is not compared again.

        Args:
            name: The feature.
            arrays: Names of the arrays to read. None for all.
        """
        names = self._shard_names(name)
        if not names:
            return TensorFeature({}, self._no_arrays(name))
        return self.read_all(names, lambda paths: _joined_tensors(paths, arrays), remembered=True)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A table feature (ocr, attributes), all shards together, keyed by `image_sha256`.

        Args:
            name: The feature.
            columns: The columns to read. None for all.
        """
        names = self._shard_names(name)
        tables = self.read_all(names, lambda paths: [read_table_shard(path, columns) for path in paths])
        return pa.concat_tables(tables) if tables else self._no_rows(name)

    def _no_arrays(self, name: str) -> dict[str, StackedArray]:
        """A tensor feature without any pictures: the arrays that feature.json names, of no images."""
        described = self.described(name)
        with validating(folder_in(self.folder, f"features/{name}")):
            arrays = described["spec"]["arrays"]
            return {of["name"]: StackedArray([np.empty((0, *of["shape"]), of["dtype"])]) for of in arrays}

    def _no_rows(self, name: str) -> pa.Table:
        """A table feature without any pictures: an empty table of the columns that feature.json names."""
        described = self.described(name)
        with validating(folder_in(self.folder, f"features/{name}")):
            return pa.table({column: pa.nulls(0) for column in (KEY, *described["spec"]["columns"])})


def _joined_tensors(shards: Sequence[Path], wanted: Collection[str] | None) -> TensorFeature:
    rows: dict[str, int] = {}
    parts: dict[str, list[np.ndarray]] = {}
    for shard in shards:
        keys, arrays = map_tensor_shard(shard, wanted)
        for name, values in arrays.items():
            first = parts.setdefault(name, [values])[0]
            if (first.shape[1:], first.dtype) != (values.shape[1:], values.dtype):
                raise IntegrityError(f"{shard}: {name} is {values.shape[1:]} an image, in other shards it is not.")
            if first is not values:
                parts[name].append(values)
        rows.update({key: len(rows) + i for i, key in enumerate(keys)})
    return TensorFeature(rows, {name: StackedArray(found) for name, found in parts.items()})
