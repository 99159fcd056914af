"""Rare hashtags by rounds, for more posts than one process holds: what one round decides, as plain functions.

Posts with one list of hashtags share their fate, so lists are decided, each with its number of posts. A round counts
every hashtag. Lists with a rare one go, as in `rare_posts`. A hashtag that keeps enough posts whatever else happens is
safe, and is taken off the lists; a list without any other has stayed. What is left open is the same question again, on
fewer lists: no safe hashtag can become rare, and only open lists have one that is not safe.
"""

from collections.abc import Collection
from typing import NamedTuple

HashtagCount = tuple[int, int, list[bytes]]
"""Of one hashtag: the posts that have it; its support, those of them that no other hashtag can take away; and the names
of the lists (or posts) that have it. The numbers are counted up to `least`. Names are forgotten where the hashtag is
not rare, so they are fewer than `least`. A plain tuple, because many of them cross a shuffle."""


class OpenList(NamedTuple):
    """A list of hashtags that is not decided yet.

    posts: that have it.
    hashtags: those of it that are not safe.
    """

    posts: int
    hashtags: tuple[str, ...]

    def support(self, least: int) -> int:
        """How many posts each of its hashtags has here that no other hashtag can take away.

        All, where it has one hashtag only. All too, where `least` posts have the whole list: they keep each other.
        """
        return self.posts if len(self.hashtags) == 1 or self.posts >= least else 0


def added(count: HashtagCount, more: HashtagCount, least: int) -> HashtagCount:
    """Both together. The list of names of `count` is used up; that of `more` is left as it is.

    Args:
        count: of a hashtag.
        more: of the same hashtag, elsewhere.
        least: posts from which on a hashtag is not rare.
    """
    posts, support = min(least, count[0] + more[0]), min(least, count[1] + more[1])
    names = count[2]
    if posts < least:
        names.extend(more[2])
    return posts, support, names if posts < least else []


def is_rare(count: HashtagCount, least: int) -> bool:
    """Whether too few posts have the hashtag."""
    return count[0] < least


def is_safe(count: HashtagCount, least: int) -> bool:
    """Whether the hashtag cannot become rare."""
    return count[1] >= least


def still_open(open_list: OpenList, safe: Collection[str]) -> OpenList | None:
    """A list that no rare hashtag took, less its safe ones; None if it has stayed."""
    left = tuple(tag for tag in open_list.hashtags if tag not in safe)
    return open_list._replace(hashtags=left) if left else None
