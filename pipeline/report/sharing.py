"""Posts that share a picture or a text, or nearly: their clusters, and what of them crosses the splits."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from m3h.schemas.posts import text_key
from m3h.schemas.shards import KEY

CLUSTERS, MEMBERS = 12, 6
"""How many clusters are shown side by side, and how many posts of each."""

Row = dict[str, Any]


def clusters(posts: Iterable[Row]) -> Row:
    """The groups of more than one post.

    Returns:
        sizes: how many groups have how many posts. shown: the largest groups, each with its number of posts, of
        pictures and of texts, and posts that differ as much as possible.
    """
    groups: dict[str, list[Row]] = defaultdict(list)
    for post in posts:
        groups[post["group"]].append(post)
    several = {name: members for name, members in groups.items() if len(members) > 1}
    sizes = Counter(min(len(members), 50) for members in several.values())
    varied = sorted(several.items(), key=lambda item: (-_variety(item[1]), -len(item[1]), item[0]))
    return {
        "groups": len(several),
        "posts": sum(map(len, several.values())),
        "sizes": [{"posts": size, "groups": number} for size, number in sorted(sizes.items())],
        "shown": [_shown(name, members) for name, members in varied[:CLUSTERS]],
    }


def _variety(members: list[Row]) -> int:
    """Near pictures tell more than one picture many times over."""
    return min(len({post[KEY] for post in members}), MEMBERS)


def _shown(name: str, members: list[Row]) -> Row:
    first_of: dict[str, Row] = {}
    for post in members:
        first_of.setdefault(post[KEY], post)
    different = [*first_of.values(), *(post for post in members if first_of[post[KEY]] is not post)]
    return {
        "group": name,
        "posts": len(members),
        "pictures": len(first_of),
        "texts": len({text_key(post["tokens"]) for post in members}),
        "members": different[:MEMBERS],
    }


def leaks(posts: list[Row]) -> list[Row]:
    """What stands in more than one split: groups, pictures and texts, each with the number of posts that it touches."""
    kinds: tuple[tuple[str, Callable[[Row], str]], ...] = (
        ("groups of near posts", lambda post: post["group"]),
        ("pictures", lambda post: post[KEY]),
        ("texts", lambda post: text_key(post["tokens"])),
    )
    return [{"what": what, **_crossing(posts, key)} for what, key in kinds]


def _crossing(posts: list[Row], key: Callable[[Row], str]) -> Row:
    splits: dict[str, set[str]] = defaultdict(set)
    number: Counter[str] = Counter()
    for post in posts:
        if shared := key(post):
            splits[shared].add(post["split"])
            number[shared] += 1
    crossing = [shared for shared, found in splits.items() if len(found) > 1]
    return {"number": len(crossing), "posts": sum(number[shared] for shared in crossing)}
