"""Near copies among many items: those that share a key are compared, and keys are made so that copies share one.

An item is a name and what is needed to compare it with another. What makes keys of it and what compares two of them
is a `Likeness`; the texts' is in near_texts.py.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint32]
Owners = NDArray[np.uint64]

Item = tuple[str, str]
"""A name, and what is compared: a text, or the features of a picture."""

PARTS = 16
"""Tasks that the keys are divided among, where every worker holds all items anyway."""

MANY_PARTS = 256
"""The same, where no worker holds all items. Of still more, the keys of a batch would cross the shuffle one by one."""

REACH = 8
"""How many of the items that follow it under a key an item is compared with. Under a key of few items these are all;
under one of 50,000 (spam, or a key that says nothing) the pairs stay linear, and copies are still chained."""


class Likeness(Protocol):
    """When two items are near."""

    def keys(self, items: Sequence[str]) -> tuple[Keys, NDArray[np.int64]]:
        """Keys of some items, and for each key whose it is (a place in `items`)."""
        ...

    def near(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
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


def links(pairs: Owners, items: Mapping[int, Item], likeness: Likeness) -> Iterator[tuple[str, str]]:
    """The names of those pairs that are near.

    Args:
        pairs: (n, 2) owners.
        items: by owner.
        likeness: when two are near.
    """
    for start in range(0, len(pairs), _AT_ONCE):
        batch = [(items[a], items[b]) for a, b in pairs[start : start + _AT_ONCE].tolist()]
        verdicts = likeness.near([(first, second) for (_, first), (_, second) in batch])
        yield from ((a, b) for ((a, _), (b, _)), near in zip(batch, verdicts, strict=True) if near)


_AT_ONCE = 4096


PackedKeys = tuple[bytes, bytes]
"""Keys and their owners; both arrays as bytes, because they cross a shuffle."""


def keys_by_part(items: Sequence[Item], likeness: Likeness, parts: int = PARTS) -> Iterator[tuple[int, PackedKeys]]:
    """(part, its keys) of some items."""
    keys, picture_of_key = likeness.keys([item for _, item in items])
    owners = np.array([owner(name) for name, _ in items], dtype=np.uint64)[picture_of_key]
    part_of_key = keys % parts
    for part in np.unique(part_of_key):
        chosen = part_of_key == part
        yield int(part), (keys[chosen].tobytes(), owners[chosen].tobytes())


def candidates_in_part(part: Iterable[PackedKeys]) -> Owners:
    """(n, 2): the pairs to compare that one part of the keys leads to. part: what `keys_by_part` made, of all items."""
    batches = list(part)
    keys = np.frombuffer(b"".join(keys for keys, _ in batches), dtype=np.uint32)
    owners = np.frombuffer(b"".join(owners for _, owners in batches), dtype=np.uint64)
    return candidates(keys, owners)


def near_among(part: Iterable[PackedKeys], items: Iterable[Item], likeness: Likeness) -> Iterator[tuple[str, str]]:
    """The names of the near pairs that one part of the keys leads to.

    Args:
        part: what `keys_by_part` made for it, of all items.
        items: all items. Only those that are compared are kept.
        likeness: when two are near.
    """
    pairs = candidates_in_part(part)
    compared = set(np.unique(pairs).tolist())
    table = {number: (name, item) for name, item in items if (number := owner(name)) in compared}
    return links(pairs, table, likeness)


def near_pairs(items: Mapping[str, str], likeness: Likeness) -> list[tuple[str, str]]:
    """All near pairs of names, without Beam."""
    names = sorted(items)
    keys, picture_of_key = likeness.keys([items[name] for name in names])
    by_owner = {owner(name): (name, items[name]) for name in names}
    owners = np.array([owner(name) for name in names], dtype=np.uint64)
    return list(links(candidates(keys, owners[picture_of_key]), by_owner, likeness))
