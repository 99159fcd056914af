"""Connected components by contraction, for graphs that no process holds: what is decided at one node, plain functions.

Every node takes the smallest name among its own and its neighbours' as its label, and nodes of one label become one,
as in "In-database connected component analysis" (Bögeholz, Brand and Todor 2020), but in one order for all rounds.
Names are hashes, so the order is a random one: each round leaves a share of the nodes, also of a long path, and a pair
or a star is one node after one or two. After some rounds the graph is small enough for one process.
"""

import hashlib
from array import array
from collections.abc import Collection, Iterable, Iterator

Edge = tuple[bytes, bytes]
"""Two nodes that are connected."""

NODE_BYTES = 16
"""Of a name."""


def node(name: str) -> bytes:
    """The name of a record or of something shared, as a node: the beginning of its hash."""
    return hashlib.sha256(name.encode()).digest()[:NODE_BYTES]


def label(node: bytes, neighbours: Collection[bytes]) -> bytes:
    """The node that it becomes one with in this round, perhaps itself."""
    return min(node, min(neighbours, default=node))


def star(holders: Iterable[bytes]) -> Iterator[Edge]:
    """Edges that connect all of several nodes, each with the first."""
    nodes = iter(holders)
    first = next(nodes, b"")
    return ((first, other) for other in nodes if other != first)


def contracted(own: bytes, others: Iterable[bytes]) -> Iterator[Edge]:
    """The edges that are left at a node, between labels.

    Each edge is seen from both ends, and given from one of them.

    Args:
        own: the node's label.
        others: the labels of its neighbours.
    """
    return ((own, other) for other in set(others) if own < other)


def components(edges: Iterable[Edge]) -> dict[bytes, bytes]:
    """node -> the smallest of its component, found by one process."""
    pairs = list(edges)
    nodes = sorted({one for pair in pairs for one in pair})
    place = {one: number for number, one in enumerate(nodes)}
    ends = array("i", (place[one] for pair in pairs for one in pair))
    return {one: nodes[first] for one, first in zip(nodes, first_connected(len(nodes), ends), strict=True)}


def first_connected(count: int, ends: "array[int]") -> list[int]:
    """Of each of `count` places, the first place that a chain of edges connects with it, or itself.

    ends: of the edges, two places each, one after the other; C integers.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.frombuffer(ends, dtype=np.int32).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component_of = connected_components(graph, directed=False)
    _, first_of = np.unique(component_of, return_index=True)
    first: list[int] = first_of[component_of].tolist()
    return first
