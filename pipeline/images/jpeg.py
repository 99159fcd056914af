"""What a picture is: decided by its bytes and pixels alone, decoded upright, kept in a dataset's store.

`examine` reads untrusted bytes, and so runs in a process that may die: see `m3h.pipeline.images.validator`.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3h.pipeline.cleaning.local_features import local_features
from m3h.schemas.errors import ImageFault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image, Transpose
    from PIL.JpegImagePlugin import JpegImageFile

REASONS: Mapping[str, str] = {
    "image_missing": "no file of the record's name in the folder",
    "image_outside": "a link that leads out of the folder",
    "image_not_a_file": "a folder, named pipe, socket or device",
    "image_unreadable": "a file that the build may not read, a loop of links, or a failing disk",
    "image_empty": "no bytes",
    "image_too_large": "more bytes than image.max_bytes, or more pixels than image.max_pixels by its own header",
    "image_not_jpeg": "does not begin as a JPEG does: another format or a web page, whatever its name",
    "image_unsupported": "a JPEG that not every decoder reads: arithmetic, lossless, hierarchical, not of 8 bits",
    "image_truncated": "ends before its pixels do",
    "image_broken": "a JPEG that cannot be decoded",
    "image_grey": "no colour in 999 of 1000 pixels, whatever its mode; image.allow_grey keeps it",
    "image_decoder_timeout": "not decoded within image.timeout_seconds",
    "image_decoder_memory": "decoding needs more memory than a picture of image.max_pixels may",
    "image_decoder_crash": "the decoder crashed twice, or failed in a way nobody foresaw",
}
"""Every reason why a picture is not kept."""

GREY_SPREAD = 10
"""A picture is grey when in 999 of 1000 pixels no two channels differ by so much, of 255: JPEG adds a little."""

SIGNATURE = b"\xff\xd8\xff"
"""How every JPEG begins (ISO 10918-1 B.1.1.3: the start of image, then another marker)."""

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}  # SOF0-15 without DHT, JPG and DAC; SOF55 is JPEG-LS
_BARE_MARKERS = {0x00, 0x01, *range(0xD0, 0xDA)}  # without a length: a stuffed byte, TEM, RSTn, SOI, EOI
_START_OF_SCAN, _RESTARTS = 0xDA, 0xDD

_END = b"\xff\xd9"
_FILLERS = (b"\x00" * 4096, b"\x55" * 4096, b"\xaa" * 4096)
"""Bytes that would change the pixels of a picture that goes on there. They are enough for ten blocks of 64 numbers."""

_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Appearance:
    """What is known of a picture once it is decoded.

    width, height: in pixels, upright. mode: of the stored pixels, as Pillow names it: RGB, CMYK or L.
    phash: 64-bit perceptual hash of the upright pixels, 16 hex digits. keypoints: what it shows where, see
    `m3h.pipeline.cleaning.local_features`.
    """

    width: int
    height: int
    mode: str
    phash: str
    keypoints: str


def refuse_size(size: int, max_bytes: int) -> None:
    """ImageFault where a file has no bytes, or more than `max_bytes`."""
    if size == 0:
        raise ImageFault("image_empty", "0 bytes")
    if size > max_bytes:
        raise ImageFault("image_too_large", f"{size} bytes, at most {max_bytes}")


def examine(data: bytes, max_pixels: int, allow_grey: bool) -> Appearance:
    """Decode a picture once.

    Args:
        data: the bytes of a file.
        max_pixels: the most that its header may announce.
        allow_grey: whether a picture without colour is one too.

    Raises:
        ImageFault: unless it is a whole colour JPEG of at most `max_pixels`.
    """
    picture = _open(data)
    if picture.width * picture.height > max_pixels:
        raise ImageFault("image_too_large", f"{picture.width} x {picture.height}, at most {max_pixels} pixels")
    pixels = _upright(picture)
    if not allow_grey and _is_grey(pixels):
        raise ImageFault("image_grey", f"{picture.width} x {picture.height}")
    grey = pixels.convert("L")  # once for both
    return Appearance(pixels.width, pixels.height, picture.mode, perceptual_hash(grey), local_features(grey))


def decode(path: Path) -> "Image":
    """A JPEG's pixels as RGB, turned as its EXIF orientation says. ImageFault where it cannot be decoded."""
    try:
        return _upright(_open(path.read_bytes()))
    except ImageFault as fault:
        raise ImageFault(fault.reason, f"{path.name}: {fault.detail}") from fault


def is_turned(path: Path) -> bool:
    """Whether a JPEG's pixels are stored in another orientation than the one they are shown in."""
    return _turn(_open(path.read_bytes())) is not None


class _Source(io.BytesIO):
    """A picture's bytes, which know what was asked of them in vain. short: less than asked for; dry: nothing at all."""

    short = False
    dry = False

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.short |= len(found) < (size or 0)
        self.dry |= not found
        return found


def _open(data: bytes) -> "JpegImageFile":
    """Header read, pixels not. Pillow's JPEG reader by itself: its front door would also enter other frames (MPO)."""
    from PIL.JpegImagePlugin import JpegImageFile

    if not data.startswith(SIGNATURE):
        raise ImageFault("image_not_jpeg", f"begins with {data[:16]!r}")
    _refuse_rare(data)
    source = _Source(data)
    try:
        return JpegImageFile(source)
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageFault("image_truncated" if source.short else "image_broken", str(error)) from error


