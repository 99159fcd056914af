"""The image door: exactly one picture, found, whole, a colour JPEG; its bytes go into the store."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.folder import locate, read
from pipeline.images import StoredImage, keep
from pipeline.judged import judge
from pipeline.rules import ImageRules
from pipeline.stages.doors import DROPPED, KEEP, Verdict, route
from pipeline.stages.shuffle import Grouped
from pipeline.state import BuildState
from schemas.errors import ImageFault
from schemas.posts import Dropped, ImageRef, Post

IMAGE_ROWS = "image_rows"


def count_reason(post: Post) -> Verdict:
    """A post without a picture, or with several, goes (§4: exactly one)."""
    if not post.images:
        return Dropped.of(post, "image", "no_image")
    if len(post.images) > 1:
        return Dropped.of(post, "image", "several_images", f"{len(post.images)} pictures")
    return post


@dataclass
class Images(beam.PTransform):
    """Post -> (Posts with their picture's hash, rows of images.parquet, and a list of those who are Dropped).

    Only references cross the shuffle; bytes go straight from the folders into the store.
    """

    folders: tuple[Path, ...]
    dataset: Path
    rules: ImageRules

    def take(self, reference: ImageRef) -> StoredImage:
        """Find the picture, let the gate look at its bytes, and keep them. ImageFault where it may not be kept."""
        path = locate(reference, self.folders)
        try:
            data = read(path, self.rules.max_bytes)
            stored = judge(data, self.rules, BuildState(self.dataset).judged)
        except ImageFault as fault:
            raise ImageFault(fault.reason, f"{path.name}: {fault.detail}") from fault
        keep(self.dataset, stored.image_sha256, data)
        return stored

    def _settled(self, key: tuple[str, str], posts: Iterable[Post]) -> Iterator[Any]:
        """All posts of one picture: it is read and stored once, then each carries its hash or leaves with its fault."""
        reference = ImageRef(*key)
        try:
            stored = self.take(reference)
        except ImageFault as fault:
            for post in posts:
                yield TaggedOutput(DROPPED, Dropped.of(post, "image", fault.reason, fault.detail))
            return
        row = {"status": "stored", "path": reference.path, "url": reference.url, **vars(stored)}
        yield TaggedOutput(IMAGE_ROWS, row)
        for post in posts:
            yield post.having(image_sha256=stored.image_sha256)

    def expand(self, posts: Any) -> Any:
        """Group the posts by the picture they name."""
        counted = (
            posts | "count" >> beam.Map(count_reason) | "route" >> beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)
        )
        settled = (
            counted[KEEP]
            | Grouped(lambda post: (post.images[0].path, post.images[0].url))
            | beam.FlatMapTuple(self._settled).with_outputs(DROPPED, IMAGE_ROWS, main=KEEP)
        )
        return settled[KEEP], settled[IMAGE_ROWS], [counted[DROPPED], settled[DROPPED]]
