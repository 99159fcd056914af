"""Posts with rare hashtags, to a fixed point; or the rare hashtags alone."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeVar

from m3h.pipeline.cleaning.groups import Verdict
from m3h.pipeline.text.hashtags import pairs_of
from m3h.schemas.posts import Dropped, Post

Key = TypeVar("Key", str, bytes)

DROP_POST, DROP_TAG = "drop_post", "drop_tag"
"""What is dropped for a rare hashtag: its posts, or the hashtag."""


def rare_posts(
    hashtags: Mapping[Key, Collection[str]], least: int, numbers: Mapping[Key, int] | None = None
) -> dict[Key, str]:
    """Which posts go, and the hashtag that decided.

    In what is left, every hashtag is in at least `least` posts. Posts go in rounds: in each, all posts go that have a
    hashtag which is rare among the posts then left, and the first of these hashtags by its letters decided. So no order
    of posts matters, and who takes the rounds one after the other finds the same.

    Args:
        hashtags: of each post, distinct.
        least: posts that a hashtag needs.
        numbers: as how many posts each counts; None: each as one.
    """
    counts: Counter[str] = Counter()
    posts_of: dict[str, list[Key]] = {}
    for post, tags in hashtags.items():
        for tag in tags:
            counts[tag] += numbers[post] if numbers else 1
            posts_of.setdefault(tag, []).append(post)
    dropped: dict[Key, str] = {}
    rare = [tag for tag, count in counts.items() if count < least]
    while rare:
        leaving: dict[Key, str] = {}
        for tag in sorted(rare):
            for post in posts_of[tag]:
                if post not in dropped:
                    leaving.setdefault(post, tag)
        taken: Counter[str] = Counter()
        for post in leaving:
            for tag in hashtags[post]:
                taken[tag] += numbers[post] if numbers else 1
        rare = [tag for tag, count in taken.items() if counts[tag] >= least > counts[tag] - count]
        counts.subtract(taken)
        dropped |= leaving
    return dropped


def rare_hashtags(hashtags: Mapping[str, Collection[str]], least: int) -> dict[str, list[str]]:
    """post -> those of its hashtags that are in fewer than `least` posts, sorted.

    Once is enough: a tag that is taken off lowers the count of no other one, and a post that has none left had no
    frequent one.
    """
    counts = Counter(tag for tags in hashtags.values() for tag in set(tags))
    return {post: sorted({tag for tag in tags if counts[tag] < least}) for post, tags in hashtags.items()}


def kept_by_rule(lists: Mapping[tuple[str, ...], int], least: int) -> dict[str, int]:
    """How many posts each choice of `clean.rare_hashtags` keeps.

    lists: distinct hashtags -> posts that have just these, so that many posts are decided by one.
    """
    counts: Counter[str] = Counter()
    for tags, posts in lists.items():
        counts.update(dict.fromkeys(tags, posts))
    frequent = {tag for tag, count in counts.items() if count >= least}
    with_one = sum(posts for tags, posts in lists.items() if not tags or not frequent.isdisjoint(tags))
    left = dict(lists)
    while gone := [tags for tags in left if any(counts[tag] < least for tag in tags)]:
        for tags in gone:
            counts.subtract(dict.fromkeys(tags, left.pop(tags)))
    return {DROP_POST: sum(left.values()), DROP_TAG: with_one}


def deciding_hashtags(hashtags: Mapping[str, Collection[str]], least: int) -> dict[str, str]:
    """Of every post: the hashtag for which it goes, "" where it stays. Arguments as those of `rare_posts`."""
    dropped = rare_posts(hashtags, least)
    return {post: dropped.get(post, "") for post in hashtags}


def rare_hashtag_verdict(post: Post, hashtag: str) -> Verdict:
    """A post goes for the hashtag that decided; "" where none did."""
    return Dropped.of(post, "rare_hashtags", "rare_hashtag", detail=f"#{hashtag}") if hashtag else post


def without_hashtags(post: Post, rare: Collection[str], mapping: Mapping[str, str]) -> Verdict:
    """A post less some of its hashtags and what became of them; it goes if it has none left.

    mapping: of hashtags to keyphrases, the user's.
    """
    if not rare:
        return post
    pairs = [(tag, phrase) for tag, phrase in pairs_of(post.hashtags, post.keyphrases, mapping) if tag not in rare]
    if not pairs:
        return rare_hashtag_verdict(post, " #".join(sorted(rare)))
    hashtags, keyphrases = zip(*pairs, strict=True)
    return post.having(hashtags=hashtags, keyphrases=tuple(dict.fromkeys(keyphrases)))
