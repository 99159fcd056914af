"""Posts that are in no dataset, read as a dataset's posts are: what passes from the reader of posts to a predictor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from m3h.schemas.features import Row


@dataclass(frozen=True)
class RawPost:
    """A post as its author wrote it.

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

    def read(self, posts: Sequence[RawPost]) -> list[ReadPost]:
        """Each post as the dataset would have it. One thread at a time.

        Raises:
            UsageError: a picture cannot be used. The message names the post and the reason.
        """

    def close(self) -> None:
        """End its helper processes. The next post starts them again."""


OpenReader = Callable[[Path, Mapping[str, str], Sequence[str]], PostReader]
"""(dataset folder, feature -> fingerprint, settings `FIELD=VALUE`) -> its reader. UsageError says what is missing."""
