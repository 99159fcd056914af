"""Keep the newest record of a post, and the first post of those with the same text or picture."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.candidates import Item
from m3h.pipeline.cleaning.duplicates import (
    KeepFirst,
    KeepFirstOfGroup,
    first_version,
    keep_last_edit,
    keep_newest,
    same_text,
)
from m3h.pipeline.cleaning.groups import age, image_traits, text_traits
from m3h.pipeline.rules import CleanRules
from m3h.pipeline.stages.groups import ByGroup
from m3h.pipeline.stages.near_duplicates import PictureLinks, TextLinks
from m3h.pipeline.stages.routing import GroupFilter, PostsAndLinks, Routed
from m3h.schemas.posts import Dropped, Post


@dataclass
class NearFilter(beam.PTransform[PostsAndLinks, Routed]):
    """(posts, links) -> of the posts that a chain of near copies connects, the earliest."""

    traits: Callable[[Post], list[str]]
    reason: str
    in_rounds: bool = False

    @no_annotations
    def expand(self, posts_and_links: PostsAndLinks) -> Routed:
        """Groups are found as for the split."""
        traits = self.traits
        return posts_and_links | ByGroup(
            lambda post: (age(post), traits(post)), KeepFirstOfGroup(self.reason), self.in_rounds
        )


class Distinct(NamedTuple):
    """Distinct posts, and collections of those that are Dropped."""

    keep: PCollection[Post]
    dropped: list[PCollection[Dropped]]


@dataclass
class Dedup(beam.PTransform[tuple[PCollection[Post], PCollection[Item]], Distinct]):
    """(posts, (image_sha256, keypoints) of their pictures) -> Distinct."""

    rules: CleanRules
    in_rounds: bool = False

    @no_annotations
    def expand(self, posts_and_pictures: tuple[PCollection[Post], PCollection[Item]]) -> Distinct:
        """The order is: ids and edits, texts, pictures."""
        posts, pictures = posts_and_pictures
        rules, in_rounds = self.rules, self.in_rounds
        dropped: list[PCollection[Dropped]] = []

        def drop_copies(name: str, transform: GroupFilter) -> None:
            nonlocal posts
            posts, newly_dropped = posts | name >> transform
            dropped.append(newly_dropped)

        def drop_near_copies(name: str, transform: NearFilter, links: PCollection[tuple[str, str]]) -> None:
            nonlocal posts
            posts, newly_dropped = (posts, links) | name >> transform
            dropped.append(newly_dropped)

        drop_copies("ids", GroupFilter(lambda post: post.post_id, keep_newest))
        drop_copies("edits", GroupFilter(first_version, keep_last_edit))
        if rules.unique_texts:
            drop_copies("texts", GroupFilter(same_text, KeepFirst("duplicate_text")))
        if rules.near_text and rules.drop_near_texts:
            links = posts | "text links" >> TextLinks(rules, in_rounds)
            drop_near_copies("near texts", NearFilter(text_traits, "near_duplicate_text", in_rounds), links)
        if rules.unique_images:
            drop_copies("images", GroupFilter(lambda post: post.image_sha256, KeepFirst("duplicate_image")))
        if rules.near_images and rules.drop_near_images:
            links = (posts, pictures) | "picture links" >> PictureLinks(rules, in_rounds)
            drop_near_copies("near images", NearFilter(image_traits, "near_duplicate_image", in_rounds), links)
        return Distinct(posts, dropped)
