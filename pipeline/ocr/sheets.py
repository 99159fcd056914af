"""A picture as Tesseract is shown it: as its file is, upright, enlarged, or at four angles; and boxes back in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from pipeline.images import is_turned
from pipeline.picture import Picture
from schemas.errors import ImageFault

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]
"""Width and height in pixels."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

Table = Mapping[str, list[Any]]
"""Columns of what Tesseract prints of a picture: `text`, `conf`, `left`, `top`, `width`, `height` and others."""


@dataclass(frozen=True)
class View:
    """A file to be read. turns: quarter turns counterclockwise by which it shows the picture. kept: what keeps it."""

    name: str
    turns: int = 0
    kept: Any = None


@dataclass(eq=False)
class Sheet:
    """A picture's views, and what came of them. size: of the picture; shown: of the views, before they are turned.

    Both None where the one view is the picture itself. tables: by view, once it is read. fault: why it cannot be.
    """

    views: Sequence[View]
    size: Size | None = None
    shown: Size | None = None
    tables: list[Table] = field(default_factory=list)
    fault: ImageFault | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still to be read."""
        return not self.tables and self.fault is None

    def place(self, box: Box, turns: int) -> Box:
        """Where a box on the view of so many turns lies in the picture."""
        if self.size is None or self.shown is None:
            return box
        return shrunk(unturned(box, turns, self.shown), self.shown, self.size)


def sheet_of(picture: Picture, rotate: bool, scale: float, min_side: int) -> Sheet:
    """What to show of a picture. Its own file where nothing has to be done to it: Tesseract decodes it itself.

    rotate: at four angles; scale, min_side: see `enlargement`. ImageFault where it cannot be decoded.
    """
    turned = is_turned(picture.path)  # by EXIF, which Tesseract overlooks
    factor = enlargement(picture.pixels.size, scale, min_side) if scale > 1 else 1.0
    if factor == 1 and not turned and not rotate:
        return Sheet([View(str(picture.path))])
    pixels = _enlarged(picture.pixels, factor)
    views = [_view(pixels, turns) for turns in (range(4) if rotate else (0,))]
    return Sheet(views, picture.pixels.size, pixels.size)


def enlargement(size: Size, scale: float, min_side: int) -> float:
    """By how much a picture is enlarged: until its shorter side has `min_side` pixels, at most `scale`, at least 1."""
    return max(1.0, min(scale, min_side / min(size)))


def _enlarged(pixels: "Image", factor: float) -> "Image":
    from PIL import Image

    if factor == 1:
        return pixels
    return pixels.resize((round(pixels.width * factor), round(pixels.height * factor)), Image.Resampling.LANCZOS)


def _view(pixels: "Image", turns: int) -> View:
    from PIL.Image import Transpose

    turned = [None, Transpose.ROTATE_90, Transpose.ROTATE_180, Transpose.ROTATE_270][turns]
    file = NamedTemporaryFile(prefix="m3h-ocr-", suffix=".ppm")  # noqa: SIM115 (it goes with the view)
    (pixels if turned is None else pixels.transpose(turned)).save(file, "PPM")
    file.flush()
    return View(file.name, turns, file)


def unturned(box: Box, turns: int, size: Size) -> Box:
    """A box on something of `size` that lay `turns` quarter turns counterclockwise, on it as it lies straight."""
    x, y, width, height = box
    whole_width, whole_height = size
    if turns == 1:
        return whole_width - y - height, x, height, width
    if turns == 2:
        return whole_width - x - width, whole_height - y - height, width, height
    if turns == 3:
        return y, whole_height - x - width, height, width
    return box


def shrunk(box: Box, shown: Size, size: Size) -> Box:
    """The whole pixels of a picture of `size` that a box covers where it is shown in the size `shown`."""
    x, y, width, height = box
    left, top = x * size[0] // shown[0], y * size[1] // shown[1]
    right, bottom = -(-(x + width) * size[0] // shown[0]), -(-(y + height) * size[1] // shown[1])
    return left, top, right - left, bottom - top
