"""Pictures without pixels, to measure all the rest: found by their names, with rows as long as those of real ones.

Looking at a picture costs about 30 ms whatever else there is; a million of them would hide what is to be seen. Each
name stands for a picture of its own, and some are spoilt, as benchmarks.dumps says.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput

from benchmarks.dumps import spoilt
from pipeline.local_features import FEATURE, MOST
from pipeline.rules import ImageRules
from pipeline.stages.doors import DROPPED, KEEP, route
from pipeline.stages.images import IMAGE_ROWS, count_reason
from pipeline.stages.shuffle import Grouped
from schemas.posts import Dropped, Post


def row(url: str) -> dict[str, Any]:
    """Of images.parquet: the length of a photo's, every value its own."""
    digest = hashlib.sha256(url.encode()).hexdigest()
    draw = np.random.default_rng(int(digest[:16], 16))
    places = np.zeros(MOST, FEATURE)
    places["x"], places["y"] = draw.uniform(0, 256, (2, MOST))
    places["scale"], places["bits"] = draw.uniform(2, 24, MOST), draw.integers(0, 1 << 63, MOST, dtype=np.uint64)
    encoded = base64.b64encode(places.tobytes()).decode()
    return {
        "image_sha256": digest, "status": "stored", "path": "", "url": url, "bytes": 100_000, "width": 1200,
        "height": 800, "mode": "RGB", "phash": digest[16:32], "places": encoded,
    }  # fmt: skip


def settle(url: str, posts: Iterable[Post]) -> Iterator[Any]:
    """As `pipeline.stages.images.settle`."""
    if reason := spoilt(url.rpartition("/")[2]):
        for post in posts:
            yield TaggedOutput(DROPPED, Dropped.of(post, "image", reason, url))
        return
    found = row(url)
    yield TaggedOutput(IMAGE_ROWS, found)
    for post in posts:
        yield post.having(image_sha256=found["image_sha256"])


@dataclass
class StandIn(beam.PTransform):
    """In the place of `pipeline.stages.images.Images`, with its shuffle."""

    folders: tuple[Path, ...]
    dataset: Path
    rules: ImageRules

    def expand(self, posts: Any) -> Any:
        """Group the posts by the picture they name."""
        counted = (
            posts | "count" >> beam.Map(count_reason) | "route" >> beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)
        )
        settled = (
            counted[KEEP]
            | Grouped(lambda post: post.images[0].url)
            | beam.FlatMapTuple(settle).with_outputs(DROPPED, IMAGE_ROWS, main=KEEP)
        )
        return settled[KEEP], settled[IMAGE_ROWS], [counted[DROPPED], settled[DROPPED]]
