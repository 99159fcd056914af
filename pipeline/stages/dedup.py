"""Retweets out; of records of one post the newest stays; of posts with one text or one picture, the first stays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from pipeline.groups import groups, image_traits, text_key, text_traits
from pipeline.readers.record import moment
from pipeline.rules import CleanRules
from pipeline.stages.doors import DROPPED, KEEP, Door, GlobalDoor, GroupDoor, Verdict, age, record_key
from pipeline.stages.near import PictureLinks, TextLinks
from schemas.posts import Dropped, Post


def same_text(post: Post) -> str:
    """What posts of one text are grouped by: a post that says nothing says the same as no other."""
    return text_key(post.tokens) or f"\t{record_key(post)}"


def keep_newest(posts: list[Post]) -> list[Verdict]:
    """Of the records of one id the newest stays: collected last, as far as they say; else written last, else read last.

    What any of them knows of the post's edits, the one that stays knows too.
    """
    *older, newest = sorted(posts, key=_newness)
    informed = max(posts, key=lambda post: (post.edit, post.first_id))
    kept = newest.having(first_id=informed.first_id, edit=informed.edit)
    return [kept, *_gone(older, "duplicate_id", kept)]


def keep_last_edit(posts: list[Post]) -> list[Verdict]:
    """Of the versions of an edited post, each with an id of its own, the last stays."""
    *older, newest = sorted(posts, key=lambda post: (post.edit, *_newness(post)))
    return [newest, *_gone(older, "superseded", newest)]


def first_version(post: Post) -> str:
    """The id that all versions of a post share."""
    return post.first_id or post.post_id


def _newness(post: Post) -> tuple[float, float, str, int]:
    return (moment(post.collected_at), moment(post.created_at), post.source, post.position)


def _gone(older: list[Post], reason: str, kept: Post) -> list[Dropped]:
    where = f"{kept.post_id} at {kept.source}, {kept.position}"
    return [Dropped.of(post, "duplicates", reason, where) for post in older]


@dataclass(frozen=True)
class KeepFirst:
    """Of posts that share something, the earliest stays."""

    reason: str

    def __call__(self, posts: list[Post]) -> list[Verdict]:
        """posts: from the first to the last."""
        first, *later = posts
        return [first, *(Dropped.of(post, "duplicates", self.reason, first.post_id) for post in later)]


@dataclass
class NearDoor(beam.PTransform):
    """(posts, links) -> of posts that a chain of near copies links, the earliest stays."""

    traits: Callable[[Post], list[str]]
    reason: str

    def apply(self, post: Post, group: str) -> Verdict:
        """A group bears its first post's id."""
        return post if group == post.post_id else Dropped.of(post, "duplicates", self.reason, group)

    def expand(self, posts_and_links: Any) -> Any:
        """As groups of a split are found."""
        return posts_and_links | GlobalDoor(lambda post: (age(post), self.traits(post)), groups, self.apply)


def repost(post: Post) -> Verdict:
    """A retweet is someone else's post."""
    return Dropped.of(post, "duplicates", "retweet") if post.is_repost else post


def quote(post: Post) -> Verdict:
    """A quote is a comment, but on a text and perhaps a picture that are not here."""
    return Dropped.of(post, "duplicates", "quote") if post.is_quote else post


@dataclass
class Dedup(beam.PTransform):
    """(posts, (image_sha256, places) of their pictures) -> (distinct Posts, a list of Dropped)."""

    rules: CleanRules

    def expand(self, posts_and_pictures: Any) -> Any:
        """Retweets and quotes, then ids and edits, then texts, then pictures."""
        posts, pictures = posts_and_pictures
        rules = self.rules
        out = []

        def through(name: str, door: beam.PTransform, *links: Any) -> None:
            nonlocal posts
            routed = ((posts, *links) if links else posts) | name >> door
            posts = routed[KEEP]
            out.append(routed[DROPPED])

        if rules.drop_retweets:
            through("retweets", Door(repost))
        if rules.quotes == "drop":
            through("quotes", Door(quote))
        through("ids", GroupDoor(lambda post: post.post_id, keep_newest))
        through("edits", GroupDoor(first_version, keep_last_edit))
        if rules.unique_texts:
            through("texts", GroupDoor(same_text, KeepFirst("duplicate_text")))
        if rules.near_text and rules.drop_near_texts:
            links = posts | "text links" >> TextLinks(rules)
            through("near texts", NearDoor(text_traits, "near_duplicate_text"), links)
        if rules.unique_images:
            through("images", GroupDoor(lambda post: post.image_sha256, KeepFirst("duplicate_image")))
        if rules.near_images and rules.drop_near_images:
            links = (posts, pictures) | "picture links" >> PictureLinks(rules)
            through("near images", NearDoor(image_traits, "near_duplicate_image"), links)
        return posts, out
