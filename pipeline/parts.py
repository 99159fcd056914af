"""Tables of records as Parquet parts, whose bytes depend on the rows alone."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.files import ROW_GROUP, publish_tables
from schemas.posts import DROPPED_SCHEMA, IMAGE_SCHEMA, POST_SCHEMA

Row = dict[str, Any]

DROPPED_PER_FILE = 100_000
"""Rows of a part of `dropped`: they are small."""


@dataclass(frozen=True)
class Layout:
    """Where rows lie. folder: of the dataset. order: columns that make the order of rows total, and choose a part."""

    folder: str
    schema: pa.Schema
    order: tuple[str, ...]

    def part(self, row: Mapping[str, Any], count: int, per_part: int) -> str:
        """The file of a row of `count`: by the hash of its key, so that neither order nor workers matter."""
        parts = max(1, -(-count // per_part))
        text = "\t".join(str(row[key]) for key in self.order)
        part = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % parts
        return f"{self.folder}/part-{part:05d}-of-{parts:05d}.parquet"

    def write(self, path: Path, rows: Iterable[Any], read: Callable[[Any], Row] = lambda row: row) -> int:
        """One file, its rows in order; returns how many.

        read: makes a row of one of `rows`, if these are in a form that takes less memory.
        """

        def place(row: Any) -> tuple[Any, ...]:
            plain = read(row)
            return tuple(plain[key] for key in self.order)

        ordered = sorted(rows, key=place)
        groups = (ordered[start : start + ROW_GROUP] for start in range(0, max(1, len(ordered)), ROW_GROUP))
        tables = (pa.Table.from_pylist([read(row) for row in group], schema=self.schema) for group in groups)
        publish_tables(path, self.schema, tables)
        return len(ordered)

    def write_parts(self, dataset: Path, rows: Sequence[Row], per_part: int) -> None:
        """All rows, about `per_part` a file; no rows, no file."""
        files: dict[str, list[Row]] = {}
        for row in rows:
            files.setdefault(self.part(row, len(rows), per_part), []).append(row)
        for name, mine in files.items():
            self.write(dataset / name, mine)


POSTS = Layout("posts", POST_SCHEMA, ("post_id", "source", "position"))
DROPPED = Layout("dropped", DROPPED_SCHEMA, ("source", "position", "record_id", "stage", "reason", "detail"))
IMAGES = Layout("images", IMAGE_SCHEMA, ("image_sha256",))
IMAGE_LIST = "images/images.parquet"
