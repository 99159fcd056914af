"""Find pairs of near copies with many workers: items that share a key are compared."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.candidates import (
    MANY_PARTS,
    PARTS,
    Item,
    Likeness,
    PackedKeys,
    candidates_in_part,
    keys_by_part,
    near_among,
    owner,
)
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
    every worker holds, so they are packed in batches. In rounds, no worker holds them: see `Compared`.
    """

    likeness: Likeness
    in_rounds: bool = False

    def expand(self, items: PCollection[Item]) -> PCollection[Pair]:
        """Make keys, find the candidates in each part of the keys, then compare them."""
        likeness, parts = self.likeness, MANY_PARTS if self.in_rounds else PARTS

        def keyed(batch: Sequence[Item]) -> Iterator[tuple[int, PackedKeys]]:
            return keys_by_part(batch, likeness, parts)

        def compared(part: tuple[int, Iterable[PackedKeys]], batches: Sequence[bytes]) -> Iterator[Pair]:
            return near_among(part[1], (item for batch in batches for item in unpack(batch)), likeness)

        batches = items | "batch" >> beam.BatchElements(min_batch_size=BATCH, max_batch_size=BATCH)
        by_part = batches | "keys" >> beam.FlatMap(keyed) | "by part" >> beam.GroupByKey()
        if self.in_rounds:
            candidates = by_part | "candidates" >> beam.FlatMap(_candidates) | "each pair once" >> beam.Distinct()
            return (candidates, items) | "compare" >> Compared(likeness)
        packed = batches | "items" >> beam.Map(pack)
        near: PCollection[Pair] = (
            by_part | "compare" >> beam.FlatMap(compared, batches=AsList(packed)) | beam.Distinct()
        )
        return near


_OWNER_BYTES = 8


def _candidates(part: tuple[int, Iterable[PackedKeys]]) -> Iterator[bytes]:
    """Pairs of owners to compare, each as bytes."""
    pairs = candidates_in_part(part[1]).astype(">u8")
    return (pair.tobytes() for pair in pairs)


@dataclass
class Compared(beam.PTransform[tuple[PCollection[bytes], PCollection[Item]], PCollection[Pair]]):
    """(pairs of owners, items) -> the names of those pairs that are near. Two shuffles bring each pair its items."""

    likeness: Likeness

    @no_annotations
    def expand(self, pairs_and_items: tuple[PCollection[bytes], PCollection[Item]]) -> PCollection[Pair]:
        """The first item goes to the second one. An item has as many candidates as its keys and `REACH` allow."""
        pairs, items = pairs_and_items
        likeness = self.likeness

        def near(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Pair]:
            found = sorted(map(unpack, group[1]))
            mine = [item for item in found if _owner(item) == group[0]]
            others = [item for item in found if _owner(item) != group[0]]
            if not mine or not others:
                return
            name, item = mine[0]
            verdicts = likeness.near([(other, item) for _, other in others])
            yield from ((other, name) for (other, _), verdict in zip(others, verdicts, strict=True) if verdict)

        owned = items | "owned" >> beam.Map(lambda item: (_owner(item), pack(item))).with_output_types(Keyed)
        halves = pairs | "halves" >> beam.Map(_halves).with_output_types(Keyed)
        sent = (
            (owned, halves)
            | "first" >> beam.Flatten()
            | "by first" >> beam.GroupByKey()
            | "send" >> beam.FlatMap(_sent).with_output_types(Keyed)
        )
        found: PCollection[Pair] = (
            sent | "by second" >> beam.GroupByKey() | "near" >> beam.FlatMap(near).with_output_types(Pair)
        )
        return found


Keyed = tuple[bytes, bytes]
"""An owner, and an item, packed, or another owner."""


def _owner(item: Item) -> bytes:
    return owner(item[0]).to_bytes(_OWNER_BYTES, "big")


def _halves(pair: bytes) -> Keyed:
    return pair[:_OWNER_BYTES], pair[_OWNER_BYTES:]


def _sent(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Keyed]:
    """The item of an owner, to itself and to those that it is compared with.

    An item is longer than an owner: its name alone is.
    """
    items: list[bytes] = []
    receivers: list[bytes] = []
    for value in group[1]:
        (receivers if len(value) == _OWNER_BYTES else items).append(value)
    return ((receiver, item) for receiver in (group[0], *receivers) for item in items)


@dataclass
class TextLinks(beam.PTransform[PCollection[Post], PCollection[Pair]]):
    """Posts -> pairs of traits of nearly equal texts."""

    rules: CleanRules
    in_rounds: bool = False

    def expand(self, posts: PCollection[Post]) -> PCollection[Pair]:
        """Each text once, however many posts have it."""
        links: PCollection[Pair] = (
            posts
            | "texts" >> beam.FlatMap(_text)
            | "each once" >> beam.Distinct()
            | "named" >> beam.Map(_named)
            | NearPairs(TextLikeness(self.rules.near_text), self.in_rounds)
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
    in_rounds: bool = False

    @no_annotations
    def expand(self, posts_and_pictures: tuple[PCollection[Post], PCollection[Item]]) -> PCollection[Pair]:
        """Only pictures that a post shows are compared."""
        posts, pictures = posts_and_pictures
        shown = posts | "shown" >> beam.Map(_shown)
        links: PCollection[Pair] = (
            {"shown": shown, "keypoints": pictures}
            | beam.CoGroupByKey()
            | "both" >> beam.FlatMap(_shown_keypoints)
            | NearPairs(PictureLikeness(self.rules.near_images), self.in_rounds)
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
