"""Which of several equal posts stays."""

from dataclasses import dataclass

from m3h.pipeline.cleaning.groups import Verdict, record_key
from m3h.pipeline.text.dates import moment
from m3h.schemas.posts import Dropped, Post, text_key


def same_text(post: Post) -> str:
    """What posts of one text are grouped by: a post that says nothing says the same as no other."""
    return text_key(post.tokens) or f"\t{record_key(post)}"


def keep_newest(posts: list[Post]) -> list[Verdict]:
    """Of the records of one id the newest stays: collected last, as far as they say; else written last, else read last.

    What any of them knows of the post's edits, the one that stays knows too.
    """
    *older, newest = sorted(posts, key=_newness)
    informed = max(posts, key=lambda post: (post.edit, post.first_id))
    versions = tuple(dict.fromkeys(version for post in posts for version in post.versions))
    kept = newest.having(first_id=informed.first_id, edit=informed.edit, versions=versions)
    return [kept, *_dropped(older, "duplicate_id", kept)]


def keep_last_edit(posts: list[Post]) -> list[Verdict]:
    """Of the versions of an edited post, each with an id of its own, the last stays."""
    *older, newest = sorted(posts, key=lambda post: (post.edit, *_newness(post)))
    return [newest, *_dropped(older, "superseded", newest)]


def first_version(post: Post) -> str:
    """The id that all versions of a post share."""
    return post.first_id or post.post_id


def _newness(post: Post) -> tuple[float, float, str, int]:
    return (moment(post.collected_at), moment(post.created_at), post.source, post.position)


def _dropped(older: list[Post], reason: str, kept: Post) -> list[Dropped]:
    where = f"{kept.post_id} at {kept.source}, {kept.position}"
    return [Dropped.of(post, "duplicates", reason, detail=where) for post in older]


@dataclass(frozen=True)
class KeepFirst:
    """Of posts that share something, the earliest stays."""

    reason: str

    def __call__(self, posts: list[Post]) -> list[Verdict]:
        """posts: from the first to the last."""
        first, *later = posts
        return [first, *(Dropped.of(post, "duplicates", self.reason, detail=first.post_id) for post in later)]


@dataclass(frozen=True)
class KeepFirstOfGroup:
    """Of the posts of a group, the first stays; the group is named after it."""

    reason: str

    def __call__(self, post: Post, group: str) -> Verdict:
        """The verdict on one post of the group."""
        return post if group == post.post_id else Dropped.of(post, "duplicates", self.reason, detail=group)


def repost(post: Post) -> Verdict:
    """A retweet is someone else's post."""
    return Dropped.of(post, "duplicates", "retweet") if post.is_repost else post


def quote(post: Post) -> Verdict:
    """A quote is a comment, but on a text and perhaps a picture that are not here."""
    return Dropped.of(post, "duplicates", "quote") if post.is_quote else post
