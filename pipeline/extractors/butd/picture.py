"""Turns a picture into the detector's input: the shorter side 600 pixels, the longer at most 1000, BGR minus means."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from m3h.pipeline.extractors.butd.network import MIN_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

MEANS = (102.9801, 115.9465, 122.7717)
"""Caffe's means of blue, green and red over ImageNet, 0 to 255."""


class Input(NamedTuple):
    """The detector's input.

    image_chw: (3, H, W) float32. size: width and height of the picture. scale_xy: pixels of the input per pixel of the
    picture, horizontally and vertically.
    """

    image_chw: np.ndarray
    size: tuple[int, int]
    scale_xy: tuple[float, float]


def input_scale(size: tuple[int, int], min_side: int, max_side: int) -> float:
    """Pixels of the input per pixel of the picture, computed as in py-faster-rcnn.

    Args:
        size: width and height of the picture.
        min_side: pixels of the input's shorter side.
        max_side: most pixels of the input's longer side.
    """
    scale = min_side / min(size)
    return max_side / max(size) if round(scale * max(size)) > max_side else scale


def caffe_input(pixels: "Image", min_side: int, max_side: int) -> Input:
    """The input as Caffe's tools make it: subtract the means, then resize floats bilinearly as cv2 does.

    Args:
        pixels: the upright RGB picture.
        min_side: pixels of the input's shorter side.
        max_side: most pixels of the input's longer side.
    """
    import torch

    scale = input_scale(pixels.size, min_side, max_side)
    bgr_hwc = np.asarray(pixels, dtype=np.float32)[..., ::-1] - np.array(MEANS, np.float32)
    bgr_chw = torch.from_numpy(np.ascontiguousarray(bgr_hwc.transpose(2, 0, 1)))
    size = [max(MIN_SIDE, round(scale * side)) for side in (pixels.height, pixels.width)]
    # cv2.resize(fx=scale) samples at (x + 0.5) / scale - 0.5, although the rounded size has another ratio
    resized = torch.ops.aten.upsample_bilinear2d(bgr_chw[None], size, False, scale, scale)[0]
    return Input(resized.numpy(), pixels.size, (scale, scale))


def pillow_input(pixels: "Image", min_side: int, max_side: int) -> Input:
    """The input as detectron2 makes it: resize bytes bilinearly with Pillow, then subtract the means.

    Args:
        pixels: the upright RGB picture.
        min_side: pixels of the input's shorter side.
        max_side: most pixels of the input's longer side.
    """
    from PIL.Image import Resampling

    scale = min_side / min(pixels.size)
    scale *= min(1.0, max_side / (scale * max(pixels.size)))
    width, height = (max(MIN_SIDE, int(scale * side + 0.5)) for side in pixels.size)
    resized = pixels.resize((width, height), Resampling.BILINEAR)
    bgr_hwc = np.asarray(resized, dtype=np.float32)[..., ::-1] - np.array(MEANS, np.float32)
    image_chw = np.ascontiguousarray(bgr_hwc.transpose(2, 0, 1))
    return Input(image_chw, pixels.size, (width / pixels.width, height / pixels.height))


INPUTS = {"caffe": caffe_input, "pil": pillow_input}
"""The function for each value of the setting `resize`."""
