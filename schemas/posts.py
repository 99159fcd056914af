"""Records: what a dump is read into, what is kept, and what is dropped with its reason."""

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, order=True)
class ImageRef:
    """Where a record says its picture lies. path: below the image folder, or ""; url: or ""."""

    path: str = ""
    url: str = ""


@dataclass(frozen=True)
class Post:
    """One post on its way from a dump to `posts/`.

    post_id: the source's own id, as text.
    text: as it stands in the dump.
    hashtags: lower-cased, without `#`, distinct, in order of appearance.
    images: one reference per picture; only a post with exactly one survives cleaning.
    lang: a BCP 47 code the source gives, or None where it gives none.
    created_at: as the source writes it, or "".
    collected_at: when the source fetched it, as it writes that, or "".
    first_id, edit: id of an edited post's first version, and how many edits led to this one; "" and 0 for any other.
    source: `format:file`, where the record came from; position: its 1-based place there (see pipeline.readers.dumps).
    is_repost: a retweet, which the paper drops. is_quote: a comment on someone else's post.
    split: train, valid or test; None before splitting. own_split: the source brought it.
    tokens, keyphrases: filled by cleaning; a source that is already tokenised fills them itself.
    image_sha256: hex digest of the picture's bytes; where only its URL is known, of the URL (see IMAGE_SCHEMA).
    group: posts that share a picture or a text share a group, and no group crosses splits.
    """

    post_id: str
    text: str
    hashtags: tuple[str, ...] = ()
    images: tuple[ImageRef, ...] = ()
    lang: str | None = None
    created_at: str = ""
    collected_at: str = ""
    first_id: str = ""
    edit: int = 0
    source: str = ""
    position: int = 0
    is_repost: bool = False
    is_quote: bool = False
    split: str | None = None
    own_split: bool = False
    tokens: tuple[str, ...] = ()
    keyphrases: tuple[str, ...] = ()
    image_sha256: str = ""
    group: str = ""

    def having(self, **changes: Any) -> "Post":
        """A copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, order=True)
class Dropped:
    """A record that left, and by which door. Together with `source` and `position` it can be replayed.

    stage: the door (read, image, text, language, duplicates, rare_hashtags, or a feature's name).
    reason: one word, counted in the manifest; detail: what was found.
    """

    stage: str
    reason: str
    record_id: str = ""
    source: str = ""
    position: int = 0
    detail: str = ""

    @classmethod
    def of(cls, post: Post, stage: str, reason: str, detail: str = "") -> "Dropped":
        """`post` leaves at `stage`."""
        return cls(stage, reason, post.post_id, post.source, post.position, detail)


POST_SCHEMA = pa.schema(
    [
        ("post_id", pa.string()),
        ("text", pa.string()),
        ("tokens", pa.list_(pa.string())),
        ("keyphrases", pa.list_(pa.string())),
        ("hashtags", pa.list_(pa.string())),
        ("image_sha256", pa.string()),
        ("split", pa.string()),
        ("own_split", pa.bool_()),
        ("group", pa.string()),
        ("lang", pa.string()),
        ("created_at", pa.string()),
        ("source", pa.string()),
        ("position", pa.int64()),
    ]
)

DROPPED_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("source", pa.string()),
        ("position", pa.int64()),
    ]
)

IMAGE_SCHEMA = pa.schema(
    [
        # `stored`: bytes lie in images/ and image_sha256 is theirs; `url_only`: no bytes, the digest is the URL's.
        ("image_sha256", pa.string()),
        ("status", pa.string()),
        ("path", pa.string()),
        ("url", pa.string()),
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("phash", pa.string()),  # 64-bit perceptual hash of the pixels, 16 hex digits
        ("places", pa.string()),  # local features by which crops are found, base64
    ]
)


def post_row(post: Post) -> dict[str, Any]:
    """`post` as a row of POST_SCHEMA."""
    row = {name: getattr(post, name) for name in POST_SCHEMA.names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in row.items()}


def dropped_row(dropped: Dropped) -> dict[str, Any]:
    """`dropped` as a row of DROPPED_SCHEMA."""
    return {name: getattr(dropped, name) for name in DROPPED_SCHEMA.names}
