"""Pictures: found below the image folder, checked, and kept in the content-addressed store of a dataset."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlparse

from pipeline.rules import ImageRules
from schemas.errors import ImageFault
from schemas.files import publish
from schemas.posts import ImageRef

if TYPE_CHECKING:
    from PIL import Image

GREY_SPREAD = 10
"""A picture is grey when in 99 of 100 pixels no two channels differ by so much (of 255): JPEG adds a little colour."""


@dataclass(frozen=True)
class StoredImage:
    """What the store knows of a picture. mode: as Pillow names it. phash: 64-bit perceptual hash, 16 hex digits."""

    image_sha256: str
    bytes: int
    width: int
    height: int
    mode: str
    phash: str


def locate(reference: ImageRef, folders: Sequence[Path]) -> Path:
    """The record's path below a folder, else its file name, else the URL's file name. ImageFault where none is a file.

    The first folder that has it counts. A path that climbs out of a folder is never followed.
    """
    for folder, candidate in product(folders, _candidates(reference)):
        try:
            if (path := folder / candidate).is_file():
                return path
        except (OSError, ValueError):  # a name no file can have
            continue
    raise ImageFault("image_missing", reference.path or reference.url)


def _candidates(reference: ImageRef) -> Iterator[str]:
    inside = PurePosixPath(reference.path)
    if reference.path and not inside.is_absolute() and ".." not in inside.parts:
        yield reference.path
    if inside.name:
        yield inside.name
    try:
        url = urlparse(reference.url)
    except ValueError:  # no URL at all, such as one with half an IPv6 address
        return
    name = PurePosixPath(unquote(url.path)).name
    if not name:
        return
    yield name
    yield name.partition(":")[0]  # NAME.jpg:large
    if form := parse_qs(url.query).get("format"):
        yield f"{name}.{form[0]}"  # NAME?format=jpg&name=large


def inspect(path: Path, rules: ImageRules) -> tuple[bytes, StoredImage]:
    """Read a picture and decode it once. ImageFault unless it is a whole colour JPEG within the limits."""
    size = path.stat().st_size
    if size == 0:
        raise ImageFault("image_empty", path.name)
    if size > rules.max_bytes:
        raise ImageFault("image_too_large", f"{size} bytes, at most {rules.max_bytes}")
    picture = _open(path)
    if picture.width * picture.height > rules.max_pixels:
        raise ImageFault("image_too_large", f"{picture.width} x {picture.height}, at most {rules.max_pixels} pixels")
    pixels = _pixels(picture, path)
    if not rules.allow_grey and _is_grey(pixels):
        raise ImageFault("image_grey", path.name)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return data, StoredImage(digest, len(data), picture.width, picture.height, picture.mode, perceptual_hash(pixels))


def decode(path: Path) -> "Image.Image":
    """A JPEG's pixels as RGB. ImageFault where it cannot be decoded."""
    return _pixels(_open(path), path)


def _open(path: Path) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path, formats=("JPEG",))
    except UnidentifiedImageError as error:
        raise ImageFault("image_not_jpeg", path.name) from error
    except Image.DecompressionBombError as error:
        raise ImageFault("image_too_large", f"{path.name}: {error}") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageFault("image_broken", f"{path.name}: {error}") from error


def _pixels(picture: "Image.Image", path: Path) -> "Image.Image":
    try:
        return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageFault("image_broken", f"{path.name}: {error}") from error


def _is_grey(pixels: "Image.Image") -> bool:
    import numpy as np

    small_hwc = np.asarray(pixels.resize((64, 64)), dtype=np.int16)
    return float(np.quantile(np.ptp(small_hwc, axis=2), 0.99)) < GREY_SPREAD


def perceptual_hash(pixels: "Image.Image") -> str:
    """What a picture looks like: 16 hex digits, of which few bits differ (Hamming) between copies of one picture.

    pHash: signs of the 8 x 8 lowest frequencies against their median, of the picture in 32 x 32 greys.
    """
    import imagehash

    return str(imagehash.phash(pixels))


def image_path(dataset: Path, image_sha256: str) -> Path:
    """Where the store keeps a picture: images/ab/<sha256>.jpg."""
    return dataset / "images" / image_sha256[:2] / f"{image_sha256}.jpg"


def store(dataset: Path, path: Path, rules: ImageRules) -> StoredImage:
    """Check the picture at `path` and keep its bytes, once. ImageFault where it may not be kept."""
    data, stored = inspect(path, rules)
    target = image_path(dataset, stored.image_sha256)
    if not target.exists():

        def write(temp: Path) -> None:
            temp.write_bytes(data)

        publish(target, write)
    return stored
