"""One stored picture on its way through the engine, decoded at most once however many features look at it."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.images import decode

if TYPE_CHECKING:
    from PIL.Image import Image


class Picture:
    """A file of the image store. path: for who reads it with a program of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def pixels(self) -> "Image":
        """RGB, upright as its EXIF orientation says; not to be changed. ImageFault where it cannot be decoded."""
        return decode(self.path)
