"""Small dumps with real pictures, and extractors that fail on purpose."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from m3h.pipeline.engine.shard_engine import Receipt, ShardTask, Work, run_shards
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.images.picture import Picture
from m3h.pipeline.images.store import keep
from m3h.schemas.errors import ImageFault
from m3h.schemas.features import ArraySpec, FeatureSpec, Row
from m3h.schemas.posts import Dropped

WORDS = "morning river bridge market garden window summer paper silver music street corner yellow bottle".split()  # noqa: SIM905


def picture(path: Path, seed: int, size: tuple[int, int] = (96, 64)) -> Path:
    """A colour JPEG of coarse random patches."""
    patches = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def stored_pictures(dataset: Path, number: int) -> list[str]:
    """Pictures in a dataset's store: their hashes, sorted."""
    hashes = []
    for seed in range(number):
        data = picture(dataset.parent / f"{seed}.jpg", seed).read_bytes()
        hashes.append(hashlib.sha256(data).hexdigest())
        keep(dataset, hashes[-1], data)
    return sorted(hashes)


def small_dump(folder: Path, posts: int) -> tuple[Path, Path]:
    """A `jsonl` dump of distinct English posts that all stay where `clean.min_hashtag_count` is 1, and its pictures."""
    images = folder / "images"
    lines = []
    for i in range(posts):
        picture(images / f"p{i}.jpg", seed=i)
        text = f"the {WORDS[i % 14]} and the {WORDS[(i * 3 + 1) % 14]} by the {WORDS[(i // 14 + 5) % 14]} were lovely"
        record = {"id": 1000 + i, "text": f"{text} #tag{'abcdef'[i % 6]}", "image": f"p{i}.jpg", "lang": "en"}
        lines.append(json.dumps(record))
    dump = folder / "dump.jsonl"
    dump.write_text("\n".join(lines) + "\n")
    return dump, images


class Probe(Extractor):
    """Mean colour of a picture; remembers its batches, and fails on the pictures it is told to."""

    spec = FeatureSpec("probe", arrays=(ArraySpec("features", (3,), "float32"),))
    batch_size = 4

    def __init__(self, poison: Mapping[str, Exception] | None = None, unreadable: Sequence[str] = ()) -> None:
        super().__init__(None)
        self.poison = dict(poison or {})
        self.unreadable = set(unreadable)
        self.batches: list[int] = []
        self.computed: set[str] = set()

    @property
    def seen(self) -> list[str]:
        """Pictures that were computed, sorted."""
        return sorted(self.computed)

    def fingerprint_parts(self) -> Mapping[str, Any]:
        return {}

    def load(self) -> None:
        return

    def prepare(self, picture: Picture) -> Any:
        name = picture.path.stem
        if name in self.unreadable:
            raise ImageFault("image_broken", picture.path.name)
        return name, np.asarray(picture.pixels, dtype=np.float32)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        self.batches.append(len(inputs))
        self.computed.update(name for name, _ in inputs)
        for name, _ in inputs:
            if name in self.poison:
                raise self.poison[name]
        return [{"features": pixels.mean((0, 1))} for _, pixels in inputs]


def run_shard(
    task: ShardTask,
    images: Sequence[str],
    extractor: Extractor,
    dataset: Path,
    out: Path,
    known: Mapping[str, Row | Dropped] | None = None,
) -> Receipt:
    """The engine, for one feature alone."""
    return run_shards([Work(task, extractor, known or {})], images, dataset, out=out)[0]
