"""Pictures of a dataset with their posts and feature rows, one after another in bounded memory."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pipeline.earlier import earlier_feature
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.features import Row
from schemas.posts import SPLITS, Dropped
from schemas.shards import shard_count, shard_slice

Key = Literal["image", "post"]


@dataclass(frozen=True)
class Asked:
    """What to export. features: () for the format's own choice. key: what a row is named by."""

    features: tuple[str, ...] = ()
    key: Key = "image"
    splits: tuple[str, ...] = SPLITS


@dataclass
class Tally:
    """files: written, with their rows. missing: rows left out because a picture has no row of the feature."""

    files: dict[str, int] = field(default_factory=dict)
    missing: int = 0

    def note(self, path: Path, rows: int) -> None:
        """A file that is written."""
        self.files[str(path)] = rows


@dataclass(frozen=True)
class Sample:
    """One row to be. name: the picture's sha256 or the post's id. posts: who shows the picture, in this split.

    rows: by feature; a feature that has none for this picture is left out.
    """

    name: str
    image: str
    posts: list[dict[str, Any]]
    rows: Mapping[str, Row]


class Walk:
    """A dataset's pictures in the order of their hashes, a shard's worth of rows in memory at a time."""

    def __init__(self, data: Dataset, features: tuple[str, ...], key: Key) -> None:
        self.data = data
        self.features = features
        self.key = key
        for name in features:
            data.shards(name)  # compared with the manifest: what comes later reads them as they are
        manifest = data.manifest
        self._earlier = {
            name: earlier_feature(manifest, name, data.fingerprint(name), frozenset()) for name in features
        }

    @cached_property
    def _posts(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """split -> picture -> posts."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {split: defaultdict(list) for split in SPLITS}
        for post in self.data.posts.to_pylist():
            found[post["split"]][post["image_sha256"]].append(post)
        return found

    def samples(self, split: str) -> Iterator[Sample]:
        """All of a split, with whatever rows there are."""
        posts = self._posts[split]
        images = sorted(posts)
        per_shard = self.data.manifest.config["shards"]["images"]
        for index in range(shard_count(len(images), per_shard)):
            mine = images[shard_slice(index, per_shard)]
            rows = {name: earlier.rows(self.data.folder, mine) for name, earlier in self._earlier.items()}
            for image in mine:
                found: dict[str, Row] = {
                    name: row
                    for name, known in rows.items()
                    if (row := known.get(image)) is not None and not isinstance(row, Dropped)
                }
                if self.key == "image":
                    yield Sample(image, image, posts[image], found)
                else:
                    yield from (Sample(post["post_id"], image, [post], found) for post in posts[image])

    def objects(self, split: str, tally: Tally) -> Iterator[tuple[Sample, Row]]:
        """Samples that have a row of the one feature; the others are counted."""
        (feature,) = self.features
        for sample in self.samples(split):
            if feature in sample.rows:
                yield sample, sample.rows[feature]
            else:
                tally.missing += 1


def refuse_existing(path: Path) -> Path:
    """`path`; UsageError where something lies there."""
    if path.exists():
        raise UsageError(f"--out: {path} is there already; choose another folder.")
    return path
