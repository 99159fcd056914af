"""A small finished dataset written by hand, without Beam: posts that share pictures and texts, features, lost rows."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.derived import write_derived
from m3h.pipeline.dataset.publish import Tallied, describe_dataset, record_counts
from m3h.pipeline.dataset.tables import DROPPED, DROPPED_PER_FILE, IMAGES, POSTS
from m3h.pipeline.engine.shard_engine import UNEXPECTED, Receipt, ShardTask, slice_digest
from m3h.pipeline.images.store import image_path
from m3h.pipeline.rules import CleanRules, ShardRules
from m3h.schemas.config import as_plain
from m3h.schemas.features import ArraySpec, FeatureSpec, fingerprint
from m3h.schemas.files import sha256_file
from m3h.schemas.posts import IMAGE_SCHEMA, Dropped, Post, dropped_row, post_row
from m3h.schemas.shards import shard_count, shard_slice, write_shard

KEEP_ALL = CleanRules(near_text=0, near_images=0, unique_texts=False, unique_images=False, min_hashtag_count=1)
CONFIG = BuildConfig(shards=ShardRules(images=4, posts=6), clean=KEEP_ALL)
GRID = FeatureSpec("grid", arrays=(ArraySpec("features", (2, 3)), ArraySpec("count", (), "int32")))
WORDS = FeatureSpec("words", columns=(("words", pa.list_(pa.string())), ("boxes", pa.list_(pa.list_(pa.int32(), 4)))))
SEEDS = ((GRID, {"seed": 2}), (GRID, {"seed": 3}), (WORDS, {"seed": 4}))
PARTS = {fingerprint(spec, parts): parts for spec, parts in SEEDS}
VERSIONS = tuple((spec, version) for (spec, _), version in zip(SEEDS, PARTS, strict=True))
"""The features and their fingerprints; the last one of a feature is its current one."""

POSTS_MADE = 20
DROPPED_MADE = [
    Dropped("text", "too_few_tokens", "2000001", "v1:d.jsonl", 31, "3 tokens"),
    Dropped("duplicates", "duplicate_text", "2000002", "v1:d.jsonl", 32, "1000001"),
    Dropped("read", "not_json", "", "v1:d.jsonl", 33, """Expecting ',': b'{"id": 1000002'"""),
    Dropped("duplicates", "duplicate_id", "1000009", "v1:d.jsonl", 34, "v1:e.jsonl"),
]


def post_id(i: int) -> str:
    return str(1_000_000 + i)


def picture_bytes(i: int) -> bytes:
    """Posts 3 and 4 show the same picture."""
    return f"picture of post {3 if i == 4 else i}".encode()


def image_of(i: int) -> str:
    return hashlib.sha256(picture_bytes(i)).hexdigest()


def text_of(i: int) -> str:
    """Posts 5 and 6 say the same."""
    return f"what post {'abcdefghijklmnopqrstuvwxyz'[5 if i == 6 else i]} says about the weather"


def post_of(i: int, kept: Collection[int]) -> Post:
    pairs = {4: 3, 6: 5}  # who is in the group of whom
    first = pairs.get(i, i)
    return Post(
        post_id(i), text_of(i), ("tea", "rain") if i % 2 else ("rain",), (), "en", "", "v1:d.jsonl", i,
        split=("train", "valid", "test")[first % 3], own_split=True, tokens=tuple(text_of(i).split()),
        keyphrases=("tea", "rain") if i % 2 else ("rain",),
        image_sha256=image_of(i), group=post_id(first if first in kept else i),
    )  # fmt: skip


def make(
    dataset: Path,
    kept: Collection[int],
    dropped: Collection[Dropped] = tuple(DROPPED_MADE),
    versions: Sequence[tuple[FeatureSpec, str]] = VERSIONS,
    row_of: Callable[[FeatureSpec, str, str], dict[str, Any]] | None = None,
    config: BuildConfig = CONFIG,
) -> Path:
    """The dataset of these posts, as a build would have written it. row_of: of a spec, fingerprint and image."""
    images = sorted({image_of(i) for i in kept})
    for i in kept:
        image_path(dataset, image_of(i)).parent.mkdir(parents=True, exist_ok=True)
        image_path(dataset, image_of(i)).write_bytes(picture_bytes(i))
    rows: list[dict[str, Any]] = [dict.fromkeys(IMAGE_SCHEMA.names) for _ in images]
    for row, image in zip(rows, images, strict=True):
        row |= {"image_sha256": image, "status": "stored", "path": "", "url": f"http://host/{image[:12]}.jpg"}
    POSTS.write_parts(dataset, [post_row(post_of(i, kept)) for i in kept], config.shards.posts)
    DROPPED.write_parts(dataset, [dropped_row(row) for row in dropped], DROPPED_PER_FILE)
    IMAGES.write_parts(dataset, rows, config.shards.posts)
    per_shard = config.shards.images
    features = [_feature(dataset, *version, images, per_shard, row_of or _row) for version in versions]
    inputs = [{"name": "d.jsonl", "format": "v1", "sha256": "ab"}]
    signature = {"inputs": inputs, "text": {"version": 1}, "rules": as_plain(config)}
    counts = record_counts(dataset, Tallied(len(kept) + len(dropped)))
    manifest = describe_dataset(dataset, config, features, signature=signature, counts=counts, known=None)
    write_derived(dataset, manifest)
    manifest.write(dataset)
    return dataset


def _feature(
    dataset: Path,
    spec: FeatureSpec,
    version: str,
    images: list[str],
    per_shard: int,
    row_of: Callable[[FeatureSpec, str, str], dict[str, Any]],
) -> BuiltFeature:
    """Rows that depend on the picture alone; post 7's has none, nor has post 8's."""
    lost = {
        image_of(7): Dropped(f"feature:{spec.name}", UNEXPECTED, image_of(7), detail="Traceback"),
        image_of(8): Dropped(f"feature:{spec.name}", "image_broken", image_of(8)),
    }
    count = shard_count(len(images), per_shard)
    receipts = []
    for index in range(count):
        mine = images[shard_slice(index, per_shard)]
        name = ShardTask(spec.name, version, index, count).file_name(spec.suffix)
        rows = {image: row_of(spec, version, image) for image in mine if image not in lost}
        write_shard(dataset / name, spec, rows, fingerprint=version)
        dropped = sorted(lost[image] for image in mine if image in lost)
        receipts.append(Receipt(name, sha256_file(dataset / name), len(rows), mine[0], slice_digest(mine), dropped))
    return BuiltFeature(spec, version, PARTS.get(version, {}), receipts)


def _row(spec: FeatureSpec, version: str, image: str) -> dict[str, Any]:
    values = np.random.default_rng([int(image[:8], 16), int(version[:8], 16)])
    if spec.is_table:
        return {"words": [image[:3], "tea"], "boxes": [[int(n) for n in values.integers(0, 99, 4)] for _ in range(2)]}
    return {"features": values.random((2, 3)), "count": values.integers(0, 9)}
