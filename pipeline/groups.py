"""What posts share, and the groups that follow: no picture, no text and no near copy may stand in two splits."""

from collections.abc import Iterable, Mapping, Sequence

from pipeline.near_texts import text_name
from schemas.posts import Post

Age = tuple[int, str, str, int]

_TAGS = frozenset({"<url>", "<mention>"})


def text_key(tokens: Iterable[str]) -> str:
    """Equal for posts that say the same: their tokens without links and mentions. "" where nothing is said."""
    return " ".join(token for token in tokens if token not in _TAGS)


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

    traits: record -> (its age, what it may share with others). links: pairs of traits that are as good as one.
    Records are of one group when a chain of shared or linked traits leads from one to the other. A later record joins
    a group without renaming it. No order of records or links matters.
    """
    parent = {record: record for record in traits}

    def root(record: str) -> str:
        while parent[record] != record:
            parent[record] = parent[parent[record]]
            record = parent[record]
        return record

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)), key=lambda record: traits[record][0])
        parent[second] = first

    first_with: dict[str, str] = {}
    for record in sorted(traits, key=lambda record: traits[record][0]):
        for shared in traits[record][1]:
            join(first_with.setdefault(shared, record), record)
    for one, other in links:
        if one in first_with and other in first_with:
            join(first_with[one], first_with[other])
    return {record: traits[root(record)][0][1] for record in traits}
