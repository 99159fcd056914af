"""One stored picture on its way through the engine, decoded at most once however many features look at it."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from m3h.pipeline.images.jpeg import decode

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")


class Picture:
    """A file of the image store. path: for who reads it with a program of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: dict[Any, Any] = {}

    @cached_property
    def pixels(self) -> "Image":
        """RGB, upright as its EXIF orientation says; not to be changed. ImageFault where it cannot be decoded."""
        return decode(self.path)

    def once(self, make: "Callable[[Image], T]") -> T:
        """What `make` makes of the pixels, made once for all who ask for it; not to be changed."""
        if make not in self._made:
            self._made[make] = make(self.pixels)
        return self._made[make]
