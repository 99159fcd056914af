"""Blurs are Gaussians; blobs are found where they are and as large as they are, shifted and scaled as they are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from m3h.pipeline.cleaning.scale_space import _BOXES, FIRST_SCALE, OCTAVES, _padded, _peaks, _vertices, extrema, octaves


def blobs(*places: tuple[float, float, float], size: tuple[int, int] = (120, 160)) -> NDArray[np.float32]:
    """Gaussians of (row, column, standard deviation) on grey."""
    rows, columns = np.indices(size)
    heights = [np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * s * s)) for y, x, s in places]
    return (0.3 + 0.6 * np.sum(heights, axis=0)).astype(np.float32)


def test_variances_of_the_boxes_double_from_level_to_level_and_shift_nothing() -> None:
    variances = [sum((box * box - 1) / 12 for box in boxes) for boxes in _BOXES]
    assert np.cumsum(variances).tolist() == [1.5, 3, 6, 12, 24]
    assert pytest.approx(1.5) == FIRST_SCALE**2
    assert all(len(boxes) % 2 == 0 for boxes in _BOXES)


def test_an_impulse_becomes_a_gaussian() -> None:
    impulse = np.zeros((120, 160), dtype=np.float32)
    impulse[60, 80] = 1
    for floor, levels in enumerate(octaves(impulse)):
        rows, columns = (np.indices(levels.shape[1:]) * 2**floor) - np.array([60, 80])[:, None, None]
        for level, blurred in enumerate(levels):
            variance = (FIRST_SCALE * 2 ** (floor + level / 2)) ** 2
            exact = np.exp(-(rows**2 + columns**2) / (2 * variance)) / (2 * np.pi * variance)
            assert np.abs(blurred - exact).max() < 0.1 * exact.max()
            assert blurred.max() == blurred[60 >> floor, 80 >> floor]


def test_levels_of_a_picture_are_those_of_a_gaussian_filter() -> None:
    noise = np.random.default_rng(0).random((120, 160))
    picture = gaussian_filter(noise, 1.0, mode="nearest").astype(np.float32)
    for floor, levels in enumerate(octaves(picture)[:2]):
        for level, blurred in enumerate(levels):
            whole = gaussian_filter(picture, FIRST_SCALE * 2 ** (floor + level / 2), mode="nearest")
            apart = np.abs(blurred - whole[:: 2**floor, :: 2**floor])
            assert apart[20:-20, 20:-20].max() < 0.05 * np.ptp(whole)  # what goes on beyond an edge is blurred, too


def test_a_flat_picture_stays_as_it_is_and_has_no_extrema() -> None:
    floors = octaves(np.full((50, 70), 0.25, dtype=np.float32))
    assert [levels.shape for levels in floors] == [(5, 50, 70), (5, 25, 35), (5, 13, 18)]
    assert all((levels == 0.25).all() for levels in floors)
    assert len(extrema(floors, 10).scale) == 0


@pytest.mark.parametrize("by", [3, 9, 16])
def test_a_padded_picture_is_that_of_numpy(by: int) -> None:
    picture = np.random.default_rng(by).random((8, 11), dtype=np.float32)
    assert np.array_equal(_padded(picture, by), np.pad(picture, by, mode="edge"))


@pytest.mark.parametrize("size", [3.0, 4.5, 6.0, 9.0])
def test_a_blob_is_found_where_it_is_and_by_its_size(size: float) -> None:
    found = extrema(octaves(blobs((58.3, 81.6, size))), 1)
    assert (found.y[0], found.x[0]) == pytest.approx((58.3, 81.6), abs=0.2)
    # between levels s and s * sqrt(2) the difference at a blob of r is largest where s * s = r * r / sqrt(2)
    assert found.scale[0] == pytest.approx(size / 2**0.25, rel=0.1)


def test_extrema_of_a_shifted_picture_are_shifted_with_their_scales() -> None:
    places = [(40, 50, 4.0), (70, 110, 5.5), (84, 40, 3.2)]
    still, moved = (extrema(octaves(blobs(*((y + d, x + d, s) for y, x, s in places))), 3) for d in (0, 4))
    assert np.allclose(moved.y - still.y, 4, atol=0.02)  # 4 pixels are one of the third octave
    assert np.allclose(moved.x - still.x, 4, atol=0.02)
    assert np.allclose(moved.scale / still.scale, 1, atol=0.01)


def test_extrema_of_a_picture_twice_as_large_are_twice_as_far_and_as_large() -> None:
    small = blobs((30, 40, 3.2), (52, 24, 4.1), (22, 62, 2.6), size=(80, 90))
    large = blobs((60, 80, 6.4), (104, 48, 8.2), (44, 124, 5.2), size=(160, 180))
    once, twice = extrema(octaves(small), 3), extrema(octaves(large), 3)
    assert np.allclose(np.sort(twice.y), 2 * np.sort(once.y), atol=0.3)
    assert np.allclose(np.sort(twice.x), 2 * np.sort(once.x), atol=0.3)
    assert np.allclose(np.sort(twice.scale), 2 * np.sort(once.scale), rtol=0.05)


def test_peaks_are_those_of_a_filter_of_three_by_three_by_three() -> None:
    contrast_khw = np.random.default_rng(5).random((4, 30, 40), dtype=np.float32).round(1)  # many are equal
    contrast_khw[:, ::3, ::3] *= 2
    peak = (contrast_khw == maximum_filter(contrast_khw, size=3, mode="constant")) & (contrast_khw > 0.007)
    peak[[0, -1]] = peak[:, [0, -1]] = peak[:, :, [0, -1]] = False
    assert np.array_equal(_peaks(contrast_khw), np.argwhere(peak))


def test_the_vertex_of_a_paraboloid_whose_axes_depend_on_each_other_by_hand() -> None:
    level, row, column = np.indices((3, 3, 3)) - 1 - np.array([0.25, -0.4, 0.1])[:, None, None, None]
    cube = 5 - level**2 - 2 * row**2 - column**2 - level * row + 0.5 * row * column
    assert _vertices(np.stack([cube, np.ones((3, 3, 3))])) == pytest.approx(np.array([[0.25, -0.4, 0.1], [0, 0, 0]]))


def test_places_come_from_every_octave_and_strongest_first() -> None:
    floors = octaves(blobs((30, 30, 2.5), (60, 110, 5.0), (88, 50, 10.0)))
    found = extrema(floors, 3)
    assert len(floors) == OCTAVES
    assert sorted(np.rint(np.log2(found.scale / FIRST_SCALE)).tolist()) == [1, 2, 3]
    assert len(extrema(floors, 2).scale) == 2
