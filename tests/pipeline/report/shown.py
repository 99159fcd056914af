"""A small dataset with all that a report shows: pictures, words and objects in them, attributes, hostile texts."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.derived import write_derived
from m3h.pipeline.dataset.publish import Tallied, describe_dataset, record_counts
from m3h.pipeline.dataset.tables import DROPPED, DROPPED_PER_FILE, FOUND, IMAGE_LIST, IMAGES, POSTS
from m3h.pipeline.engine.shard_engine import Receipt, ShardTask, slice_digest
from m3h.pipeline.extractors.objects import objects_spec
from m3h.schemas.config import as_plain
from m3h.schemas.features import FeatureSpec, fingerprint
from m3h.schemas.files import sha256_file
from m3h.schemas.posts import IMAGE_SCHEMA, Dropped, ImageRef, Post, dropped_row, post_row
from m3h.schemas.shards import write_shard
from tests.pipeline.fakes import stored_pictures

HOSTILE = "<script>window.hit = 1</script><img src=x onerror='window.hit = 2'> {{ 7 * 7 }} \u2028 </title> kettle"
NUMBER, SHOWN_PICTURES = 300, 20
DROPPED_SHOWN = [
    Dropped("text", "too_few_tokens", "9001", "v1:d.jsonl", 900, HOSTILE),
    Dropped("read", "not_json", "", "v1:d.jsonl", 901, "Expecting ','"),
    Dropped("duplicates", "near_duplicate_image", "9003", "v1:d.jsonl", 902, "1000"),
]
RANDOM = "objects has random weights: for trials only."

_OCR = FeatureSpec(
    "ocr",
    columns=(
        *(("text", pa.string()), ("words", pa.list_(pa.string())), ("boxes", pa.list_(pa.list_(pa.int32(), 4)))),
        ("tokens", pa.list_(pa.string())),
    ),
)
_ATTRIBUTES = FeatureSpec("attributes", columns=(("labels", pa.list_(pa.string())), ("scores", pa.list_(pa.float32()))))
_OBJECTS = objects_spec("butd_objects", 4, 8)


def post(i: int, images: list[str]) -> Post:
    """Of 300, two in five are hostile, and all posts of a picture are of one group."""
    picture = i % len(images)
    text = HOSTILE if i % 5 < 2 else f"a calm sea by the old harbour in week {i}"
    return Post(
        str(1000 + i), text, (), (ImageRef(alt="a harbour" if i % 2 else ""),), "en" if i % 3 else "de",
        f"2020-0{1 + i % 9}-03T04:05:06Z", source="v1:d.jsonl", position=i + 1,
        split=("train", "valid", "test")[picture % 3], tokens=tuple(text.lower().split()),
        keyphrases=("calm sea", "<b>bold</b>") if i % 2 else ("calm sea",),
        image_sha256=images[picture], group=str(1000 + picture),
    )  # fmt: skip


def make(dataset: Path) -> Path:
    """The dataset, as a build would have written it."""
    images = stored_pictures(dataset, SHOWN_PICTURES)
    rows: list[dict[str, Any]] = [dict.fromkeys(IMAGE_SCHEMA.names) for _ in images]
    for row, image in zip(rows, images, strict=True):
        row |= {"image_sha256": image, "status": "stored", "path": f"{image}.jpg", "url": "", "width": 96, "height": 64}
    config = BuildConfig()
    POSTS.write_parts(dataset, [post_row(post(i, images)) for i in range(NUMBER)], config.shards.posts)
    DROPPED.write_parts(dataset, [dropped_row(row) for row in DROPPED_SHOWN], DROPPED_PER_FILE)
    IMAGES.write(dataset / IMAGE_LIST, rows)
    found = {"post_id": "9003", "source": "v1:d.jsonl", "path": "x.jpg", "url": "", "image_sha256": images[0]}
    FOUND.write(dataset / "images" / "part-00000-of-00001.parquet", [found])
    features = [_feature(dataset, spec, images) for spec in (_OCR, _ATTRIBUTES, _OBJECTS)]
    signature = {"inputs": [{"name": "d.jsonl", "format": "v1", "sha256": "ab"}], "text": {}, "rules": as_plain(config)}
    counts = record_counts(dataset, Tallied(NUMBER + len(DROPPED_SHOWN)))
    manifest = describe_dataset(dataset, config, features, signature=signature, counts=counts, known=None)
    manifest.write(dataset)
    write_derived(dataset, manifest)
    return dataset


def _feature(dataset: Path, spec: FeatureSpec, images: list[str]) -> BuiltFeature:
    is_random = spec.name == "butd_objects"
    parts = {"weights": "random seed 0" if is_random else f"sha256:{spec.name}"}
    version = fingerprint(spec, parts)
    name = ShardTask(spec.name, version, 0, 1).file_name(spec.suffix)
    write_shard(dataset / name, spec, {image: _row(spec, i) for i, image in enumerate(images)}, fingerprint=version)
    receipt = Receipt(name, sha256_file(dataset / name), len(images), images[0], slice_digest(images), [])
    return BuiltFeature(spec, version, parts, [receipt], notes=(RANDOM,) if is_random else ())


def _row(spec: FeatureSpec, i: int) -> dict[str, Any]:
    if spec.name == "ocr":
        boxes = [[4, 6, 30, 9], [40, 6, 9, 9]]
        return {"text": "teapot", "words": ["teapot", f"w{i}"], "boxes": boxes, "tokens": ["teapot"]}
    if spec.name == "attributes":
        return {"labels": ["blue", "boat"], "scores": [0.9, 0.5]}
    row: dict[str, Any] = {array.name: np.zeros(array.shape) for array in spec.arrays}
    row["boxes"][:2] = [[5, 5, 50, 40], [20, 10, 90, 60]]
    row["classes"][:] = [1, 2, -1, -1]
    return row | {"number": np.array(2), "image_size": np.array([96, 64])}
