"""A tiny dataset with its pictures, a grid of each and a detector's boxes in it; and a run on it."""

import io
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from m3h.model.cli import main
from m3h.schemas.features import ArraySpec, FeatureSpec, Row
from m3h.schemas.files import publish_table
from m3h.schemas.manifest import FileEntry, Manifest
from m3h.schemas.posts import IMAGE_SCHEMA
from tests.model.fakes import ATTRIBUTES, OCR, VGG_GRID, fake_post, random_grid, write_dataset
from tests.model.test_model_cli import SMALL

OBJECTS = FeatureSpec(
    "butd_objects",
    arrays=(
        *(ArraySpec("features", (5, 8)), ArraySpec("boxes", (5, 4), "float32"), ArraySpec("number", (), "int16")),
        ArraySpec("image_size", (2,), "int32"),
    ),
)
TOPICS = ("storm hour", "game night", "flower show")
SIZES = {"train": 24, "valid": 6, "test": 6}
WIDTH, HEIGHT = 80, 40
HOSTILE = "<img src=x onerror='window.hit = 1'> {{ 7 * 7 }}"


def picture(number: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (number * 7 % 256, 90, 200)).save(data, "JPEG")
    return data.getvalue()


def objects(rng: np.random.Generator) -> Row:
    """Two boxes: the left half, and the lower right quarter."""
    boxes = np.zeros((5, 4), np.float32)
    boxes[:2] = [[0, 0, WIDTH / 2, HEIGHT], [WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT]]
    features = rng.standard_normal((5, 8)).astype(np.float16)
    return {"features": features, "boxes": boxes, "number": np.array(2), "image_size": np.array([WIDTH, HEIGHT])}


def make_dataset(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    posts, ocr, grids, attributes, boxes, rows = [], {}, {}, {}, {}, []
    for split, size in SIZES.items():
        for i in range(size):
            data = picture(len(posts))
            image, topic = sha256(data).hexdigest(), TOPICS[i % len(TOPICS)]
            text = f"look at {topic if i % 2 else 'it'} tonight {HOSTILE if split == 'test' else ''}"
            posts.append(fake_post(i, text, [topic], split, image))
            place = folder / "images" / image[:2] / f"{image}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            rows.append(dict.fromkeys(IMAGE_SCHEMA.names) | {"image_sha256": image, "status": "stored"})
            grids[image], boxes[image] = random_grid(rng), objects(rng)
            attributes[image] = {"labels": [topic.split()[0], "sign", "man", "white", "street"]}
            ocr[image] = {"tokens": ["tonight", "look"]}
    write_dataset(folder, posts, {OCR: ocr, VGG_GRID: grids, ATTRIBUTES: attributes, OBJECTS: boxes})
    table = folder / "images" / "images.parquet"
    publish_table(table, pa.Table.from_pylist(rows, schema=IMAGE_SCHEMA))
    manifest = Manifest.read(folder)
    manifest.files["images/images.parquet"] = FileEntry.of(table, len(rows))
    manifest.write(folder)
    return folder


@pytest.fixture(scope="package")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("pictured") / "dataset")


TRAINING = [*SMALL, "vision=[vgg_grid, butd_objects]", "learning_rate=0.01"]


@pytest.fixture(scope="package")
def trained(pictured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    words = ["--dataset", str(pictured), "--out", str(out), "--system", "gen-cls-m3h", "--epochs", "4", *TRAINING]
    assert main(["train", *words]) == 0
    return out
