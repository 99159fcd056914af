"""Retweets out; of records with one id the newest stays; of posts with one text or one picture, the first stays."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from pipeline.rules import CleanRules
from pipeline.stages.doors import DROPPED, KEEP, Door, GroupDoor, Verdict
from schemas.posts import Dropped, Post

_TAGS = frozenset({"<url>", "<mention>"})


def text_key(post: Post) -> str:
    """Equal for posts that say the same: their tokens without links and mentions."""
    return " ".join(token for token in post.tokens if token not in _TAGS)


def keep_newest(posts: list[Post]) -> list[Verdict]:
    """Of the records of one id, the one read last stays: dumps list a post again after it changed."""
    *older, newest = posts
    return [newest, *(Dropped.of(post, "duplicates", "duplicate_id", newest.source) for post in older)]


@dataclass(frozen=True)
class KeepFirst:
    """Of posts that share something, the earliest stays."""

    reason: str

    def __call__(self, posts: list[Post]) -> list[Verdict]:
        """posts: from the first to the last."""
        first, *later = posts
        return [first, *(Dropped.of(post, "duplicates", self.reason, first.post_id) for post in later)]


def repost(post: Post) -> Verdict:
    """A retweet is someone else's post."""
    return Dropped.of(post, "duplicates", "retweet") if post.is_repost else post


@dataclass
class Dedup(beam.PTransform):
    """Post -> distinct Posts, and Dropped."""

    rules: CleanRules

    def expand(self, posts: Any) -> Any:
        """Retweets, then ids, then texts, then pictures."""
        doors: list[tuple[str, beam.PTransform]] = [("ids", GroupDoor(lambda post: post.post_id, keep_newest))]
        if self.rules.drop_retweets:
            doors.insert(0, ("retweets", Door(repost)))
        if self.rules.unique_texts:
            doors.append(("texts", GroupDoor(text_key, KeepFirst("duplicate_text"))))
        if self.rules.unique_images:
            doors.append(("images", GroupDoor(_picture, KeepFirst("duplicate_image"))))
        out = []
        for name, door in doors:
            routed = posts | name >> door
            posts = routed[KEEP]
            out.append(routed[DROPPED])
        return posts, out | "dropped" >> beam.Flatten()


_picture: Callable[[Post], str] = lambda post: post.image_sha256  # noqa: E731
