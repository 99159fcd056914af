"""Rare hashtags: a post with one goes whole, until every hashtag left is seen often enough (§4)."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from pipeline.stages.doors import GlobalDoor, Verdict
from schemas.posts import Dropped, Post


def rare_posts(hashtags: Mapping[str, Collection[str]], least: int) -> dict[str, str]:
    """Which posts go, and the hashtag that decided.

    hashtags: post -> its distinct hashtags. In what is left, every hashtag is in at least `least` posts: each post
    that goes takes its other hashtags' counts down, and whoever falls below takes more posts along.
    """
    counts = Counter(tag for tags in hashtags.values() for tag in tags)
    posts_of: dict[str, list[str]] = {}
    for post, tags in hashtags.items():
        for tag in tags:
            posts_of.setdefault(tag, []).append(post)
    waiting = sorted(tag for tag, count in counts.items() if count < least)
    gone: dict[str, str] = {}
    for tag in waiting:  # grows while it is walked
        for post in posts_of[tag]:
            if post in gone:
                continue
            gone[post] = tag
            for other in hashtags[post]:
                counts[other] -= 1
                if counts[other] == least - 1:
                    waiting.append(other)
    return gone


@dataclass
class RareHashtags(beam.PTransform):
    """Post -> Posts whose hashtags are all seen at least `least` times among them, and Dropped."""

    least: int

    def decide(self, hashtags: dict[str, Any]) -> dict[str, Any]:
        """The deciding hashtag of a post that goes, "" for one that stays."""
        gone = rare_posts(hashtags, self.least)
        return {post: gone.get(post, "") for post in hashtags}

    def expand(self, posts: Any) -> Any:
        """Hashtags alone are gathered."""
        return posts | GlobalDoor(lambda post: post.hashtags, self.decide, _apply)


def _apply(post: Post, tag: str) -> Verdict:
    return Dropped.of(post, "rare_hashtags", "rare_hashtag", f"#{tag}") if tag else post
