"""Near copies among many items: those that share a key are compared, and keys are made so that copies share one.

An item is a name and what is needed to compare it with another. What makes keys of it and what compares two of them
is a `Likeness`; the texts' is in near_texts.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint32]
Owners = NDArray[np.uint64]

REACH = 8
"""How many of the items that follow it under a key an item is compared with. Under a key of few items these are all;
under one of 50,000 (spam, or a key that says nothing) the pairs stay linear, and copies are still chained."""


class Likeness(Protocol):
    """When two items are near."""

    def keys(self, items: Sequence[Any]) -> tuple[Keys, NDArray[np.int64]]:
        """Keys of some items, and for each key whose it is (a place in `items`)."""
        ...

    def near(self, pairs: Sequence[tuple[Any, Any]]) -> list[bool]:
        """Whether the two of each pair are near: the truth, which the keys only hint at."""
        ...


def owner(name: str) -> int:
    """A name, which begins with 16 hex digits of a sha256, as a number."""
    return int(name[:16], 16)


def candidates(keys: Keys, owners: Owners) -> Owners:
    """(n, 2): pairs of owners to compare, each with the next few of the same key. In order, each once."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    pairs = [np.zeros((0, 2), dtype=np.uint64)]
    for step in range(1, min(REACH, len(keys) - 1) + 1):
        same = (keys[step:] == keys[:-step]) & (owners[step:] != owners[:-step])
        pairs.append(np.stack([owners[:-step][same], owners[step:][same]], axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def links(pairs: Owners, items: Mapping[int, tuple[str, Any]], likeness: Likeness) -> Iterator[Any]:
    """The names of those pairs (n, 2) of owners that are near. items: owner -> (name, item)."""
    for start in range(0, len(pairs), _AT_ONCE):
        some = [(items[a], items[b]) for a, b in pairs[start : start + _AT_ONCE].tolist()]
        verdicts = likeness.near([(one, other) for (_, one), (_, other) in some])
        yield from ((a, b) for ((a, _), (b, _)), near in zip(some, verdicts, strict=True) if near)


_AT_ONCE = 4096


def near_pairs(items: Mapping[str, Any], likeness: Likeness) -> list[tuple[str, str]]:
    """All near pairs of names, without Beam."""
    names = sorted(items)
    keys, places = likeness.keys([items[name] for name in names])
    by_owner = {owner(name): (name, items[name]) for name in names}
    owners = np.array([owner(name) for name in names], dtype=np.uint64)
    return list(links(candidates(keys, owners[places]), by_owner, likeness))
