"""How a picture becomes the detector's input, by hand."""

import numpy as np
import pytest
from PIL import Image

from m3h.pipeline.extractors.butd.picture import MEANS, caffe_input, input_scale, pillow_input


@pytest.mark.parametrize(
    ("size", "scale"),
    [((800, 600), 1.0), ((300, 400), 2.0), ((2000, 600), 0.5), ((1000, 600), 1.0), ((1001, 600), 1000 / 1001)],
)
def test_the_short_side_becomes_600_unless_the_long_one_passes_1000(size, scale):
    assert input_scale(size, 600, 1000) == pytest.approx(scale)


def ramp(width: int, height: int) -> Image.Image:
    """Red counts columns, green rows, blue is 7."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack((x, y, np.full_like(x, 7)), axis=2).astype(np.uint8))


@pytest.mark.parametrize("make", [caffe_input, pillow_input])
def test_channels_are_blue_green_red_without_their_means(make):
    given = make(ramp(40, 30), 30, 40)
    assert given.image_chw.shape == (3, 30, 40)
    assert given.image_chw.dtype == np.float32
    np.testing.assert_allclose(given.image_chw[:, 3, 5] + np.array(MEANS, np.float32), [7, 3, 5], atol=1e-4)
    assert (given.size, given.scale_xy) == ((40, 30), (1.0, 1.0))


def test_caffe_samples_between_pixels_without_smoothing():
    given = caffe_input(ramp(50, 40), 20, 1000)  # halved
    red = given.image_chw[2] + np.float32(MEANS[2])
    np.testing.assert_allclose(red[0], 2 * np.arange(25) + 0.5, atol=1e-4)  # (x + 0.5) * 2 - 0.5
    third = caffe_input(ramp(60, 30), 10, 1000).image_chw[2] + np.float32(MEANS[2])
    np.testing.assert_allclose(third[0], 3 * np.arange(20) + 1, atol=1e-4)


def test_caffe_samples_by_the_scale_and_not_by_the_rounded_size():
    given = caffe_input(ramp(101, 10), 5, 1000)  # 50.5 columns: 50, to even
    assert given.image_chw.shape == (3, 5, 50)
    red = given.image_chw[2, 0] + np.float32(MEANS[2])
    np.testing.assert_allclose(red, 2 * np.arange(50) + 0.5, atol=1e-4)
    assert given.scale_xy == (0.5, 0.5)


def test_pillow_resizes_bytes_to_a_rounded_size():
    given = pillow_input(ramp(101, 10), 5, 1000)
    assert given.image_chw.shape == (3, 5, 51)
    assert given.scale_xy == (51 / 101, 0.5)
    red = given.image_chw[2] + np.float32(MEANS[2])
    np.testing.assert_allclose(red, red.round(), atol=1e-4)


@pytest.mark.parametrize("make", [caffe_input, pillow_input])
@pytest.mark.parametrize("size", [(1, 900), (900, 1), (1, 1)])
def test_the_narrowest_picture_gives_a_valid_input(make, size):
    assert min(make(Image.new("RGB", size), 60, 100).image_chw.shape[1:]) >= 3
