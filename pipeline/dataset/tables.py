"""Tables of records as Parquet parts, whose bytes depend only on the rows."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import ROW_GROUP, publish_tables
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import DROPPED_SCHEMA, FOUND_SCHEMA, IMAGE_LISTS, IMAGE_SCHEMA, POST_SCHEMA

Row = dict[str, Any]

DROPPED_PER_FILE = 100_000
"""Rows in a part of `dropped`. These rows are small."""


@dataclass(frozen=True)
class Layout:
    """Where the rows of a table are stored.

    folder: inside the dataset.
    order: columns that make the order of rows total. Their hash chooses a row's part.
    """

    folder: str
    schema: pa.Schema
    order: tuple[str, ...]

    def part(self, row: Mapping[str, Any], count: int, per_part: int) -> str:
        """The file of a row. It is chosen by the hash of the row's key, so neither order nor workers matter.

        Args:
            row: Must have the columns of `order`.
            count: Number of rows of the whole table.
            per_part: About how many rows a file has.
        """
        parts = max(1, -(-count // per_part))
        text = "\t".join(str(row[key]) for key in self.order)
        part = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % parts
        return f"{self.folder}/part-{part:05d}-of-{parts:05d}.parquet"

    def write(self, path: Path, rows: Iterable[Any], read: Callable[[Any], Row] = lambda row: row) -> int:
        """Write one file with its rows in order, and return their number.

        Args:
            path: The file to write.
            rows: Rows, or a form of them that takes less memory.
            read: Makes a row of one of `rows`. Left out, they are rows already.
        """

        def sort_key(row: Any) -> tuple[Any, ...]:
            plain = read(row)
            return tuple(plain[key] for key in self.order)

        ordered = sorted(rows, key=sort_key)
        groups = (ordered[start : start + ROW_GROUP] for start in range(0, max(1, len(ordered)), ROW_GROUP))
        tables = (pa.Table.from_pylist([read(row) for row in group], schema=self.schema) for group in groups)
        publish_tables(path, self.schema, tables)
        return len(ordered)

    def write_parts(self, dataset: Path, rows: Sequence[Row], per_part: int) -> None:
        """Write all rows of the table. Without rows no file is written.

        Args:
            dataset: The dataset's folder.
            rows: All of them, in any order.
            per_part: About how many rows a file has.
        """
        files: dict[str, list[Row]] = {}
        for row in rows:
            files.setdefault(self.part(row, len(rows), per_part), []).append(row)
        for name, rows_of_part in files.items():
            self.write(file_in(dataset, name), rows_of_part)


class ImageListLayout(Layout):
    """The list of pictures. A part has a range of the hashes, so the parts, one after the other, are sorted.

    Up to `per_part` pictures are one file without a number: most datasets have no other, and earlier versions wrote
    no other.
    """

    def part(self, row: Mapping[str, Any], count: int, per_part: int) -> str:
        """As of any table.

        Raises:
            IntegrityError: The row does not name its picture by a sha256.
        """
        parts = max(1, -(-count // per_part))
        if parts == 1:
            return IMAGE_LIST
        part = int(checked_hash(row["image_sha256"], IMAGE_LISTS)[:_LEADING], 16) * parts >> 4 * _LEADING
        return f"{IMAGE_LISTS}-{part:05d}-of-{parts:05d}.parquet"


def checked_hash(image: object, place: object) -> str:
    """The name of a picture, which must be a sha256.

    place: the file that names it, for the IntegrityError where it is something else.
    """
    if not isinstance(image, str) or not _SHA256.fullmatch(image):
        raise IntegrityError(f"{place}: a picture is named {str(image)[:80]!r}, expected a sha256. Run verify.")
    return image


def image_lists(manifest: Manifest) -> list[str]:
    """The names of the files that list a dataset's pictures, in their order."""
    return sorted(name for name in manifest.files if name.startswith(IMAGE_LISTS))


_SHA256 = re.compile(r"[0-9a-f]{64}")
_LEADING = 16
"""Hex digits of a hash that decide in which range it is."""

POSTS = Layout("posts", POST_SCHEMA, ("post_id", "source", "position"))
DROPPED = Layout("dropped", DROPPED_SCHEMA, ("source", "position", "record_id", "stage", "reason", "detail"))
FOUND = Layout("images", FOUND_SCHEMA, ("post_id", "source", "path", "url"))
IMAGES = ImageListLayout("images", IMAGE_SCHEMA, ("image_sha256",))
IMAGE_LIST = f"{IMAGE_LISTS}.parquet"
"""The list of pictures where it is one file. All its readers look for `IMAGE_LISTS`."""
IMAGE_LIST_PATTERN = f"{IMAGE_LISTS}*.parquet"
LISTS = IMAGE_LIST_PATTERN.partition("/")[2]
"""The pattern inside the folder `images`."""
