"""What a post lacks that another record may have, and how it is applied. Without Beam."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from m3h.pipeline.cleaning.groups import Verdict
from m3h.pipeline.readers.long_texts import LongText, is_cut, second_of
from m3h.pipeline.readers.record import Part
from m3h.schemas.posts import Dropped, ImageRef, Post

Kind = Literal["deletion", "picture", "text"]
Key = tuple[Kind, str]
"""Kind and key of a Part."""


def keys_of(post: Post) -> Iterator[Key]:
    """The parts that would change a post."""
    for name in dict.fromkeys((post.post_id, *post.versions)):
        yield "deletion", name
    for image in post.images:
        if image.path and not image.url and not image.embedded:
            yield "picture", image.path
    if is_cut(post.text) and (second := second_of(post.created_at)):
        yield "text", second


def applied(post: Post, parts: Sequence[Part]) -> Verdict:
    """A post with its parts, which are sorted. A deletion wins over all others."""
    if any(part.kind == "deletion" for part in parts):
        return Dropped.of(post, "read", "deleted", detail="another record says so")
    urls = {part.key: part.value for part in reversed(parts) if part.kind == "picture"}
    post = post.having(images=tuple(_with_url(image, urls) for image in post.images))
    texts = [text for part in parts if part.kind == "text" and (text := LongText.of(part)).continues(post.text)]
    return post.having(text=texts[-1].text, hashtags=texts[-1].hashtags) if texts else post


def _with_url(image: ImageRef, urls: dict[str, str]) -> ImageRef:
    """The picture by its URL, where the name it has was only a key."""
    if image.url or image.path not in urls:
        return image
    return replace(image, path="", url=urls[image.path])
