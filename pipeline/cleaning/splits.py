"""The split of a group of posts, by a keyed hash."""

import hashlib

from m3h.pipeline.cleaning.groups import Age, age, image_traits, text_traits
from m3h.pipeline.rules import SplitRules
from m3h.schemas.posts import Post


def split_of(group: str, rules: SplitRules) -> str:
    """Where a group goes: its keyed hash as a number in [0, 1), cut at the shares."""
    digest = hashlib.sha256(f"{rules.key}\t{group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < rules.test:
        return "test"
    return "valid" if place < rules.test + rules.valid else "train"


def in_split(post: Post, group: str, rules: SplitRules) -> Post:
    """A post with its group, and with the group's split unless it brought its own.

    Args:
        post: not yet split, but where the source split it.
        group: the name of the posts that it may not be parted from.
        rules: the shares, and the key of the hash.
    """
    own = post.split is not None
    return post.having(group=group, split=post.split if own else split_of(group, rules), own_split=own)


def shared_traits(post: Post) -> tuple[Age, list[str]]:
    """A post's picture and text."""
    return age(post), [*image_traits(post), *text_traits(post)]
