"""Find pairs of near copies with many workers: items that share a key are compared."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.candidates import Item, Likeness, keys_by_part, near_among
from m3h.pipeline.cleaning.groups import image_trait, text_trait
from m3h.pipeline.cleaning.local_features import PictureLikeness
from m3h.pipeline.cleaning.minhash import TextLikeness, text_name
from m3h.pipeline.rules import CleanRules
from m3h.pipeline.stages.coders import pack, unpack
from m3h.schemas.posts import Post, text_key

BATCH = 512
"""Items whose keys are sent together. So a key takes twelve bytes; as a separate record it takes ten times as many."""

Pair = tuple[str, str]


@dataclass
class NearPairs(beam.PTransform[PCollection[Item], PCollection[Pair]]):
    """Distinct (name, item) -> (name, name) of near copies.

    Only keys cross the shuffle. The items are small (a text, a picture's local features). They are a side input, which
    every worker holds, so they are packed in batches.
    """

    likeness: Likeness

    def expand(self, items: PCollection[Item]) -> PCollection[Pair]:
        """Make keys, find the candidates in each part of the keys, then compare them."""
        likeness = self.likeness

        def keyed(batch: Sequence[Item]) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
            return keys_by_part(batch, likeness)

        def compared(part: tuple[int, Iterable[tuple[bytes, bytes]]], batches: Sequence[bytes]) -> Iterator[Pair]:
            return near_among(part[1], (item for batch in batches for item in unpack(batch)), likeness)

        batches = items | "batch" >> beam.BatchElements(min_batch_size=BATCH, max_batch_size=BATCH)
        packed = batches | "items" >> beam.Map(pack)
        near: PCollection[Pair] = (
            batches
            | "keys" >> beam.FlatMap(keyed)
            | "by part" >> beam.GroupByKey()
            | "compare" >> beam.FlatMap(compared, batches=AsList(packed))
            | beam.Distinct()
        )
        return near


@dataclass
class TextLinks(beam.PTransform[PCollection[Post], PCollection[Pair]]):
    """Posts -> pairs of traits of nearly equal texts."""

    rules: CleanRules

    def expand(self, posts: PCollection[Post]) -> PCollection[Pair]:
        """Each text once, however many posts have it."""
        links: PCollection[Pair] = (
            posts
            | "texts" >> beam.FlatMap(_text)
            | "each once" >> beam.Distinct()
            | "named" >> beam.Map(_named)
            | NearPairs(TextLikeness(self.rules.near_text))
            | "traits" >> beam.Map(_text_traits)
        )
        return links


def _text(post: Post) -> Iterator[str]:
    if text := text_key(post.tokens):
        yield text


def _named(text: str) -> Item:
    return text_name(text), text


def _text_traits(pair: Pair) -> Pair:
    return text_trait(pair[0]), text_trait(pair[1])


@dataclass
class PictureLinks(beam.PTransform[tuple[PCollection[Post], PCollection[Item]], PCollection[Pair]]):
    """(posts, (image_sha256, keypoints) of pictures) -> pairs of traits of nearly equal pictures."""

    rules: CleanRules

    @no_annotations
    def expand(self, posts_and_pictures: tuple[PCollection[Post], PCollection[Item]]) -> PCollection[Pair]:
        """Only pictures that a post shows are compared."""
        posts, pictures = posts_and_pictures
        shown = posts | "shown" >> beam.Map(_shown)
        links: PCollection[Pair] = (
            {"shown": shown, "keypoints": pictures}
            | beam.CoGroupByKey()
            | "both" >> beam.FlatMap(_shown_keypoints)
            | NearPairs(PictureLikeness(self.rules.near_images))
            | "traits" >> beam.Map(_image_traits)
        )
        return links


def _shown(post: Post) -> tuple[str, None]:
    return post.image_sha256, None


def _shown_keypoints(picture: tuple[str, Mapping[str, Sequence[str | None]]]) -> Iterator[Item]:
    """The picture's item, if a post shows it and its keypoints are known."""
    image_sha256, found = picture
    keypoints = next(iter(found["keypoints"]), None)
    if keypoints and found["shown"]:
        yield image_sha256, keypoints


def _image_traits(pair: Pair) -> Pair:
    return image_trait(pair[0]), image_trait(pair[1])
