"""80/10/10 by a keyed hash of the post's group, so that no picture, no text and no near copy stands on both sides."""

import hashlib
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from pipeline.groups import Age, groups, image_traits, text_traits
from pipeline.rules import SplitRules
from pipeline.stages.doors import KEEP, GlobalDoor, age
from schemas.posts import Post


def split_of(group: str, rules: SplitRules) -> str:
    """Where a group goes: its keyed hash as a number in [0, 1), cut at the shares."""
    digest = hashlib.sha256(f"{rules.key}\t{group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < rules.test:
        return "test"
    return "valid" if place < rules.test + rules.valid else "train"


def shared_traits(post: Post) -> tuple[Age, list[str]]:
    """A post's picture and text."""
    return age(post), [*image_traits(post), *text_traits(post)]


@dataclass
class Split(beam.PTransform):
    """(posts, links of near copies) -> Posts with group and split. A post that brings its own split keeps it."""

    rules: SplitRules

    def apply(self, post: Post, group: str) -> Post:
        """Group, and split where the source gives none."""
        own = post.split is not None
        return post.having(group=group, split=post.split if own else split_of(group, self.rules), own_split=own)

    def expand(self, posts_and_links: Any) -> Any:
        """Traits are gathered; nobody leaves here."""
        return (posts_and_links | GlobalDoor(shared_traits, groups, self.apply))[KEEP]
