"""Records: what a dump is read into, what is kept, and what is dropped for which reason; and posts of no dataset."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from m3h.schemas.features import Row

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, order=True)
class ImageRef:
    """Where a record says its picture is, and what it says of it.

    path: below the image folder, or "". url: or "".
    alt: the description that the author wrote for people who cannot see the picture, or "".
    embedded: sha256 of the bytes, where the dump itself holds the picture; else "".
    content: these bytes, until the stage `read` has put them where the stage `image` finds them by `embedded`.
    """

    path: str = ""
    url: str = ""
    alt: str = ""
    embedded: str = ""
    content: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True)
class Post:
    """One post on its way from a dump to `posts/`.

    post_id: the source's own id, as text.
    text: as in the dump.
    hashtags: lower-cased, without `#`, distinct, in order of appearance.
    images: one reference per picture; only a post with exactly one survives cleaning.
    lang: a BCP 47 code the source gives, or None where it gives none.
    created_at: as the source writes it, or "".
    collected_at: when the source fetched it, as it writes that, or "".
    first_id, edit: id of an edited post's first version, and how many edits led to this one; "" and 0 for any other.
    versions: ids of all versions of an edited post that the record names, first to last, its own too; () for any other.
    source: `format:file`, where the record came from. position: its 1-based place there (m3h.pipeline.readers.dumps).
    is_repost: a retweet, which the paper drops. is_quote: a comment on someone else's post.
    sensitive: its author, or a moderator, marked its picture as one that not everybody wants to see.
    split: train, valid or test; None before splitting. own_split: whether the source assigned it.
    tokens, keyphrases: filled by cleaning; a source that is already tokenised fills them itself.
    alt_tokens: those of `alt`, by the same tokenizer; filled by cleaning.
    image_sha256: hex digest of the picture's bytes, or of its URL where only that is known (see IMAGE_SCHEMA).
    group: posts that share a picture or a text share a group. No group crosses splits.
    unread: names of fields that the record has and whose values could not be read, which are empty here.
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
    versions: tuple[str, ...] = ()
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
    unread: tuple[str, ...] = ()
    sensitive: bool = False
    alt_tokens: tuple[str, ...] = ()

    @property
    def alt(self) -> str:
        """What the author says the picture shows, "" where nothing is said. Only a post with one picture is stored."""
        return self.images[0].alt if len(self.images) == 1 else ""

    def having(self, **changes: Any) -> "Post":
        """A copy with some fields changed."""
        copy = object.__new__(Post)  # `dataclasses.replace` takes ten times as long, and a copy is made of every record
        fields = copy.__dict__
        fields.update(self.__dict__)
        fields.update(changes)
        if len(fields) != len(self.__dict__):
            raise TypeError(f"a Post has no {', '.join(sorted(changes.keys() - self.__dict__.keys()))}")
        return copy


EMPTY_POST = Post("", "")
"""Copied by `having` for each record that is read, which takes half as long as to make a Post."""


@dataclass(frozen=True, order=True)
class Dropped:
    """A record that was dropped. By `source` and `position` it can be found in its dump again.

    stage: the stage that dropped it (read, image, text, language, duplicates, rare_hashtags, or a feature's name).
    reason: one word, counted in the manifest. detail: what was found. versions: as of a Post.
    """

    stage: str
    reason: str
    record_id: str = ""
    source: str = ""
    position: int = 0
    detail: str = ""
    versions: tuple[str, ...] = ()

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "Dropped":
        """The record of a row of DROPPED_SCHEMA, or of its JSON."""
        return cls(**{**row, "versions": tuple(row["versions"])})

    @classmethod
    def of(cls, post: Post, stage: str, reason: str, *, detail: str = "") -> "Dropped":
        """The record of a post that is dropped.

        Args:
            post: The post.
            stage: The stage that drops it.
            reason: One word, counted in the manifest.
            detail: What was found.
        """
        return cls(stage, reason, post.post_id, post.source, post.position, detail, post.versions)


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
        ("versions", pa.list_(pa.string())),
        ("alt", pa.string()),  # the author's description of the picture, "" where there is none
        ("alt_tokens", pa.list_(pa.string())),
        ("sensitive", pa.bool_()),
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
        ("versions", pa.list_(pa.string())),
    ]
)

IMAGE_SCHEMA = pa.schema(
    [
        # status `stored`: the bytes are in images/ and image_sha256 is their digest.
        # status `url_only`: there are no bytes, and image_sha256 is the digest of the URL.
        ("image_sha256", pa.string()),
        ("status", pa.string()),
        ("path", pa.string()),
        ("url", pa.string()),
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("phash", pa.string()),  # 64-bit perceptual hash of the pixels, 16 hex digits
        ("keypoints", pa.string()),  # local features by which crops are found, base64
    ]
)

IMAGE_LISTS = "images/images"
"""How the names of the files begin that list a dataset's pictures. In their order, the pictures are sorted by hash."""

FOUND_SCHEMA = pa.schema(
    [
        # One row a record whose picture came from a folder: what the record is known by, and its picture.
        ("post_id", pa.string()),
        ("source", pa.string()),
        ("path", pa.string()),
        ("url", pa.string()),
        ("image_sha256", pa.string()),
    ]
)


_SAYS_NOTHING = frozenset({"<url>", "<mention>"})


def text_key(tokens: Iterable[str]) -> str:
    """Equal for posts that say the same: their tokens without links and mentions. "" where nothing is said."""
    return " ".join(token for token in tokens if token not in _SAYS_NOTHING)


def post_row(post: Post) -> dict[str, Any]:
    """`post` as a row of POST_SCHEMA."""
    return _row(post, POST_SCHEMA.names)


def dropped_row(dropped: Dropped) -> dict[str, Any]:
    """`dropped` as a row of DROPPED_SCHEMA."""
    return _row(dropped, DROPPED_SCHEMA.names)


def _row(record: object, names: Sequence[str]) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in row.items()}


@dataclass(frozen=True)
class RawPost:
    """A post that is in no dataset, as its author wrote it.

    name: what an error message calls it. alt: what its author says that the picture shows, or "". picture: a file, its
    bytes, or None where it has none.
    """

    name: str
    text: str
    alt: str = ""
    picture: Path | bytes | None = None


@dataclass(frozen=True)
class ReadPost:
    """A post as a dataset has it.

    tokens, alt_tokens: of its text and of the description. rows: feature -> row of its picture, as stored. lost:
    feature -> why the picture has no row. picture: the bytes of the picture, or None.
    """

    tokens: list[str]
    alt_tokens: list[str]
    rows: Mapping[str, Row] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    picture: bytes | None = None


class PostReader(Protocol):
    """Reads posts as one dataset's build did, and computes features of their pictures under given fingerprints."""

    max_bytes: int
    """The most bytes that a picture may have."""
    notes: Sequence[str]
    """What a reader of the features must know, such as weights that are random."""
    parts: Mapping[str, Mapping[str, Any]]
    """Feature -> what its fingerprint is made of, such as how a picture is cut to the network's input."""

    def read(self, posts: Sequence[RawPost]) -> list[ReadPost]:
        """Each post as the dataset would have it. One thread at a time.

        Raises:
            UsageError: a picture cannot be used. The message names the post and the reason.
        """

    def close(self) -> None:
        """End its helper processes. The next post starts them again."""


OpenReader = Callable[[Path, Mapping[str, str], Sequence[str]], PostReader]
"""(dataset folder, feature -> fingerprint, settings `FIELD=VALUE`) -> its reader. UsageError says what is missing."""
