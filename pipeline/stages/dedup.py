"""Retweets out; of records of one post the newest stays; of posts with one text or one picture, the first stays."""

from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from pipeline.readers.record import moment
from pipeline.rules import CleanRules
from pipeline.stages.doors import DROPPED, KEEP, Door, GroupDoor, Verdict, record_key
from schemas.posts import Dropped, Post

_TAGS = frozenset({"<url>", "<mention>"})


def text_key(post: Post) -> str:
    """Equal for posts that say the same: their tokens without links and mentions. "" where nothing is said."""
    return " ".join(token for token in post.tokens if token not in _TAGS)


def same_text(post: Post) -> str:
    """What posts of one text are grouped by: a post that says nothing says the same as no other."""
    return text_key(post) or f"\t{record_key(post)}"


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


def repost(post: Post) -> Verdict:
    """A retweet is someone else's post."""
    return Dropped.of(post, "duplicates", "retweet") if post.is_repost else post


def quote(post: Post) -> Verdict:
    """A quote is a comment, but on a text and perhaps a picture that are not here."""
    return Dropped.of(post, "duplicates", "quote") if post.is_quote else post


@dataclass
class Dedup(beam.PTransform):
    """Post -> distinct Posts, and Dropped."""

    rules: CleanRules

    def expand(self, posts: Any) -> Any:
        """Retweets and quotes, then ids and edits, then texts, then pictures."""
        doors: list[tuple[str, beam.PTransform]] = []
        if self.rules.drop_retweets:
            doors.append(("retweets", Door(repost)))
        if self.rules.quotes == "drop":
            doors.append(("quotes", Door(quote)))
        doors.append(("ids", GroupDoor(lambda post: post.post_id, keep_newest)))
        doors.append(("edits", GroupDoor(first_version, keep_last_edit)))
        if self.rules.unique_texts:
            doors.append(("texts", GroupDoor(same_text, KeepFirst("duplicate_text"))))
        if self.rules.unique_images:
            doors.append(("images", GroupDoor(lambda post: post.image_sha256, KeepFirst("duplicate_image"))))
        out = []
        for name, door in doors:
            routed = posts | name >> door
            posts = routed[KEEP]
            out.append(routed[DROPPED])
        return posts, out | "dropped" >> beam.Flatten()
