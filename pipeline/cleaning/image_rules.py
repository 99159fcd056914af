"""What §4 demands of a post's pictures before any of them is read."""

from m3h.pipeline.cleaning.groups import Verdict
from m3h.schemas.posts import Dropped, Post


def insensitive(post: Post) -> Verdict:
    """A post whose picture was marked as sensitive goes."""
    return Dropped.of(post, "image", "sensitive") if post.sensitive else post


def single_picture(post: Post) -> Verdict:
    """A post without a picture, or with several, goes (§4: exactly one)."""
    if not post.images:
        return Dropped.of(post, "image", "no_image")
    if len(post.images) > 1:
        return Dropped.of(post, "image", "several_images", detail=f"{len(post.images)} pictures")
    return post


def fetchable(post: Post) -> Verdict:
    """A post whose only picture has a URL stays; any other goes."""
    if post.images[0].url:
        return post
    return Dropped.of(post, "image", "no_url", detail=post.images[0].path)
