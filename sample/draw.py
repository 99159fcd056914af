"""Drawing helpers: random streams by name, smooth noise, JPEG bytes. Colours are (red, green, blue), 0 to 255."""

import colorsys
import io
import random

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]
SIZE = (256, 192)
"""Width and height of a drawn scene."""


def stream(seed: int, *names: object) -> random.Random:
    """A random stream of its own for each name: adding one thing to the sample leaves the others as they were."""
    return random.Random(":".join(map(str, (seed, *names))))


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue (turns, any real), saturation and value (0 to 1)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def blend(top: Colour, bottom: Colour, share: np.ndarray) -> np.ndarray:
    """(H, W) shares, 0 = top and 1 = bottom -> (H, W, 3) float colours."""
    return np.array(top, float) + share[..., None] * (np.array(bottom, float) - np.array(top, float))


def fall(width: int, height: int) -> np.ndarray:
    """(H, W): 0 in the first row to 1 in the last."""
    return np.repeat(np.linspace(0.0, 1.0, height)[:, None], width, axis=1)


def smooth_noise(rng: random.Random, width: int, height: int, cell: int) -> np.ndarray:
    """(H, W) in about -1 to 1, with blobs of `cell` pixels."""
    values = np.random.default_rng(rng.getrandbits(64)).integers(0, 256, (height // cell + 2, width // cell + 2))
    coarse = Image.fromarray(values.astype(np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float) / 127.5 - 1.0


def to_image(pixels: np.ndarray) -> Image.Image:
    """(H, W, 3) float colours, clipped, as a picture."""
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int = 62) -> bytes:
    """`image` as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()
