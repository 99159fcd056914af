"""Pairs of near copies, found by many workers: keys are grouped, what shares a key is compared."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np

from pipeline.groups import image_trait, text_key, text_trait
from pipeline.local_features import PictureLikeness
from pipeline.near import Likeness, candidates, links, owner
from pipeline.near_texts import TextLikeness, text_name
from pipeline.rules import CleanRules
from pipeline.stages.shuffle import pack, unpack

PARTS = 16
"""Tasks that the keys are divided among."""

BATCH = 512
"""Items whose keys travel together: a key costs twelve bytes so, and ten times as many as a record of its own."""

Item = tuple[str, Any]


@dataclass
class NearPairs(beam.PTransform):
    """Distinct (name, item) -> (name, name) of those that are near.

    Only keys cross the shuffle, packed; items are small (a text, a picture's features) and come as a side input, packed
    as well: every worker holds it.
    """

    likeness: Likeness

    def expand(self, items: Any) -> Any:
        """Keys, then candidates of one part of the keys, then the truth."""
        batches = items | "batch" >> beam.BatchElements(min_batch_size=BATCH, max_batch_size=BATCH)
        packed = batches | "items" >> beam.Map(pack)
        return (
            batches
            | "keys" >> beam.FlatMap(self._packed)
            | "by part" >> beam.GroupByKey()
            | "compare" >> beam.FlatMap(self._linked, batches=beam.pvalue.AsList(packed))
            | beam.Distinct()
        )

    def _packed(self, batch: Sequence[Item]) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
        keys, places = self.likeness.keys([item for _, item in batch])
        owners = np.array([owner(name) for name, _ in batch], dtype=np.uint64)[places]
        part = keys % PARTS
        for number in np.unique(part):
            mine = part == number
            yield int(number), (keys[mine].tobytes(), owners[mine].tobytes())

    def _linked(self, part: tuple[int, Iterable[tuple[bytes, bytes]]], batches: Sequence[bytes]) -> Iterator[Any]:
        both = list(part[1])
        keys = np.frombuffer(b"".join(keys for keys, _ in both), dtype=np.uint32)
        owners = np.frombuffer(b"".join(owners for _, owners in both), dtype=np.uint64)
        pairs = candidates(keys, owners)
        wanted = set(np.unique(pairs).tolist())
        items = (item for batch in batches for item in unpack(batch))
        table = {number: (name, item) for name, item in items if (number := owner(name)) in wanted}
        return links(pairs, table, self.likeness)


@dataclass
class TextLinks(beam.PTransform):
    """Post -> pairs of text traits that are near."""

    rules: CleanRules

    def expand(self, posts: Any) -> Any:
        """Each text once, however many posts say it."""
        return (
            posts
            | "texts" >> beam.Map(lambda post: text_key(post.tokens))
            | "said" >> beam.Filter(bool)
            | "each once" >> beam.Distinct()
            | "named" >> beam.Map(lambda text: (text_name(text), text))
            | NearPairs(TextLikeness(self.rules.near_text))
            | "traits" >> beam.MapTuple(lambda one, other: (text_trait(one), text_trait(other)))
        )


@dataclass
class PictureLinks(beam.PTransform):
    """(posts, (image_sha256, places) of pictures) -> pairs of image traits that are near."""

    rules: CleanRules

    def expand(self, posts_and_pictures: Any) -> Any:
        """Only pictures that a post shows are compared."""
        posts, pictures = posts_and_pictures
        shown = posts | "shown" >> beam.Map(lambda post: (post.image_sha256, None))
        return (
            {"shown": shown, "places": pictures}
            | beam.CoGroupByKey()
            | "both" >> beam.FlatMapTuple(_shown_places)
            | NearPairs(PictureLikeness(self.rules.near_images))
            | "traits" >> beam.MapTuple(lambda one, other: (image_trait(one), image_trait(other)))
        )


def _shown_places(image_sha256: str, both: dict[str, Iterable[Any]]) -> Iterator[Item]:
    """A picture that is shown and whose places are known."""
    places = next(iter(both["places"]), None)
    if places and any(True for _ in both["shown"]):
        yield image_sha256, places
