"""Where a picture has something to look at, and how large it is: extrema of differences of Gaussians (Lowe 2004).

A pyramid: what is blurred twice as much has no detail left that half as many pixels a side do not show. So each octave
is half as large as the one before, and its five blurs are the same. A Gaussian is a dozen sums of 2 or 4 pixels,
which come close to it (central limit theorem). They are additions of whole arrays, the same on every machine to the
last bit. Axes: k levels, h rows, w columns, n places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIRST_SCALE = 1.5**0.5
"""Standard deviation of an octave's first level, in its pixels: just enough that no detail is finer than they are."""

OCTAVES = 3

_BOXES = ((2,) * 6, (2,) * 6, (4, 4, 2, 2), (4, 4, 4, 4, 2, 2, 2, 2), (4,) * 8 + (2,) * 8)
"""Widths of the sums that make each level from the one before. Variances add up, and a box of b pixels has
(b * b - 1) / 12: the levels have 1.5, 3, 6, 12 and 24, a half octave each. An even number of even boxes shifts nothing.
Fewer, wider boxes are faster and less like a Gaussian: then fewer places of a cropped picture are found again."""

_A_SHRINK = 2  # the level of twice the first scale, of which every other pixel begins the next octave
_LEAST_CONTRAST = 0.007  # of 0 to 1: a flat picture has no extrema at all


@dataclass(frozen=True)
class Extrema:
    """Places, (n,) each: y and x in pixels of the picture, scale as a standard deviation in pixels."""

    y: NDArray[np.float64]
    x: NDArray[np.float64]
    scale: NDArray[np.float64]


def octaves(grey_hw: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """OCTAVES pyramids' floors of a picture of 0 to 1: (5, h, w), (5, h / 2, w / 2), ..."""
    floors: list[NDArray[np.float32]] = []
    first_hw = _blurred(grey_hw, _BOXES[0])
    for _ in range(OCTAVES):
        levels = [first_hw]
        for boxes in _BOXES[1:]:
            levels.append(_blurred(levels[-1], boxes))
        floors.append(np.stack(levels))
        first_hw = levels[_A_SHRINK][::2, ::2]
    return floors


def extrema(floors: Sequence[NDArray[np.float32]], most: int) -> Extrema:
    """The `most` extrema of highest contrast, strongest first; none at an edge.

    Args:
        floors: as `octaves` gives them.
        most: how many at most.
    """
    contrasts = [np.abs(np.diff(levels_khw, axis=0)) for levels_khw in floors]
    places = [_peaks(contrast_khw) for contrast_khw in contrasts]
    cubes = np.concatenate([_around(*both) for both in zip(contrasts, places, strict=True)])
    octave = np.repeat(np.arange(len(floors)), [len(place) for place in places])
    strongest = np.argsort(-cubes[:, 1, 1, 1], kind="stable")[:most]
    octave = octave[strongest]
    found = (np.concatenate(places)[strongest] + _vertices(cubes[strongest])).T
    size = 2.0**octave
    return Extrema(found[1] * size, found[2] * size, FIRST_SCALE * 2 ** (octave + found[0] / 2))


def _blurred(picture_hw: NDArray[np.float32], boxes: Sequence[int]) -> NDArray[np.float32]:
    """The mean over boxes one after the other, along both axes; pixels at the edge go on beyond it."""
    lost = sum(boxes) - len(boxes)
    padded_hw = _padded(picture_hw, lost // 2)
    (height, width), row = picture_hw.shape, padded_hw.shape[1]
    sums = padded_hw.ravel()  # as one line: to add whole lines is fastest, and a row's end is cut off in the end
    for stride in (row, 1):
        for box in boxes:
            step = 1
            while step < box:  # a sum of 2, of two sums of 2, ...
                sums = sums[: -step * stride] + sums[step * stride :]
                step *= 2
    blurred = np.empty(height * row, dtype=np.float32)
    np.multiply(sums, np.float32(1 / np.prod(boxes) ** 2), out=blurred[: len(sums)])
    return blurred.reshape(height, row)[:, :width]


def _padded(picture_hw: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """As np.pad in its mode "edge", in a fifth of its time."""
    height, width = picture_hw.shape
    larger_hw = np.empty((height + 2 * by, width + 2 * by), dtype=np.float32)
    middle_hw = larger_hw[by : by + height]
    middle_hw[:, by : by + width] = picture_hw
    middle_hw[:, :by], middle_hw[:, by + width :] = picture_hw[:, :1], picture_hw[:, -1:]
    larger_hw[:by], larger_hw[by + height :] = middle_hw[0], middle_hw[-1]
    return larger_hw


def _peaks(contrast_khw: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n, 3): level, row and column of the extrema over place and scale."""
    around = contrast_khw
    for axis in range(3):  # levels first: half of them are left
        first, middle, last = (around[_slice(axis, start, start - 2 or None)] for start in range(3))
        around = np.maximum(np.maximum(first, middle), last)
    inner = contrast_khw[1:-1, 1:-1, 1:-1]
    return np.argwhere((inner == around) & (inner > _LEAST_CONTRAST)) + 1


def _slice(axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop))


def _around(contrast_khw: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, 3, 3, 3): the contrasts around each place."""
    _, height, width = contrast_khw.shape
    steps = np.arange(-1, 2)
    cube = (steps[:, None, None] * height + steps[:, None]) * width + steps
    middles = (places[:, 0] * height + places[:, 1]) * width + places[:, 2]
    return contrast_khw.ravel()[middles[:, None, None, None] + cube].astype(np.float64)


def _vertices(cubes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3): how far from the middle of a (n, 3, 3, 3) cube its paraboloid is highest, along each axis, -0.6 to 0.6.

    One parabola an axis would put the extremum elsewhere where place and scale depend on each other, as they do on a
    slope: then fewer places of a cropped picture are found again.
    """
    slope, bend = np.empty((3, len(cubes))), np.empty((3, 3, len(cubes)))
    middle = cubes[:, 1, 1, 1]
    for axis in range(3):
        line = np.moveaxis(cubes, axis + 1, 1)[:, :, 1, 1]
        slope[axis] = (line[:, 2] - line[:, 0]) / 2
        bend[axis, axis] = line[:, 2] - 2 * middle + line[:, 0] - 1e-9  # never 0: a plateau's vertex is its middle
        for other in range(axis):
            sheet = np.moveaxis(cubes, (other + 1, axis + 1), (1, 2))[:, :, :, 1]
            mixed = sheet[:, 2, 2] - sheet[:, 2, 0] - sheet[:, 0, 2] + sheet[:, 0, 0]
            bend[axis, other] = bend[other, axis] = mixed / 4
    # Cramer's rule, and no solver of a library, whose last bits depend on the machine
    one, two = [1, 2, 0], [2, 0, 1]
    cofactors = bend[one][:, one] * bend[two][:, two] - bend[one][:, two] * bend[two][:, one]
    determinant = (bend[0] * cofactors[0]).sum(axis=0)
    safe = np.where(determinant == 0, 1.0, determinant)
    return np.clip(-(cofactors * slope[:, None]).sum(axis=0) / safe, -0.6, 0.6).T
