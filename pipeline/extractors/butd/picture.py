"""A picture as the detector's input: 600 pixels on its shorter side, at most 1000 on the longer, BGR without means."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.extractors.butd.network import SMALLEST

if TYPE_CHECKING:
    from PIL.Image import Image

MEANS = (102.9801, 115.9465, 122.7717)
"""Of blue, green and red in ImageNet as Caffe counted them, of 255."""


class Input(NamedTuple):
    """image_chw: (3, H, W) float32. size: (width, height) of the picture. scale_xy: of the input, to the picture's."""

    image_chw: np.ndarray
    size: tuple[int, int]
    scale_xy: tuple[float, float]


def shrink(width: int, height: int, min_side: int, max_side: int) -> float:
    """Pixels of the input a pixel of the picture, as py-faster-rcnn reckons."""
    scale = min_side / min(width, height)
    return max_side / max(width, height) if round(scale * max(width, height)) > max_side else scale


def caffe_input(pixels: "Image", min_side: int, max_side: int) -> Input:
    """As Caffe's tools make it: means off first, then cv2's bilinear resizing of floats."""
    import torch

    scale = shrink(*pixels.size, min_side, max_side)
    bgr_hwc = np.asarray(pixels, dtype=np.float32)[..., ::-1] - np.array(MEANS, np.float32)
    bgr_chw = torch.from_numpy(np.ascontiguousarray(bgr_hwc.transpose(2, 0, 1)))
    size = [max(SMALLEST, round(scale * side)) for side in (pixels.height, pixels.width)]
    # cv2.resize(fx=scale) samples at (x + 0.5) / scale - 0.5, though the size it rounds to has another ratio
    resized = torch.ops.aten.upsample_bilinear2d(bgr_chw[None], size, False, scale, scale)[0]
    return Input(resized.numpy(), pixels.size, (scale, scale))


def pillow_input(pixels: "Image", min_side: int, max_side: int) -> Input:
    """As detectron2 makes it: Pillow's bilinear resizing of bytes, then means off."""
    from PIL.Image import Resampling

    scale = min_side / min(pixels.size)
    scale *= min(1.0, max_side / (scale * max(pixels.size)))
    width, height = (max(SMALLEST, int(scale * side + 0.5)) for side in pixels.size)
    resized = pixels.resize((width, height), Resampling.BILINEAR)
    bgr_hwc = np.asarray(resized, dtype=np.float32)[..., ::-1] - np.array(MEANS, np.float32)
    image_chw = np.ascontiguousarray(bgr_hwc.transpose(2, 0, 1))
    return Input(image_chw, pixels.size, (width / pixels.width, height / pixels.height))


INPUTS = {"caffe": caffe_input, "pil": pillow_input}
"""By the name of the `resize` setting."""
