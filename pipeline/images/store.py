"""The content-addressed store of a dataset: a picture's bytes under their hash."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3h.pipeline.text.pii import stored_path, stored_url
from m3h.schemas.files import publish_bytes, sha256_file
from m3h.schemas.inside import folder_in, picture_file


@dataclass(frozen=True)
class StoredImage:
    """What the store knows of a picture: hash and number of its bytes as fetched, and its `Appearance`."""

    image_sha256: str
    bytes: int
    width: int
    height: int
    mode: str
    phash: str
    keypoints: str


@dataclass(frozen=True)
class ImageRow:
    """A row of the list of pictures (IMAGE_SCHEMA). What is not known of a picture without bytes is None."""

    image_sha256: str
    status: str
    path: str
    url: str
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    phash: str | None = None
    keypoints: str | None = None

    @classmethod
    def stored(cls, image: StoredImage, path: str, url: str) -> "ImageRow":
        """Of a picture that is in the store.

        Args:
            image: what the store knows of it.
            path: where it was found below the user's folder, or "".
            url: where it is found on the web, or "".
        """
        return cls(status="stored", path=path, url=url, **vars(image))

    @classmethod
    def url_only(cls, image_sha256: str, url: str) -> "ImageRow":
        """Of a picture that is known by its URL alone."""
        return cls(image_sha256, "url_only", "", url)

    def masked(self) -> "ImageRow":
        """As it is stored: path and URL without what names a person. The pictures themselves are found by the dumps."""
        return replace(self, path=stored_path(self.path), url=stored_url(self.url))

    def as_row(self) -> dict[str, Any]:
        """By the names of the columns."""
        return dict(vars(self))


def image_path(dataset: Path, image_sha256: str) -> Path:
    """Where the store keeps a picture: images/ab/<sha256>.jpg. IntegrityError where that is no sha256."""
    return picture_file(folder_in(dataset, "images"), image_sha256)


def keep(dataset: Path, image_sha256: str, data: bytes) -> None:
    """Put a picture's bytes into the store, unless they are there already, whole.

    Args:
        dataset: whose store it is.
        image_sha256: of the bytes.
        data: the bytes.
    """
    put(image_path(dataset, image_sha256), image_sha256, data)


def put(target: Path, image_sha256: str, data: bytes, *, lasting: bool = True) -> None:
    """Write a picture's bytes, unless they are there already, whole. Any number of processes may do it at once.

    Args:
        target: the file, named by the hash.
        image_sha256: of the bytes.
        data: the bytes.
        lasting: whether the file must survive a power cut as well.
    """
    if not (target.is_file() and sha256_file(target) == image_sha256):
        publish_bytes(target, data, lasting)
