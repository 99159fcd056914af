"""The two outputs of every stage, and decisions that need all posts at once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection, TaggedOutput
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.groups import Verdict, age, record_key
from m3h.pipeline.stages.coders import PostCoder, pack, unpack
from m3h.schemas.posts import Dropped, Post

KEEP: Final = "keep"
DROPPED: Final = "dropped"

DroppedOutput = TaggedOutput[Literal["dropped"], Dropped]
"""A Dropped for the output `dropped`."""


class Routed(NamedTuple):
    """The outputs of a stage."""

    keep: PCollection[Post]
    dropped: PCollection[Dropped]


def route(verdict: Verdict) -> Iterator[Post | DroppedOutput]:
    """A Post to the main output, a Dropped to `dropped`."""
    yield TaggedOutput(DROPPED, verdict) if isinstance(verdict, Dropped) else verdict


def byte_pairs(output: PCollection[Any], name: str) -> PCollection[tuple[bytes, bytes]]:
    """One of several outputs, which has pairs of bytes. Beam does not know the type of such an output by itself."""
    pairs: PCollection[tuple[bytes, bytes]] = output | f"{name} pairs" >> beam.Map(_same).with_output_types(
        tuple[bytes, bytes]
    )
    return pairs


def _same(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    return pair


class Route(beam.PTransform[PCollection[Verdict], Routed]):
    """Verdicts -> Posts and Dropped."""

    @no_annotations  # Beam cannot check a type of several collections; it checks each transform inside
    def expand(self, verdicts: PCollection[Verdict]) -> Routed:
        """Send each verdict to its output."""
        routed = verdicts | beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)
        return Routed(routed[KEEP], routed[DROPPED])


@dataclass
class Filter(beam.PTransform[PCollection[Post], Routed]):
    """Posts -> those that are kept, and Dropped. A pure function of one post decides."""

    decide: Callable[[Post], Verdict]

    @no_annotations
    def expand(self, posts: PCollection[Post]) -> Routed:
        """Route every post by its verdict."""
        verdicts: PCollection[Verdict] = posts | beam.Map(self.decide).with_output_types(Verdict)
        return verdicts | Route()


@dataclass
class GroupFilter(beam.PTransform[PCollection[Post], Routed]):
    """Like Filter, but a pure function of all posts that share a key decides."""

    key: Callable[[Post], str]
    decide: Callable[[list[Post]], Iterable[Verdict]]

    @no_annotations
    def expand(self, posts: PCollection[Post]) -> Routed:
        """Group by key, decide, send to the outputs. The posts of a key are sorted first."""
        key, decide = self.key, self.decide

        def decided(group: tuple[str, Iterable[Post]]) -> Iterable[Verdict]:
            return decide(sorted(group[1], key=age))

        verdicts: PCollection[Verdict] = (
            posts
            | "key" >> beam.Map(lambda post: (key(post), post)).with_output_types(tuple[str, Post])
            | beam.GroupByKey()
            | "decide" >> beam.FlatMap(decided)
        )
        return verdicts | Route()


Joined = tuple[str, tuple[list[Post], list[Any]]]
"""A key with its posts and its facts."""


class JoinPosts(
    beam.PTransform[tuple[PCollection[tuple[str, Post]], PCollection[tuple[str, Any]]], PCollection[Joined]]
):
    """((key, Post), (key, fact)) -> each key with its posts and facts."""

    @no_annotations
    def expand(
        self, posts_and_facts: tuple[PCollection[tuple[str, Post]], PCollection[tuple[str, Any]]]
    ) -> PCollection[Joined]:
        """Like CoGroupByKey, but both sides are encoded first, so that Beam holds bytes and no objects."""
        posts, facts = posts_and_facts
        sides = (
            posts | "posts" >> beam.Map(_post_side),
            facts | "facts" >> beam.Map(_fact_side).with_input_types(tuple[str, Any]),
        )
        joined: PCollection[Joined] = (
            sides | "both" >> beam.Flatten() | beam.GroupByKey() | "joined" >> beam.Map(_joined)
        )
        return joined


_POST = PostCoder()


def _post_side(keyed: tuple[str, Post]) -> tuple[str, bytes]:
    return keyed[0], _POST.encode(keyed[1])


def _fact_side(keyed: tuple[str, Any]) -> tuple[str, bytes]:
    return keyed[0], pack((keyed[1],))


def _joined(group: tuple[str, Iterable[bytes]]) -> Joined:
    posts: list[Post] = []
    facts: list[Any] = []
    for side in map(unpack, group[1]):
        if isinstance(side, tuple):  # a post is a list of its fields
            facts.append(side[0])
        else:
            posts.append(_POST.record(side))
    return group[0], (posts, facts)


PostsAndLinks = tuple[PCollection[Post], PCollection[tuple[str, str]]]
"""Posts, and pairs of traits that count as the same."""


@dataclass
class GlobalFilter(beam.PTransform[PCollection[Post] | PostsAndLinks, Routed]):
    """Like Filter, but a pure function of all posts at once decides. It gets only a small trait of each post.

    trait: Post -> what the decision needs, a few hundred bytes. decide: {record key: trait} -> {record key: decision};
    if links come with the posts, it also gets their list. apply: (Post, its decision) -> Post or Dropped.
    """

    trait: Callable[[Post], Any]
    decide: Callable[..., dict[str, Any]]
    apply: Callable[[Post, Any], Verdict]

    @no_annotations
    def expand(self, posts: PCollection[Post] | PostsAndLinks) -> Routed:
        """Gather the traits on one worker, decide, and bring each decision back to its post."""
        posts, *links = posts if isinstance(posts, tuple) else (posts,)
        trait, decide, apply = self.trait, self.decide, self.apply

        def decisions_of(gathered: tuple[int, Iterable[Any]], *links: Any) -> Iterable[Any]:
            return decide(dict(sorted(gathered[1])), *links).items()

        decisions = (
            posts
            # Any: the runner knows a tuple's coder, and would hold the parts of every trait as objects
            | "traits" >> beam.Map(lambda post: (0, (record_key(post), trait(post)))).with_output_types(tuple[int, Any])
            | "gather" >> beam.GroupByKey()
            | "decide" >> beam.FlatMap(decisions_of, *map(AsList, links)).with_output_types(tuple[str, Any])
        )
        return (posts, decisions) | "decided" >> ApplyDecisions(lambda post, found: apply(post, *found))


PostsAndDecisions = tuple[PCollection[Post], PCollection[tuple[str, Any]]]
"""Posts, and pairs of a record's key and what was decided of it."""


@dataclass
class ApplyDecisions(beam.PTransform[PostsAndDecisions, Routed]):
    """(posts, (record key, decision)) -> those that are kept, and Dropped.

    apply: (Post, all decisions of it, in no order) -> Post or Dropped. There may be none.
    """

    apply: Callable[[Post, list[Any]], Verdict]

    @no_annotations
    def expand(self, posts_and_decisions: PostsAndDecisions) -> Routed:
        """Bring each decision back to its post."""
        posts, decisions = posts_and_decisions
        apply = self.apply

        def applied(joined: Joined) -> Iterator[Verdict]:
            _, (posts, found) = joined
            return (apply(post, found) for post in posts)

        keyed = posts | "by record" >> beam.Map(_by_record)
        verdicts: PCollection[Verdict] = (
            (keyed, decisions) | "join" >> JoinPosts() | "apply" >> beam.FlatMap(applied).with_output_types(Verdict)
        )
        return verdicts | Route()


def _by_record(post: Post) -> tuple[str, Post]:
    return record_key(post), post
