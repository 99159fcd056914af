"""Turns a picture into the input of a network that was trained on ImageNet."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SIDE = 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

PREPROCESSING: dict[str, object] = {"resize": [SIDE, SIDE, "lanczos"], "normalise": [MEAN, STD]}
"""The preprocessing as part of a fingerprint."""


def imagenet_input(pixels: "Image") -> "np.ndarray":
    """(3, 224, 224) float32: resized by Lanczos, ignoring the aspect ratio; normalised by ImageNet's statistics."""
    import numpy as np
    from PIL import Image

    scaled = np.asarray(pixels.resize((SIDE, SIDE), Image.Resampling.LANCZOS), dtype=np.float32) / 255.0
    return ((scaled - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).transpose(2, 0, 1)
