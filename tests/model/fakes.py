"""Small datasets, written with the same functions as real ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from m3h.schemas.feature_versions import FeatureVersion, FeatureVersions, Slice
from m3h.schemas.features import ArraySpec, FeatureSpec, Row
from m3h.schemas.files import publish_table
from m3h.schemas.manifest import FileEntry, Manifest
from m3h.schemas.posts import POST_SCHEMA, Post, post_row
from m3h.schemas.shards import shard_name, write_shard

OCR = FeatureSpec("ocr", columns=(("tokens", pa.list_(pa.string())),))
ATTRIBUTES = FeatureSpec("attributes", columns=(("labels", pa.list_(pa.string())),))
VGG_GRID = FeatureSpec("vgg_grid", arrays=(ArraySpec("features", (49, 512)),))


def fake_post(number: int, text: str, keyphrases: Sequence[str], split: str, image: str | None = None) -> Post:
    """A cleaned post. text: its tokens, joined by spaces. image: a name in place of the sha256."""
    return Post(
        post_id=f"{split}-{number:05d}",
        text=text,
        tokens=tuple(text.split()),
        keyphrases=tuple(keyphrases),
        image_sha256=image or f"{split}-image-{number:05d}",
        split=split,
        group=f"{split}-{number}",
        source="fake:posts.txt",
        position=number,
    )


def write_dataset(
    folder: Path,
    posts: Sequence[Post],
    features: Mapping[FeatureSpec, Mapping[str, Row]] | None = None,
    notes: Sequence[str] = (),
    fingerprint: str = "0123456789abcdef",
) -> Path:
    """A finished dataset folder. features: spec -> image -> row."""
    manifest = Manifest(notes=list(notes))
    part = folder / "posts" / "part-00000.parquet"
    publish_table(part, pa.Table.from_pylist([post_row(post) for post in posts], schema=POST_SCHEMA))
    manifest.files["posts/part-00000.parquet"] = FileEntry.of(part, len(posts))
    for spec, rows in (features or {}).items():
        name = f"features/{spec.name}/{fingerprint}/{shard_name(0, 1, spec.suffix)}"
        write_shard(folder / name, spec, rows)
        manifest.files[name] = FileEntry.of(folder / name, len(rows))
        version = FeatureVersion(len(rows), {}, (name,), (Slice(min(rows, default=""), ""),), {}, {}, ())
        manifest.features[spec.name] = FeatureVersions.first(fingerprint, version)
    manifest.write(folder)
    return folder


def random_grid(rng: np.random.Generator) -> Row:
    """One image's grid."""
    return {"features": rng.standard_normal((49, 512)).astype(np.float16)}
