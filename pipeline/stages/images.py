"""The image stage: the only picture of each post must be a whole colour JPEG. Its bytes go into the store.

A picture that the dump itself holds is the record's picture. Of the others, a record that the dataset knows from an
earlier build shows what it showed then, from the store. The pictures of all the rest are looked for in the folders.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.dataset.found_pictures import FoundPictures, read_found, record_name
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.images.admission import admit_embedded, admit_picture, admit_stored
from m3h.pipeline.images.embedded import Embedded
from m3h.pipeline.images.store import ImageRow, StoredImage
from m3h.pipeline.rules import ImageRules
from m3h.pipeline.stages.routing import DROPPED, KEEP, DroppedOutput, Joined, JoinPosts, route
from m3h.schemas.errors import ImageFault
from m3h.schemas.posts import Dropped, ImageRef, Post

IMAGE_ROWS: Final = "image_rows"

ImageRowOutput = TaggedOutput[Literal["image_rows"], ImageRow]
"""A row of the list of pictures for the output `image_rows`."""


Reference = tuple[str, str, str, str, str]
"""Path and URL of a picture; the hash of its bytes where the dump held them, or ""; the source of its record if that is
a folder with pictures, or ""; and the hash of what path and URL led to in an earlier build, or ""."""


class ImagesOut(NamedTuple):
    """Posts with the hash of their picture, rows of the list of pictures, and collections of Dropped.

    found: the kept posts whose pictures did not come by their URLs.
    """

    keep: PCollection[Post]
    rows: PCollection[ImageRow]
    dropped: list[PCollection[Dropped]]
    found: PCollection[Post]


@dataclass
class Images(beam.PTransform[PCollection[Post], ImagesOut]):
    """Posts of one picture each -> ImagesOut.

    Only references to pictures cross the shuffle. Their bytes go from the folders, or from where those of the dumps
    wait, into the store directly.

    folders: where pictures are looked for, in this order. homes: by source, the folder of a dump that is a folder with
    pictures itself; theirs are looked for there first. found: what the records of the finished dataset were found to
    show; None where there is none. Where it says to look again, the first folder comes before the store.
    """

    folders: tuple[Path, ...]
    dataset: Path
    rules: ImageRules
    found: FoundPictures | None = None
    homes: Mapping[str, Path] = field(default_factory=dict)

    def holds(self, post: Post) -> bool:
        """Whether the dump of a post brings its only picture."""
        (image,) = post.images
        return bool(image.embedded or (image.path and post.source in self.homes))

    def take(self, reference: ImageRef, known: str = "", home: str = "", post_ids: Iterable[str] = ()) -> StoredImage:
        """Check a picture by this build's rules. One from a folder is stored.

        Args:
            reference: where the record says the picture lies.
            known: the hash of what an earlier build found there, or "".
            home: the source of the record, if that is a folder with pictures.
            post_ids: of the posts that show it.

        Raises:
            ImageFault: where the picture may not be kept.
        """
        verdicts = _workspace(self.dataset).verdicts
        if reference.embedded:
            waiting = Embedded(_workspace(self.dataset).embedded, self.rules.max_bytes)
            return admit_embedded(reference, waiting, self.dataset, rules=self.rules, verdicts=verdicts)
        admit = partial(admit_picture, dataset=self.dataset, rules=self.rules, verdicts=verdicts, post_ids=post_ids)
        if self.found is not None and self.found.look_again:
            with suppress(ImageFault):  # the store comes before the other folders, which the user has not named
                return admit(reference, self.folders[:1])
        if stored := self._stored(known, verdicts):
            return stored
        return admit(reference, (*((self.homes[home],) if home else ()), *self.folders))

    def _stored(self, known: str, verdicts: Path) -> StoredImage | None:
        if self.found is None or not known:
            return None
        return admit_stored(known, self.found.dataset, rules=self.rules, verdicts=verdicts)

    def _settled(self, group: tuple[Reference, Iterable[Post]]) -> Iterator[Post | DroppedOutput | ImageRowOutput]:
        """Read and store a picture once. Then each of its posts gets its hash, or is dropped with its fault."""
        (path, url, embedded, home, known), posts = group
        reference = ImageRef(path, url, embedded=embedded)
        try:
            stored = self.take(reference, known, home, sorted({post.post_id for post in posts}))
        except ImageFault as fault:
            for post in posts:
                yield from route(Dropped.of(post, "image", fault.reason, detail=fault.detail))
            return
        row: ImageRowOutput = TaggedOutput(IMAGE_ROWS, ImageRow.stored(stored, reference.path, reference.url))
        yield row
        for post in posts:
            yield post.having(image_sha256=stored.image_sha256)

    @no_annotations
    def expand(self, posts: PCollection[Post]) -> ImagesOut:
        """Group the posts by the picture they name."""
        settled = (
            self._by_reference(posts)
            | beam.GroupByKey()
            | "settle" >> beam.FlatMap(self._settled).with_outputs(DROPPED, IMAGE_ROWS, main=KEEP)
        )
        return ImagesOut(settled[KEEP], settled[IMAGE_ROWS], [settled[DROPPED]], settled[KEEP])

    @no_annotations
    def _by_reference(self, posts: PCollection[Post]) -> PCollection[tuple[Reference, Post]]:
        """Each post with its reference. A shuffle brings what the dataset knows of it; no process holds all of that."""
        if self.found is None or not self.found.files:
            new: PCollection[tuple[Reference, Post]] = posts | "by image" >> beam.Map(self._named)
            return new
        parts = posts.pipeline | "found parts" >> beam.Create(self.found.files) | beam.Reshuffle()
        known = parts | "found" >> beam.FlatMap(read_found)
        keyed = posts | "by record" >> beam.Map(_by_record)
        joined: PCollection[tuple[Reference, Post]] = (
            (keyed, known) | "join found" >> JoinPosts() | "by image" >> beam.FlatMap(self._with_known)
        )
        return joined

    def _named(self, post: Post, known: str = "") -> tuple[Reference, Post]:
        (image,) = post.images
        home = post.source if post.source in self.homes else ""
        return (image.path, image.url, image.embedded, home, "" if image.embedded else known), post

    def _with_known(self, joined: Joined) -> Iterator[tuple[Reference, Post]]:
        _, (posts, found) = joined
        known = min(found, default="")  # records of one name showed one picture
        for post in posts:
            yield self._named(post, known)


@lru_cache(maxsize=4)
def _workspace(dataset: Path) -> Workspace:
    return Workspace(dataset)


def _by_record(post: Post) -> tuple[str, Post]:
    return record_name(post), post