def _refuse_rare(data: bytes) -> None:
    """Kinds of JPEG that some decoders read and others do not: what a build keeps may not depend on the decoder."""
    at = len(SIGNATURE) - 1
    while (at := data.find(b"\xff", at)) >= 0 and at + 10 <= len(data):
        marker = data[at + 1]
        if marker in _FRAMES:
            bits, channels = data[at + 4], data[at + 9]
            if marker not in (0xC0, 0xC1, 0xC2) or bits != 8 or channels not in (1, 3, 4):
                detail = f"frame type 0x{marker:02X} of {bits} bits and {channels} channels"
                raise ImageFault("image_unsupported", f"{detail}, expected Huffman-coded 8 bits, 1, 3 or 4 channels")
            return
        if marker == _START_OF_SCAN:
            return
        at = _next_marker(data, at)


def _next_marker(data: bytes, at: int) -> int:
    """Where to look for the marker after the one at `at`."""
    marker = data[at + 1]
    if marker == 0xFF:  # fill
        return at + 1
    return at + 2 + (0 if marker in _BARE_MARKERS else int.from_bytes(data[at + 2 : at + 4], "big"))


def _upright(picture: "JpegImageFile") -> "Image":
    source = picture.fp
    turn = _turn(picture)
    try:
        picture.load()
    except (OSError, ValueError, SyntaxError) as error:
        if not (isinstance(source, _Source) and source.dry):
            raise ImageFault("image_broken", str(error)) from error
        if (whole := _without_end(source.getvalue())) is None:
            raise ImageFault("image_truncated", str(error)) from error
        picture = whole
    pixels = picture if picture.mode == "RGB" else picture.convert("RGB")
    return pixels if turn is None else pixels.transpose(turn)


def _without_end(data: bytes) -> "JpegImageFile | None":
    """The picture of a file that lacks nothing but its end marker, or half of it. None where pixels may be missing.

    What follows the last pixel does not change the picture. So it is whole if it looks the same whatever follows it.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    if not _names_all_channels(data):
        return None
    looks: set[bytes] = set()
    picture = None
    for filler in _FILLERS:
        picture = JpegImageFile(io.BytesIO(data.rstrip(b"\xff") + filler + _END))
        try:
            picture.load()
        except (OSError, ValueError, SyntaxError):
            return None
        looks.add(hashlib.sha256(picture.tobytes()).digest())
    return picture if len(looks) == 1 else None


def _names_all_channels(data: bytes) -> bool:
    """Whether the scans of a picture that is stored in one run, from top to bottom, are of all its channels."""
    channels, scanned, at = 0, 0, len(SIGNATURE) - 1
    while (at := data.find(b"\xff", at)) >= 0 and at + 10 <= len(data):
        marker = data[at + 1]
        if marker in _FRAMES:
            channels = data[at + 9] if marker in (0xC0, 0xC1) else 0  # a progressive one may lack its last scans
        elif marker == _START_OF_SCAN:
            scanned += data[at + 4]
        elif marker == _RESTARTS:  # what follows the last run does not change the runs that are missing
            return False
        at = _next_marker(data, at)
    return 0 < channels <= scanned


def _turn(picture: "JpegImageFile") -> "Transpose | None":
    """What shows the picture as its EXIF orientation says. An EXIF block that cannot be read says nothing."""
    import struct

    from PIL.Image import Transpose

    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, IndexError, struct.error):
        return None
    turns: Mapping[Any, Transpose] = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return turns.get(orientation)


_LOOK = 64
"""Pixels a side of the small picture whose colours are looked at."""


def _is_grey(pixels: "Image") -> bool:
    """Whether hardly any of 64 x 64 pixels has colour.

    Most pictures have far more in their middle alone, a quarter of them, and take a quarter of the time. There 16
    pixels with twice the spread leave no doubt: of the whole, five with the spread are enough.
    """
    import numpy as np

    width, height = pixels.size
    middle = (width / 4, height / 4, 3 * width / 4, 3 * height / 4)
    if np.count_nonzero(_spreads(pixels, _LOOK // 2, middle) >= 2 * GREY_SPREAD) >= 16:
        return False
    return float(np.quantile(_spreads(pixels, _LOOK, (0, 0, width, height)), 0.999)) < GREY_SPREAD


def _spreads(pixels: "Image", side: int, box: tuple[float, float, float, float]) -> "NDArray[np.uint8]":
    """(side * side,): by how much the channels differ in each pixel of a part of the picture, made small."""
    import numpy as np

    small = pixels.resize((side, side), box=box, reducing_gap=3.0)  # a third of the time
    red, green, blue = np.moveaxis(np.asarray(small), 2, 0).reshape(3, -1)
    return np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def perceptual_hash(pixels: "Image") -> str:
    """What a picture looks like: 16 hex digits, of which few bits differ (Hamming) between copies of one picture.

    pHash: signs of the 8 x 8 lowest frequencies against their median, of the picture in 32 x 32 greys.
    """
    import imagehash

    return str(imagehash.phash(pixels))
