"""Connected components by contraction, for graphs that no process holds: what is decided at one node, plain functions.

Every node takes the smallest name among its own and its neighbours' as its label, and nodes of one label become one,
as in "In-database connected component analysis" (Bögeholz, Brand and Todor 2020), but in one order for all rounds.
Names are hashes, so the order is a random one: each round leaves a share of the nodes, also of a long path, and a pair
or a star is one node after one or two. After some rounds the graph is small enough for one process.
"""

import hashlib
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
    """node -> one of its component, the same for all of them. Union-find, in one process."""
    parent: dict[bytes, bytes] = {}

    def root(one: bytes) -> bytes:
        while (above := parent.setdefault(one, one)) != one:
            parent[one] = parent[above]
            one = parent[one]
        return one

    for first, second in edges:
        a, b = root(first), root(second)
        parent[max(a, b)] = min(a, b)
    return {one: root(one) for one in list(parent)}
