"""Groups of posts by rounds of contraction, on many workers: no process holds all posts, nor all that they share.

A Beam graph is static, so it has `ROUNDS` rounds, and one process finds the components of what is left after them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.components import NODE_BYTES, Edge, components, contracted, label, node, star
from m3h.pipeline.cleaning.groups import Age, record_key
from m3h.pipeline.stages.coders import pack, unpack
from m3h.pipeline.stages.routing import PostsAndLinks, byte_pairs
from m3h.schemas.posts import Post

ROUNDS = 3
"""How many are wired. Each is two shuffles of the edges that are left, and one of their nodes on the way back."""

Traits = Callable[[Post], tuple[Age, Sequence[str]]]
"""Post -> its age, and what it may share."""

Decided = tuple[str, str]
"""A record's key and its group."""

_MARK, _EDGE = b">", b"-"
"""Before a node: it is something else to this group than the nodes without a mark, which are shorter."""


@dataclass
class GroupsInRounds(beam.PTransform[PostsAndLinks, PCollection[Decided]]):
    """(posts, links) -> (record key, group) of every post, as `groups` finds them."""

    traits: Traits

    @no_annotations
    def expand(self, posts_and_links: PostsAndLinks) -> PCollection[Decided]:
        """Edges between posts, their components, and the oldest post of each."""
        posts, _ = posts_and_links
        traits = self.traits

        def aged(post: Post) -> tuple[bytes, bytes]:
            key = record_key(post)
            return node(key), pack((traits(post)[0], key))

        roots = (
            posts_and_links
            | "edges" >> SharedEdges(traits)
            | "components" >> Components()
            | "roots" >> beam.MapTuple(lambda one, root: (one, pack(root))).with_output_types(Edge)
        )
        found: PCollection[Decided] = (
            (posts | "ages" >> beam.Map(aged).with_output_types(Edge), roots)
            | "ages and roots" >> beam.Flatten()
            | "by post" >> beam.GroupByKey()
            | "with root" >> beam.FlatMap(_with_root).with_output_types(Edge)
            | "by root" >> beam.GroupByKey()
            | "oldest" >> beam.FlatMap(_named_after_oldest).with_output_types(Decided)
        )
        return found


def _with_root(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Edge]:
    """(root, packed age and record key). A post that shares nothing has no root, and is one itself."""
    root, records = group
    posts: list[bytes] = []
    for packed in records:
        if isinstance(value := unpack(packed), bytes):
            root = value
        else:
            posts.append(packed)
    return ((root, packed) for packed in posts)


def _named_after_oldest(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Decided]:
    records = list(map(unpack, group[1]))
    oldest, _ = min(records)
    return ((key, oldest[1]) for _, key in records)


@dataclass
class SharedEdges(beam.PTransform[PostsAndLinks, PCollection[Edge]]):
    """(posts, links) -> edges between posts that share a trait, or whose traits are linked."""

    traits: Traits

    @no_annotations
    def expand(self, posts_and_links: PostsAndLinks) -> PCollection[Edge]:
        """One post stands for all that have a trait. A link to a trait that no post has leads nowhere."""
        posts, links = posts_and_links
        traits = self.traits

        def held(post: Post) -> Iterator[Edge]:
            record = node(record_key(post))
            return ((node(trait), record) for trait in traits(post)[1])

        linked = links | "linked" >> beam.Map(_linked).with_output_types(Edge)
        edges: PCollection[Edge] = (
            (posts | "held" >> beam.FlatMap(held).with_output_types(Edge), linked)
            | "held and linked" >> beam.Flatten()
            | "by trait" >> beam.GroupByKey()
            | "stars" >> beam.FlatMap(_star).with_output_types(Edge)
            | "by linked trait" >> beam.GroupByKey()
            | "across" >> beam.FlatMap(_across).with_output_types(Edge)
        )
        return edges


def _linked(pair: tuple[str, str]) -> Edge:
    """The link, at the first of its traits."""
    return node(pair[0]), _MARK + node(pair[1])


