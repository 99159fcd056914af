"""Reads the pictures of a dataset one after the other, with their posts and feature rows, in bounded memory."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from m3h.pipeline.config import shard_rules_of
from m3h.pipeline.engine.known_rows import read_known_rows
from m3h.pipeline.progress.monitor import tracked
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row
from m3h.schemas.posts import SPLITS, Dropped
from m3h.schemas.shards import shard_count, shard_slice

Key = Literal["image", "post"]


@dataclass(frozen=True)
class ExportRequest:
    """What is exported. features: () for the format's default. key: whether the picture or the post names a row."""

    features: tuple[str, ...] = ()
    key: Key = "image"
    splits: tuple[str, ...] = SPLITS


@dataclass
class ExportResult:
    """files: the written files with their numbers of rows. missing: rows left out because a feature has none."""

    files: dict[str, int] = field(default_factory=dict)
    missing: int = 0

    def add(self, other: "ExportResult") -> None:
        """Add the files and counts of another split."""
        self.files |= other.files
        self.missing += other.missing


PostRecord = dict[str, Any]
"""A row of POST_SCHEMA. The schema gives each field its own type."""


@dataclass(frozen=True)
class Sample:
    """One row to export.

    name: the picture's sha256 or the post's id. image: the picture's sha256. posts: the posts of this split with the
    picture. rows: by feature, without features that have no row for this picture.
    """

    name: str
    image: str
    posts: list[PostRecord]
    rows: Mapping[str, Row]


class Samples:
    """The pictures of a dataset in the order of their hashes. The rows of one shard are in memory at a time."""

    def __init__(self, data: Dataset, features: tuple[str, ...], key: Key) -> None:
        self.data = data
        self.features = features
        self.key = key
        for name in features:
            data.shards(name)  # compares the files with the manifest, because later reads do not
        manifest = data.manifest
        self._known_rows = {name: read_known_rows(manifest, name, data.fingerprint(name)) for name in features}

    @cached_property
    def _posts(self) -> dict[str, dict[str, list[PostRecord]]]:
        """The posts by split and picture."""
        posts: dict[str, dict[str, list[PostRecord]]] = {split: defaultdict(list) for split in SPLITS}
        for post in self.data.posts.to_pylist():
            posts[post["split"]][post["image_sha256"]].append(post)
        return posts

    def samples(self, split: str) -> Iterator[Sample]:
        """All samples of a split. A sample may lack rows of some features."""
        posts = self._posts[split]
        images = sorted(posts)
        per_shard = shard_rules_of(self.data.manifest).images
        shards = [images[shard_slice(index, per_shard)] for index in range(shard_count(len(images), per_shard))]
        for shard_images in tracked(split, shards):
            rows = {name: known.rows(self.data.folder, shard_images) for name, known in self._known_rows.items()}
            for image in shard_images:
                image_rows: dict[str, Row] = {
                    name: row
                    for name, feature_rows in rows.items()
                    if (row := feature_rows.get(image)) is not None and not isinstance(row, Dropped)
                }
                if self.key == "image":
                    yield Sample(image, image, posts[image], image_rows)
                else:
                    yield from (Sample(post["post_id"], image, [post], image_rows) for post in posts[image])

    def objects(self, split: str, result: ExportResult) -> Iterator[tuple[Sample, Row]]:
        """The samples of a split with a row of the one feature. The others are counted as missing in `result`."""
        (feature,) = self.features
        for sample in self.samples(split):
            if feature in sample.rows:
                yield sample, sample.rows[feature]
            else:
                result.missing += 1


def refuse_existing(path: Path) -> Path:
    """`path`, if it does not exist yet. UsageError otherwise."""
    if path.exists():
        raise UsageError(f"--out: {path} already exists. Choose another folder.")
    return path
