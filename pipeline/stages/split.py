"""80/10/10 by a keyed hash of the post's group, so that no picture and no text stands on both sides."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from pipeline.rules import SplitRules
from pipeline.stages.dedup import text_key
from pipeline.stages.doors import KEEP, GlobalDoor, age
from schemas.posts import Post

Age = tuple[int, str, str, int]


def groups(traits: Mapping[str, tuple[Age, Sequence[str]]]) -> dict[str, str]:
    """record -> its group, named after the group's first post.

    traits: record -> (its age, what it may share with others). Records are of one group when a chain of shared
    traits leads from one to the other. A later record joins a group without renaming it.
    """
    parent = {record: record for record in traits}

    def root(record: str) -> str:
        while parent[record] != record:
            parent[record] = parent[parent[record]]
            record = parent[record]
        return record

    first_with: dict[str, str] = {}
    for record in sorted(traits, key=lambda record: traits[record][0]):
        for shared in traits[record][1]:
            a, b = sorted((root(first_with.setdefault(shared, record)), root(record)), key=lambda r: traits[r][0])
            parent[b] = a
    return {record: traits[root(record)][0][1] for record in traits}


def split_of(group: str, rules: SplitRules) -> str:
    """Where a group goes: its keyed hash as a number in [0, 1), cut at the shares."""
    digest = hashlib.sha256(f"{rules.key}\t{group}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < rules.test:
        return "test"
    return "valid" if place < rules.test + rules.valid else "train"


def shared_traits(post: Post) -> tuple[Age, list[str]]:
    """A post's picture and text."""
    return age(post), [f"image {post.image_sha256}", f"text {text_key(post)}"]


@dataclass
class Split(beam.PTransform):
    """Post -> Posts with group and split. A post that brings its own split keeps it."""

    rules: SplitRules

    def apply(self, post: Post, group: str) -> Post:
        """Group, and split where the source gives none."""
        own = post.split is not None
        return post.having(group=group, split=post.split if own else split_of(group, self.rules), own_split=own)

    def expand(self, posts: Any) -> Any:
        """Traits are gathered; nobody leaves here."""
        return (posts | GlobalDoor(shared_traits, groups, self.apply))[KEEP]
