"""The input of a network, made of a picture as the network's authors made it: resized, cropped, normalised."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

Colour = tuple[float, float, float]

_LONGEST = 8
"""Of a picture with a longer side than this many shorter ones only the middle is resized: its size is bounded."""


@dataclass(frozen=True)
class Preprocessing:
    """Called with a picture, it returns the input (3, side, side), float32.

    resize: the shorter side before cropping; both sides where `squash`. side: of the square cut out of the middle.
    interpolation: bicubic, bilinear, lanczos, … by Pillow. mean, std: of values between 0 and 1, by channel.
    """

    resize: int
    side: int
    interpolation: str
    mean: Colour
    std: Colour
    squash: bool = False

    def of_whole(self) -> "Preprocessing":
        """The same without cropping: the whole picture, its aspect ratio ignored."""
        return replace(self, resize=self.side, squash=True)

    def identity(self) -> dict[str, object]:
        """Its part of a fingerprint."""
        return asdict(self)

    def __call__(self, pixels: "Image") -> "np.ndarray":
        """pixels: RGB."""
        import numpy as np
        from PIL import Image

        if not self.squash:
            pixels = _middle(pixels, _LONGEST * min(pixels.size), _LONGEST * min(pixels.size))
        scaled = pixels.resize(self._scaled(*pixels.size), Image.Resampling[self.interpolation.upper()])
        values = np.asarray(_middle(scaled, self.side, self.side), dtype=np.float32) / np.float32(255)
        return ((values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)).transpose(2, 0, 1)

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        if self.squash:
            return self.resize, self.resize
        longer = int(self.resize * max(width, height) / min(width, height))
        return (self.resize, longer) if width <= height else (longer, self.resize)


def preprocessing(
    network: str, sizes: tuple[int, ...], resize: int, interpolation: str, *, mean: Colour, std: Colour, mode: str
) -> Preprocessing:
    """As a library describes it.

    Args:
        network: for the error message.
        sizes: height and width of the input, or one for both.
        resize: the shorter side before cropping.
        interpolation: by its name.
        mean: by channel.
        std: by channel.
        mode: how a picture gets that size: `center` (cropped) or `squash`.

    Raises:
        UsageError: the input is no square, or pictures are made to fit in another way.
    """
    if len(set(sizes)) != 1 or mode not in ("center", "squash") or resize < sizes[0]:
        raise UsageError(
            f"features.backbone.network={network}: expected a square input that is cropped or squashed, found "
            f"{'x'.join(map(str, sizes))} by {mode!r}. Choose another network."
        )
    return Preprocessing(resize, sizes[0], interpolation, mean, std, mode == "squash")


def _middle(pixels: "Image", width: int, height: int) -> "Image":
    """At most so much of the middle, as torchvision's CenterCrop cuts it."""
    width, height = min(width, pixels.width), min(height, pixels.height)
    left, top = round((pixels.width - width) / 2), round((pixels.height - height) / 2)
    return pixels.crop((left, top, left + width, top + height))
