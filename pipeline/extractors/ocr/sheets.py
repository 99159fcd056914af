"""The views of a picture that Tesseract reads: the file itself, or an upright, enlarged or rotated copy.

Boxes on a view are converted back into boxes in the picture.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from m3h.pipeline.images.jpeg import is_turned
from m3h.pipeline.images.picture import Picture
from m3h.schemas.errors import ImageFault

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]
"""Width and height in pixels."""

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


@dataclass(frozen=True)
class View:
    """A file to be read. turns: quarter turns counterclockwise that the file is rotated by, compared to the picture.

    temp_file: the object that deletes the file when the view is no longer used; None for the picture's own file.
    """

    name: str
    turns: int = 0
    temp_file: object = None


@dataclass(eq=False)
class Sheet:
    """The views of one picture, and the result of reading them.

    size: of the picture. shown: of the views before their rotation. Both are None when the only view is the picture's
    own file. tables: of Tesseract, one per view, after reading. fault: why the picture could not be read.
    second_try: the picture, if its own file is the only view. Damage that one decoder repairs another one may refuse.
    """

    views: Sequence[View]
    size: Size | None = None
    shown: Size | None = None
    tables: list[str] = field(default_factory=list)
    fault: ImageFault | None = None
    second_try: Picture | None = None

    def decode(self) -> bool:
        """Have the pixels read that are decoded here, instead of the picture's file. Whether that is another try."""
        if self.second_try is None:
            return False
        picture, self.second_try = self.second_try, None
        with suppress(ImageFault):
            self.views = [_view(picture.pixels, 0)]
            return True
        return False

    @property
    def is_unread(self) -> bool:
        """Whether there is neither a result nor a fault yet."""
        return not self.tables and self.fault is None

    def box_in_picture(self, box: Box, turns: int) -> Box:
        """The box in the picture for a box on the view with so many quarter turns."""
        if self.size is None or self.shown is None:
            return box
        return scale_box(unrotate_box(box, turns, self.shown), self.shown, self.size)


def make_sheet(picture: Picture, rotate: bool, scale: float, *, min_side: int) -> Sheet:
    """The views of a picture. If nothing must be changed, it is the picture's own file, which Tesseract decodes itself.

    ImageFault when the picture must be decoded here and cannot be.

    Args:
        picture: the picture to read.
        rotate: whether it is read at four angles.
        scale: largest factor of the enlargement, see `enlargement`.
        min_side: pixels of the shorter side up to which it is enlarged.
    """
    turned = is_turned(picture.path)  # by EXIF, which Tesseract ignores
    factor = enlargement(picture.pixels.size, scale, min_side) if scale > 1 else 1.0
    if factor == 1 and not turned and not rotate:
        return Sheet([View(str(picture.path))], second_try=Picture(picture.path))  # without pixels others have decoded
    pixels = _enlarged(picture.pixels, factor)
    views = [_view(pixels, turns) for turns in (range(4) if rotate else (0,))]
    return Sheet(views, picture.pixels.size, pixels.size)


def enlargement(size: Size, scale: float, min_side: int) -> float:
    """The factor by which a picture is enlarged, at least 1.

    Args:
        size: width and height of the picture.
        scale: largest factor.
        min_side: pixels that the shorter side shall have.
    """
    return max(1.0, min(scale, min_side / min(size)))


def _enlarged(pixels: "Image", factor: float) -> "Image":
    from PIL import Image

    if factor == 1:
        return pixels
    return pixels.resize((round(pixels.width * factor), round(pixels.height * factor)), Image.Resampling.LANCZOS)


def _view(pixels: "Image", turns: int) -> View:
    from PIL.Image import Transpose

    turned = [None, Transpose.ROTATE_90, Transpose.ROTATE_180, Transpose.ROTATE_270][turns]
    file = NamedTemporaryFile(prefix="m3h-ocr-", suffix=".ppm")  # noqa: SIM115 (deleted with the view)
    (pixels if turned is None else pixels.transpose(turned)).save(file, "PPM")
    file.flush()
    return View(file.name, turns, file)


def unrotate_box(box: Box, turns: int, size: Size) -> Box:
    """The box before the rotation, for a box on a rotated picture.

    Args:
        box: on the rotated picture.
        turns: quarter turns counterclockwise of the rotation.
        size: width and height of the picture before the rotation.
    """
    x, y, width, height = box
    picture_width, picture_height = size
    if turns == 1:
        return picture_width - y - height, x, height, width
    if turns == 2:
        return picture_width - x - width, picture_height - y - height, width, height
    if turns == 3:
        return y, picture_height - x - width, height, width
    return box


def scale_box(box: Box, shown: Size, size: Size) -> Box:
    """The smallest box of whole pixels in the picture that contains a box on its enlarged copy.

    Args:
        box: on the enlarged copy.
        shown: width and height of the enlarged copy.
        size: width and height of the picture.
    """
    x, y, width, height = box
    left, top = x * size[0] // shown[0], y * size[1] // shown[1]
    right, bottom = -(-(x + width) * size[0] // shown[0]), -(-(y + height) * size[1] // shown[1])
    return left, top, right - left, bottom - top
