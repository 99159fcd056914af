"""Weights drawn over a picture: of a grid that covers it, or of boxes in it. Pictures in, PNG bytes out.

The picture is shown in shades of grey. A place is coloured the more, the larger its weight is beside the largest one:
dark blue, orange, pale yellow. So equal weights colour the whole picture, however small they are.

Axes: h rows, w columns, n boxes.
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from m3h.schemas.errors import ImageFault, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

Region = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of a picture, as shares of its width and height."""
WHOLE: Region = (0.0, 0.0, 1.0, 1.0)
LONGEST, BLANK = 480, 336
"""Pixels of the longer side of what is drawn, and of a side where there is no picture."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
COLOURS = ("#10123f", "#e8602d", "#fcfea4")
"""Of no weight, of half of the largest, and of the largest."""
FAINTEST, STRONGEST = 0.25, 0.7
"""How much of the colour, in place of the picture, there is where the weight is 0, and where it is largest."""


def overlay(picture: bytes | None, weights_hw: np.ndarray, region: Region = WHOLE) -> bytes:
    """The weights of a grid over the picture, as PNG. The first row is at the top, the first column at the left.

    Between the centres of cells the weights are interpolated.

    Args:
        picture: the bytes of a JPEG, PNG, WebP or GIF file. None draws the grid alone, without interpolation.
        weights_hw: (h, w), at least 0. Only their ratios count. All 0 colours nothing.
        region: what the grid covers of the picture, see `covered`. The rest is shown in plain grey.

    Raises:
        ImageFault: the bytes are no such picture, with the reason `undecodable`.
        ValueError: the weights are no matrix of finite numbers of at least 0.
        UsageError: Pillow is not installed.
    """
    strength_hw = _strengths(weights_hw, 2)
    image = _pillow()
    if picture is None:
        return _png(_coloured(None, image.fromarray(strength_hw).resize((BLANK, BLANK), image.Resampling.NEAREST)))
    shown = open_picture(picture)
    left, top, right, bottom = np.rint(np.multiply(region, (*shown.size, *shown.size))).astype(int).tolist()
    box = (
        left,
        top,
        max(right, left + 1),
        max(bottom, top + 1),
    )  # of a picture that is a line, there is a pixel to see
    seen = shown.crop(box)
    drawn = image.merge("RGB", [shown.convert("L")] * 3)
    drawn.paste(_coloured(seen, image.fromarray(strength_hw).resize(seen.size, image.Resampling.BICUBIC)), box)
    return _png(drawn)


def covered(parts: Mapping[str, Any], size: tuple[int, int]) -> Region:
    """What of the upright picture a network saw: left, top, right and bottom, as shares of its width and height.

    A network whose input is cut out of the middle sees a square. Every other one sees the whole picture.

    Args:
        parts: of the feature's fingerprint, from feature.json.
        size: width and height of the upright picture.
    """
    match parts.get("input"):
        case {"resize": int(resize), "side": int(side), "squash": False} if 0 < side <= resize:
            pass
        case _:
            return WHOLE
    left, top = ((1 - side / resize * min(size) / length) / 2 for length in size)
    return left, top, 1 - left, 1 - top


def overlay_boxes(
    picture: bytes | None, boxes_n4: np.ndarray, weights_n: np.ndarray, *, size: tuple[int, int]
) -> bytes:
    """The weights of boxes over the picture, as PNG. Where boxes overlap, the largest weight counts.

    Every box has an outline. The three largest weights have the number of their box, from 1, in its corner.

    Args:
        picture: as in `overlay`. None draws the boxes alone.
        boxes_n4: (n, 4) left, top, right, bottom in pixels of the upright picture.
        weights_n: (n,) at least 0.
        size: width and height in pixels that the boxes are measured in.

    Raises:
        ImageFault: as in `overlay`.
        ValueError: the weights are not finite numbers of at least 0, one a box; or the size is not positive.
        UsageError: Pillow is not installed.
    """
    from PIL import ImageDraw

    strength_n = _strengths(weights_n, 1)
    if boxes_n4.shape != (len(strength_n), 4) or min(size) < 1:
        raise ValueError(f"expected {len(strength_n)} boxes and a positive size, got {boxes_n4.shape} and {size}")
    shown = None if picture is None else open_picture(picture)
    width, height = shown.size if shown else _within(size, BLANK)
    scaled_n4 = boxes_n4 / np.tile(size, 2) * np.tile((width, height), 2)
    strength_hw = np.zeros((height, width), np.float32)
    for (left, top, right, bottom), strength in zip(np.rint(scaled_n4).astype(int), strength_n, strict=True):
        place = strength_hw[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        np.maximum(place, strength, out=place)
    drawn = _coloured(shown, _pillow().fromarray(strength_hw))
    pen = ImageDraw.Draw(drawn)
    for box, strength in zip(scaled_n4.tolist(), strength_n.tolist(), strict=True):
        if box[0] <= box[2] and box[1] <= box[3]:
            pen.rectangle(box, outline="white" if strength > 0.5 else "#9aa0b0")
    for number in np.argsort(-strength_n, kind="stable")[:3].tolist():
        left, top = scaled_n4[number, :2].tolist()
        pen.text((left + 3, top + 2), str(number + 1), fill="white", stroke_width=2, stroke_fill="black")
    return _png(drawn)


def open_picture(picture: bytes, longest: int = LONGEST) -> "Image":
    """The picture upright, in RGB, no side longer than `longest` pixels.

    Raises:
        ImageFault: as in `overlay`.
        UsageError: Pillow is not installed.
    """
    image = _pillow()
    from PIL import ImageOps

    try:
        with image.open(io.BytesIO(picture), formats=FORMATS) as found:
            found.draft("RGB", (longest * 2, longest * 2))  # the decoder itself shrinks a JPEG: several times as fast
            upright = ImageOps.exif_transpose(found)
            upright.thumbnail((longest, longest))
            return upright.convert("RGB")
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as error:
        raise ImageFault("undecodable", " ".join(str(error).split())) from error


def grid_side(cells: int) -> int | None:
    """The side of a square grid of so many cells, which are its rows one after the other; None where it is none."""
    side = round(cells**0.5)
    return side if side > 1 and side * side == cells else None


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError("a drawing over a picture needs Pillow: pip install 'm3h[figures]'.") from error
    return Image


def _strengths(weights: np.ndarray, axes: int) -> np.ndarray:
    """float32 of the same shape, 0 to 1: each weight beside the largest."""
    values = np.asarray(weights, np.float32)
    if values.ndim != axes or not values.size or not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(f"expected finite weights of at least 0 with {axes} axes, got shape {values.shape}")
    return values / (values.max() or 1)


def _within(size: Sequence[int], longest: int) -> tuple[int, int]:
    scale = longest / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _coloured(shown: "Image | None", strength: "Image") -> "Image":
    """The picture in grey, mixed with the colour of each pixel's strength. strength: of mode F, 0 to 1."""
    from PIL import Image, ImageOps

    level = np.clip(np.asarray(strength, np.float32), 0, 1)
    colour = ImageOps.colorize(Image.fromarray(np.rint(255 * level).astype(np.uint8)), *COLOURS[::2], mid=COLOURS[1])
    if shown is None:
        return colour
    share = FAINTEST + (STRONGEST - FAINTEST) * level
    return Image.composite(
        colour, ImageOps.grayscale(shown).convert("RGB"), Image.fromarray(np.rint(255 * share).astype(np.uint8))
    )


def _png(drawn: "Image") -> bytes:
    data = io.BytesIO()
    drawn.save(data, "PNG", optimize=True)
    return data.getvalue()
