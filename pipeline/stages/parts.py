"""Applies to posts what other records say of them: that they were deleted, a picture's URL, the whole of a cut text.

The record that says so may stand anywhere, in the same file or in another one. There can be as many of them as posts,
so two shuffles bring them together, and no process holds them all. First each part meets the keys that posts ask for.
Then what was found meets the posts. Posts that ask for no kind of part that the dumps hold take part in neither.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import apache_beam as beam
from apache_beam.pvalue import AsSingleton, PCollection, TaggedOutput
from apache_beam.transforms.combiners import ToList
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.groups import Verdict, record_key
from m3h.pipeline.cleaning.parts import applied, keys_of
from m3h.pipeline.readers.record import Part
from m3h.pipeline.stages.coders import PartCoder, pack, unpack
from m3h.pipeline.stages.routing import KEEP, Joined, JoinPosts, Route, Routed
from m3h.schemas.posts import Post

PostsAndParts = tuple[PCollection[Post], PCollection[Part]]

SILENT: Final = "silent"

SilentOutput = TaggedOutput[Literal["silent"], Post]

_PART = PartCoder()


class ApplyParts(beam.PTransform[PostsAndParts, Routed]):
    """(Posts, Parts) -> Posts with their parts, and Dropped for those that were deleted."""

    @no_annotations
    def expand(self, posts_and_parts: PostsAndParts) -> Routed:
        """Find the parts of each post, and apply them."""
        posts, parts = posts_and_parts
        kinds = AsSingleton(
            parts
            | "kind" >> beam.Map(_kind)
            | "distinct kinds" >> beam.Distinct()
            | "list" >> ToList()
            | "kinds" >> beam.Map(frozenset).with_output_types(frozenset[str])
        )
        sides = posts | "asks" >> beam.FlatMap(_asks, kinds).with_outputs(SILENT, main=KEEP)
        asking: PCollection[Post] = sides[KEEP]
        wanted = asking | "keys" >> beam.FlatMap(_wanted, kinds)
        offered = parts | "offers" >> beam.Map(_offered)
        found = (wanted, offered) | "all sides" >> beam.Flatten() | "by key" >> beam.GroupByKey()
        facts = found | "found" >> beam.FlatMap(_facts)
        keyed = asking | "by record" >> beam.Map(_by_record)
        verdicts: PCollection[Verdict] = (
            (keyed, facts) | "join" >> JoinPosts() | "apply" >> beam.FlatMap(_applied).with_output_types(Verdict)
        )
        routed = verdicts | Route()
        return Routed((sides[SILENT], routed.keep) | "posts" >> beam.Flatten(), routed.dropped)


def _kind(part: Part) -> str:
    return part.kind


def _asks(post: Post, kinds: frozenset[str]) -> Iterator[Post | SilentOutput]:
    """A post to the main output where it asks for a part of these kinds, else to `silent`."""
    if kinds and any(kind in kinds for kind, _ in keys_of(post)):
        yield post
    else:
        silent: SilentOutput = TaggedOutput(SILENT, post)
        yield silent


def _wanted(post: Post, kinds: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    record = pack(record_key(post))
    for kind, key in keys_of(post):
        if kind in kinds:
            yield _name(kind, key), record


def _name(kind: str, key: str) -> str:
    return f"{kind} {key}"


def _offered(part: Part) -> tuple[str, bytes]:
    return _name(part.kind, part.key), _PART.encode(part)


def _facts(group: tuple[str, Iterable[bytes]]) -> Iterator[tuple[str, bytes]]:
    """Each record that asks for a key, with each of the key's parts."""
    sides = list(map(unpack, group[1]))
    parts = sorted({_PART.record(side) for side in sides if isinstance(side, list)})
    for record in (side for side in sides if isinstance(side, str)):
        for part in parts:
            yield record, _PART.encode(part)


def _by_record(post: Post) -> tuple[str, Post]:
    return record_key(post), post


def _applied(joined: Joined) -> Iterator[Verdict]:
    _, (posts, facts) = joined
    parts = sorted(map(_PART.decode, facts))
    return (applied(post, parts) for post in posts)
