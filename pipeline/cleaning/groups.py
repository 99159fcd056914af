"""What posts share, and the groups that follow: no picture, no text and no near copy may stand in two splits."""

from array import array
from collections.abc import Iterable, Mapping, Sequence

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
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    oldest_first = sorted(traits, key=lambda record: traits[record][0])
    first_with: dict[str, int] = {}
    edges = array("i")  # pairs of places in oldest_first, one after the other
    for place, record in enumerate(oldest_first):
        for trait in traits[record][1]:
            if (first := first_with.setdefault(trait, place)) != place:
                edges.extend((first, place))
    for trait, linked in links:
        if trait in first_with and linked in first_with:
            edges.extend((first_with[trait], first_with[linked]))
    ends = np.frombuffer(edges, dtype=np.int32).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(len(traits), len(traits)))
    _, group_of = connected_components(graph, directed=False)
    _, first_of = np.unique(group_of, return_index=True)
    names = [traits[oldest_first[place]][0][1] for place in first_of.tolist()]
    return {record: names[group] for record, group in zip(oldest_first, group_of.tolist(), strict=True)}


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
