"""The two ways out of every stage, and the decisions that need to see all posts at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.stages.shuffle import Grouped, pack, pack_post, unpack, unpack_post
from schemas.posts import Dropped, Post

KEEP, DROPPED = "keep", "dropped"

Verdict = Post | Dropped

_LONGEST_ID = 20
"""Digits of the largest 64-bit id; anything longer is a name, and Python refuses to read the longest as a number."""


def route(verdict: Verdict) -> Iterator[Any]:
    """A Post to the main output, a Dropped to `dropped`."""
    yield TaggedOutput(DROPPED, verdict) if isinstance(verdict, Dropped) else verdict


@dataclass
class Door(beam.PTransform):
    """Post -> kept Posts under `keep`, Dropped under `dropped`, by a pure function of one post."""

    decide: Callable[[Post], Verdict]

    def expand(self, posts: Any) -> Any:
        """Route every post by its verdict."""
        return posts | beam.Map(self.decide) | beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)


@dataclass
class GroupDoor(beam.PTransform):
    """As Door, by a pure function of all posts that share a key."""

    key: Callable[[Post], str]
    decide: Callable[[list[Post]], Iterable[Verdict]]

    def expand(self, posts: Any) -> Any:
        """Group, decide, route. The posts of a key are put in a fixed order first."""
        return (
            posts
            | Grouped(self.key)
            | beam.FlatMapTuple(lambda key, group: self.decide(sorted(group, key=age)))
            | beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)
        )


@dataclass
class GlobalDoor(beam.PTransform):
    """Posts, or (posts, links) -> as Door, by a pure function of all posts at once, of which it sees only small traits.

    trait: Post -> what the decision needs, a few hundred bytes. decide: {record key: trait} -> {record key: anything};
    where links are given, small things of any kind, it gets their list as well. apply: (Post, what was decided for
    it) -> Post or Dropped.
    """

    trait: Callable[[Post], Any]
    decide: Callable[..., dict[str, Any]]
    apply: Callable[[Post, Any], Verdict]

    def expand(self, posts: Any) -> Any:
        """Gather the traits on one worker, decide, and bring each decision back to its post."""
        posts, *more = posts if isinstance(posts, tuple) else (posts,)
        decisions = (
            posts
            | "traits" >> beam.Map(lambda post: (None, pack((record_key(post), self.trait(post)))))
            | "gather" >> beam.GroupByKey()
            | "decide" >> beam.FlatMap(self._decisions, *map(beam.pvalue.AsList, more))
        )
        keyed = posts | "by record" >> beam.Map(lambda post: (record_key(post), pack_post(post)))
        return (
            {"posts": keyed, "decisions": decisions}
            | beam.CoGroupByKey()
            | "apply" >> beam.FlatMapTuple(self._applied)
            | beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)
        )

    def _decisions(self, gathered: tuple[None, Iterable[bytes]], *more: Any) -> Iterable[tuple[str, Any]]:
        _, traits = gathered
        return self.decide(dict(sorted(map(unpack, traits))), *more).items()

    def _applied(self, _: str, both: dict[str, Sequence[Any]]) -> Iterator[Verdict]:
        return (self.apply(unpack_post(data), both["decisions"][0]) for data in both["posts"])


def age(post: Post) -> tuple[int, str, str, int]:
    """Order of posts from the first to the last: ids grow with time; the rest makes the order total."""
    counts = post.post_id.isascii() and post.post_id.isdigit() and len(post.post_id) <= _LONGEST_ID
    number = int(post.post_id) if counts else 0
    return (number, post.post_id, post.source, post.position)


def record_key(post: Post) -> str:
    """Distinct for every record of a build."""
    return f"{post.source}\t{post.position}"
