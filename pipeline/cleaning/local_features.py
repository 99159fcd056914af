"""What a picture shows at its keypoints, so that crops and pictures with something pasted over are found.

A hash of the whole picture (images.parquet's `phash`) changes with every crop; keypoints that are still in the picture
look as before. Places: extrema of differences of Gaussians over place and scale (Lowe 2004). What is there: the signs
of the lowest frequencies of the patch around, as pHash has it for the whole.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from m3h.pipeline.cleaning.candidates import Keys

if TYPE_CHECKING:
    from PIL import Image

FEATURE = np.dtype([("x", "<f2"), ("y", "<f2"), ("scale", "<f2"), ("bits", "<u8")])
"""One place: in pixels of the picture with its longer side at SIDE; its 63 signs."""

SIDE = 256
MOST = 48
"""Places of a picture: the most striking ones."""

_SCALES = 2.0 * 2 ** (np.arange(9) / 2)  # standard deviations in pixels
_FINE, _SMALLER = 5, 4  # after so many of them a picture is so many times smaller: it has no detail left to lose
_MARGIN = 8 * _SMALLER  # pixels around the smaller picture, so that it goes on beyond its edges as the whole does
_LEAST_CONTRAST = 0.01  # of 0 to 1: a flat picture has no keypoints at all
_PATCH_SCALES = 5.0  # half a patch's side, in scales
_SAMPLES = 16  # of a patch's side
_FREQUENCIES = 8


def local_features(pixels: "Image.Image") -> str:
    """Up to MOST keypoints of a picture as an array of FEATURE, in base64; "" for a flat one."""
    grey_hw = _grey(pixels)
    blurred_khw = _blurred(grey_hw)
    contrast_khw = np.abs(np.diff(blurred_khw, axis=0))
    k, y, x = _peaks(contrast_khw)
    scale = _SCALES[0] * 2 ** ((k + _between(contrast_khw, k, y, x=x, axis=0)) / 2)
    found = np.zeros(len(k), dtype=FEATURE)
    found["y"] = y + _between(contrast_khw, k, y, x=x, axis=1)
    found["x"] = x + _between(contrast_khw, k, y, x=x, axis=2)
    found["scale"] = scale
    found["bits"] = _signs(_patches(blurred_khw, k, found["y"].astype(float), x=found["x"].astype(float), scale=scale))
    return base64.b64encode(found.tobytes()).decode("ascii")


def read_features(text: str) -> NDArray[np.void]:
    """What `local_features` wrote."""
    return np.frombuffer(base64.b64decode(text), dtype=FEATURE)


def _grey(pixels: "Image.Image") -> NDArray[np.float32]:
    from PIL import Image

    factor = SIDE / max(pixels.size)
    width, height = (max(8, round(side * factor)) for side in pixels.size)
    method = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    return np.asarray(pixels.convert("L").resize((width, height), method), dtype=np.float32) / np.float32(255)


def _blurred(grey_hw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each scale from the one before: variances add up. What is very smooth is blurred as a smaller picture."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    height, width = grey_hw.shape
    levels: list[NDArray[np.float32]] = []
    blurred_hw, before = grey_hw, 0.0
    for scale in _SCALES[:_FINE]:
        blurred_hw = gaussian_filter(blurred_hw, np.sqrt(scale**2 - before**2), mode="nearest")
        levels.append(blurred_hw)
        before = scale
    sides = [(_MARGIN, _MARGIN + -side % _SMALLER) for side in grey_hw.shape]
    padded_hw = np.pad(blurred_hw, sides, mode="edge")
    tall, wide = padded_hw.shape
    blurred_hw = padded_hw.reshape(tall // _SMALLER, _SMALLER, wide // _SMALLER, _SMALLER).mean(axis=(1, 3))
    before = np.sqrt((before / _SMALLER) ** 2 + (1 - 1 / _SMALLER**2) / 12)  # the mean over a square blurs a little
    for scale in _SCALES[_FINE:] / _SMALLER:
        blurred_hw = gaussian_filter(blurred_hw, np.sqrt(scale**2 - before**2), mode="nearest")
        large_hw = np.asarray(Image.fromarray(blurred_hw).resize((wide, tall), Image.Resampling.BICUBIC))
        levels.append(large_hw[_MARGIN:, _MARGIN:][:height, :width])
        before = scale
    return np.stack(levels)


def _peaks(contrast_khw: NDArray[np.float32]) -> tuple[NDArray[np.int64], ...]:
    """The strongest extrema over place and scale, strongest first; none at an edge."""
    around = contrast_khw
    for axis in range(3):
        first, middle, last = (around[_slice(axis, start, start - 2 or None)] for start in range(3))
        around = np.maximum(np.maximum(first, middle), last)
    inner = contrast_khw[1:-1, 1:-1, 1:-1]
    k, y, x = (places + 1 for places in np.nonzero((inner == around) & (inner > _LEAST_CONTRAST)))
    strongest = np.argsort(-contrast_khw[k, y, x], kind="stable")[:MOST]
    return k[strongest], y[strongest], x[strongest]


def _slice(axis: int, start: int, stop: int | None) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, slice(start, stop))


def _between(
    contrast_khw: NDArray[np.float32], k: NDArray[np.int64], y: NDArray[np.int64], *, x: NDArray[np.int64], axis: int
) -> NDArray[np.float64]:
    """How far along an axis the vertex of the parabola through a peak and its neighbours lies, -0.5 to 0.5."""
    step = np.eye(3, dtype=int)[axis]
    before = contrast_khw[k - step[0], y - step[1], x - step[2]].astype(float)
    after = contrast_khw[k + step[0], y + step[1], x + step[2]].astype(float)
    bend = before - 2 * contrast_khw[k, y, x] + after
    return np.clip(0.5 * (before - after) / np.where(bend < 0, bend, -1.0), -0.5, 0.5)


def _patches(
    blurred_khw: NDArray[np.float32],
    k: NDArray[np.int64],
    y: NDArray[np.float64],
    *,
    x: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> NDArray[np.float32]:
    """(n, samples, samples): the surroundings of each place, read from a level blurred as its sampling needs."""
    from scipy.ndimage import map_coordinates

    offsets = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES * 2 - 1) * _PATCH_SCALES
    rows = y[:, None, None] + scale[:, None, None] * offsets[None, :, None] + np.zeros((1, 1, _SAMPLES))
    columns = x[:, None, None] + scale[:, None, None] * offsets[None, None, :] + np.zeros((1, _SAMPLES, 1))
    patches = np.empty(rows.shape, dtype=np.float32)
    for level in np.unique(k):
        on_level = k == level
        source_hw = blurred_khw[max(0, level - 3)]
        patches[on_level] = map_coordinates(source_hw, [rows[on_level], columns[on_level]], order=1, mode="nearest")
    return patches


def _signs(patches: NDArray[np.float32]) -> NDArray[np.uint64]:
    """The signs of the 8 x 8 lowest frequencies but the mean, 63 bits."""
    from scipy.fft import dctn

    waves = dctn(patches, axes=(1, 2))[:, :_FREQUENCIES, :_FREQUENCIES].reshape(len(patches), _FREQUENCIES**2)
    bits = waves > 0
    bits[:, 0] = False
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


_BANDS = 2
_BAND_BITS = 26
_BAND_SIGNS = np.random.default_rng(0).permuted(np.tile(np.arange(63, dtype=np.uint64), (_BANDS, 1)), axis=1)[
    :, :_BAND_BITS
]
"""Which signs make a key: drawn over all frequencies, for neighbours are alike."""

_MOST_DIFFERENT_SIGNS = 10
_MOST_PIXELS_OFF = 8.0
_MOST_SCALE_OFF = 0.4  # octaves
_LEAST_SPAN = 56.0  # pixels, of SIDE


@dataclass(frozen=True)
class PictureLikeness:
    """Pictures are near when `least` of their keypoints look alike, and agree in place but for one shift and scale."""

    least: int

    def keys(self, items: Sequence[str]) -> tuple[Keys, NDArray[np.int64]]:
        """A key a band and place."""
        features = [read_features(item) for item in items]
        picture_of_key = np.repeat(np.arange(len(items)), [len(keypoints) for keypoints in features])
        bits = np.concatenate([keypoints["bits"] for keypoints in features]) if features else np.zeros(0, np.uint64)
        keys = [_band(bits, band) + np.uint64(number << _BAND_BITS) for number, band in enumerate(_BAND_SIGNS)]
        return np.concatenate(keys).astype(np.uint32), np.tile(picture_of_key, _BANDS)

    def near(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """By which keypoints look alike, and by where they are."""
        return [agreeing(read_features(first), read_features(second), self.least) for first, second in pairs]


def _band(bits: NDArray[np.uint64], which: NDArray[np.uint64]) -> NDArray[np.uint64]:
    chosen = (bits[:, None] >> which[None, :]) & np.uint64(1)
    return (chosen << np.arange(len(which), dtype=np.uint64)).sum(axis=1, dtype=np.uint64)


def agreeing(first: NDArray[np.void], second: NDArray[np.void], least: int) -> bool:
    """Whether keypoints of a picture are in another where one shift and one scale puts them, and span a good part.

    What agrees within a small part alone is a logo or a word that both show.

    Args:
        first: features of one picture, as `read_features` gives them.
        second: features of the other.
        least: how many must agree.
    """
    i, j = np.nonzero(np.bitwise_count(first["bits"][:, None] ^ second["bits"][None, :]) <= _MOST_DIFFERENT_SIGNS)
    if len(i) < least:
        return False
    a = {name: first[name][i].astype(float) for name in ("x", "y", "scale")}
    b = {name: second[name][j].astype(float) for name in ("x", "y", "scale")}
    ratio = b["scale"] / a["scale"]
    agree = np.abs(np.log2(ratio[:, None] / ratio[None, :])) < _MOST_SCALE_OFF
    for axis in ("x", "y"):  # row: the match that sets shift and scale; column: the match that it is tried on
        moved = ratio[:, None] * (a[axis][None, :] - a[axis][:, None]) + b[axis][:, None]
        agree &= np.abs(moved - b[axis][None, :]) < _MOST_PIXELS_OFF
    return any(
        min(len(set(i[row])), len(set(j[row]))) >= least and min(_span(a, row), _span(b, row)) >= _LEAST_SPAN
        for row in agree
        if row.sum() >= least
    )


def _span(keypoints: dict[str, NDArray[np.float64]], chosen: NDArray[np.bool_]) -> float:
    """Side of the square that is as large as the rectangle around the chosen keypoints, in pixels."""
    return float(np.sqrt(np.prod([np.ptp(keypoints[axis][chosen]) for axis in ("x", "y")])))
