"""What posts share, and the groups that follow: no picture, no text and no near copy may stand in two splits."""

from array import array
from collections.abc import Iterable, Mapping, Sequence

from m3h.pipeline.cleaning.components import first_connected
from m3h.pipeline.cleaning.minhash import text_name
from m3h.schemas.posts import Dropped, Post, text_key

Age = tuple[int, str, str, int]


def text_traits(post: Post) -> list[str]:
    """The name of what a post says; none where it says nothing."""
    text = text_key(post.tokens)
    return [text_trait(text_name(text))] if text else []


def text_trait(name: str) -> str:
    """A text as something shared."""
    return f"text {name}"


def image_traits(post: Post) -> list[str]:
    """The name of what a post shows."""
    return [image_trait(post.image_sha256)]


def image_trait(image_sha256: str) -> str:
    """A picture as something shared."""
    return f"image {image_sha256}"


def groups(traits: Mapping[str, tuple[Age, Sequence[str]]], links: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """record -> its group, named after the group's first post.

    Records are of one group when a chain of shared or linked traits leads from one to the other. A later record joins
    a group without renaming it. No order of records or links matters.

    Args:
        traits: of each record its age, and what it may share with others.
        links: pairs of traits that are as good as one.
    """
    oldest_first = sorted(traits, key=lambda record: traits[record][0])
    first_with: dict[str, int] = {}
    ends = array("i")  # of edges, places in oldest_first
    for place, record in enumerate(oldest_first):
        for trait in traits[record][1]:
            if (first := first_with.setdefault(trait, place)) != place:
                ends.extend((first, place))
    for trait, linked in links:
        if trait in first_with and linked in first_with:
            ends.extend((first_with[trait], first_with[linked]))
    firsts = first_connected(len(traits), ends)
    return {record: traits[oldest_first[first]][0][1] for record, first in zip(oldest_first, firsts, strict=True)}


Verdict = Post | Dropped


_LONGEST_ID = 20
"""Digits of the largest 64-bit id; anything longer is a name, and Python refuses to read the longest as a number."""


def age(post: Post) -> tuple[int, str, str, int]:
    """Order of posts from the first to the last: ids grow with time; the rest makes the order total."""
    counts = post.post_id.isascii() and post.post_id.isdigit() and len(post.post_id) <= _LONGEST_ID
    number = int(post.post_id) if counts else 0
    return (number, post.post_id, post.source, post.position)


def record_key(post: Post) -> str:
    """Distinct for every record of a build."""
    return f"{post.source}\t{post.position}"