def _star(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Edge]:
    """To each trait linked here, and to itself, the post that stands for it. Edges of the posts that have the trait.

    Edges go through the next shuffle too, under the key of one end: see `_Round` of hashtag_rounds.py for the reason.
    The smallest stands for all: a task that an engine repeats must say the same again.
    """
    trait, values = group
    holders: list[bytes] = []
    links: list[bytes] = []
    for value in values:
        (holders if len(value) == NODE_BYTES else links).append(value)
    holders.sort()
    if holders:
        yield trait, holders[0]
        yield from ((other[len(_MARK) :], _MARK + holders[0]) for other in links)
        yield from ((one, _EDGE + other) for one, other in star(holders))


def _across(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Edge]:
    """Edges from the post that stands for a trait to those of the traits linked with it, if a post has it."""
    own: list[bytes] = []
    linked: list[bytes] = []
    for value in group[1]:
        if value.startswith(_EDGE) and len(value) > NODE_BYTES:
            yield group[0], value[len(_EDGE) :]
        else:
            (own if len(value) == NODE_BYTES else linked).append(value)
    if own:
        yield from star([own[0], *(value[len(_MARK) :] for value in linked)])


@dataclass
class Components(beam.PTransform[PCollection[Edge], PCollection[Edge]]):
    """Edges -> (node, root) of each of their nodes; nodes have one root if a chain of edges connects them."""

    rounds: int = ROUNDS

    def expand(self, edges: PCollection[Edge]) -> PCollection[Edge]:
        """Contract, let one process do the rest, and go back: the root of a label is that of its nodes."""
        all_labels = []
        for number in range(1, self.rounds + 1):
            edges, labels = edges | f"round {number}" >> _Round()
            all_labels.append(labels)

        def rest(gathered: tuple[int, Iterable[bytes]]) -> Iterator[Edge]:
            size = NODE_BYTES
            return iter(components((both[:size], both[size:]) for both in gathered[1]).items())

        roots: PCollection[Edge] = (
            edges
            | "rest" >> beam.Map(lambda edge: (0, edge[0] + edge[1])).with_output_types(tuple[int, bytes])
            | "gather rest" >> beam.GroupByKey()
            | "components" >> beam.FlatMap(rest).with_output_types(Edge)
        )
        for number, labels in reversed(list(enumerate(all_labels, start=1))):
            marked = roots | f"roots {number}" >> beam.MapTuple(_marked).with_output_types(Edge)
            roots = (
                (labels, marked)
                | f"both {number}" >> beam.Flatten()
                | f"by label {number}" >> beam.GroupByKey()
                | f"back {number}" >> beam.FlatMap(_back).with_output_types(Edge)
            )
        return roots


def _marked(one: bytes, root: bytes) -> Edge:
    return one, _MARK + root


def _back(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Edge]:
    """(node, root) of the nodes of a label: its own root, or the label itself if nothing was left of it to contract."""
    root, nodes = group[0], []
    for value in group[1]:
        if len(value) == NODE_BYTES:
            nodes.append(value)
        else:
            root = value[len(_MARK) :]
    return ((one, root) for one in nodes)


class _Round(beam.PTransform[PCollection[Edge], tuple[PCollection[Edge], PCollection[Edge]]]):
    """Edges -> the edges between labels that are left, and (label, node) of each node."""

    @no_annotations
    def expand(self, edges: PCollection[Edge]) -> tuple[PCollection[Edge], PCollection[Edge]]:
        """Each node sends its label to its neighbours, then each node compares theirs with its own."""
        labelled = (
            edges
            | "both ways" >> beam.FlatMap(_both_ways).with_output_types(Edge)
            | "by node" >> beam.GroupByKey()
            | "label" >> beam.FlatMap(_labelled).with_outputs("labels", main="sent")
        )
        left = (
            byte_pairs(labelled["sent"], "sent")
            | "by receiver" >> beam.GroupByKey()
            | "contract" >> beam.FlatMap(_contracted).with_output_types(Edge)
        )
        return left, byte_pairs(labelled["labels"], "labels")


def _both_ways(edge: Edge) -> tuple[Edge, Edge]:
    return edge, edge[::-1]


def _labelled(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Any]:
    one, neighbours = group[0], set(group[1])
    mine = label(one, neighbours)
    yield TaggedOutput("labels", (mine, one))
    yield one, _MARK + mine
    yield from ((neighbour, mine) for neighbour in neighbours)


def _contracted(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Edge]:
    *others, own = sorted(group[1], key=len)  # the one with a mark is last
    return contracted(own[len(_MARK) :], others)
