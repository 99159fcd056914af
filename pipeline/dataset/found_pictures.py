"""Which picture each record was found to show, so that the dataset's own store has it for every later build.

A folder may move, change, or stand beside another one with the same file names. What a record showed is therefore kept
in `images/part-*.parquet`, for kept posts and for those that a later stage dropped. A record is known by its dump, its
id and its reference to a picture, not by its position: a corrected dump may have more lines or fewer.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3h.pipeline.dataset.tables import FOUND
from m3h.pipeline.text.pii import stored_path, stored_url
from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import sha256_file
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import FOUND_SCHEMA, Post

FOUND_PER_FILE = 100_000
"""Rows in a part. These rows are small."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

FOUND_PREFIX = f"{FOUND.folder}/part-"
"""How the names of the parts begin."""


def found_row(post: Post) -> dict[str, Any]:
    """A post of one picture, whose hash is known, as a row of FOUND_SCHEMA."""
    (image,) = post.images
    return {
        "post_id": post.post_id, "source": post.source, "path": image.path, "url": image.url,
        "image_sha256": post.image_sha256,
    }  # fmt: skip


def masked_found_row(post: Post) -> dict[str, Any]:
    """As `found_row`, without what names a person."""
    return _masked(found_row(post))


def record_name(post: Post) -> str:
    """What a record with one picture is known by."""
    return _name(found_row(post))


def _masked(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"path": stored_path(row["path"]), "url": stored_url(row["url"])}


def _name(row: dict[str, Any]) -> str:
    """The same of a row that is masked and of one that is not."""
    masked = _masked(row)
    return json.dumps([masked[column] for column in FOUND.order])


@dataclass(frozen=True)
class FoundPictures:
    """What the records of a finished dataset were found to show.

    dataset: whose store has the pictures.
    files: the parts that are whole; records of a damaged part are looked for in the folders again.
    look_again: whether the folder that the user has named for that comes first. The store still has what it does not;
    folders of earlier builds come last.
    """

    dataset: Path
    files: tuple[Path, ...] = ()
    look_again: bool = False

    @classmethod
    def of(cls, dataset: Path, known: Manifest | None, *, look_again: bool = False) -> "FoundPictures":
        """Those of a dataset with the manifest `known`; none where there is none yet."""
        names = sorted(name for name in known.files if name.startswith(FOUND_PREFIX)) if known else []
        hashes = {file_in(dataset, name): known.files[name].sha256 for name in names} if known else {}
        whole = (part for part, sha256 in hashes.items() if part.is_file() and sha256_file(part) == sha256)
        return cls(dataset, tuple(whole), look_again)


def read_found(part: Path) -> Iterator[tuple[str, str]]:
    """What each record of a part is known by, and the hash of its picture.

    Raises:
        IntegrityError: The part holds something else than hashes, such as a path.
    """
    for row in read_parquet(part, columns=FOUND_SCHEMA.names).to_pylist():
        if not _SHA256.fullmatch(str(row["image_sha256"])):
            raise IntegrityError(f"{part}: expected the sha256 of a picture, got {row['image_sha256']!r}. Run verify.")
        yield _name(row), row["image_sha256"]
