"""What a picture shows at its keypoints, so that crops and pictures with something pasted over are found.

A hash of the whole picture (`phash`) changes with every crop; keypoints that are still in the picture
look as before. Places: `m3h.pipeline.cleaning.scale_space`. What is there: the signs of the lowest frequencies of the
patch around, as pHash has it for the whole.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from m3h.pipeline.cleaning.candidates import Keys
from m3h.pipeline.cleaning.scale_space import FIRST_SCALE, Extrema, extrema, octaves

if TYPE_CHECKING:
    from PIL import Image

FEATURE = np.dtype([("x", "<f2"), ("y", "<f2"), ("scale", "<f2"), ("bits", "<u8")])
"""One place: in pixels of the picture with its longer side at SIDE; its 63 signs."""

FEATURES_VERSION = 2
"""Bump when `local_features` finds others: it begins what is stored, and features of two versions are not compared."""

SIDE = 256
MOST = 48
"""Places of a picture: the most striking ones."""

_LOOKED_AT = 160  # the longer side, in pixels, of the picture in which places are looked for
_PATCH_SCALES = 5.0  # half a patch's side, in scales
_SAMPLES = 16  # of a patch's side
_FREQUENCIES = 8


def local_features(pixels: "Image.Image") -> str:
    """Up to MOST keypoints of a picture: the version, a colon, an array of FEATURE in base64; "" for a flat one."""
    floors = octaves(_grey(pixels))
    places = extrema(floors, MOST)
    found = np.zeros(len(places.scale), dtype=FEATURE)
    larger = SIDE / _LOOKED_AT
    for name, where in (("x", places.x), ("y", places.y)):
        found[name] = (where + 0.5) * larger - 0.5  # the middle of a pixel stays where it is in the picture
    found["scale"] = places.scale * larger
    found["bits"] = _signs(_patches(floors[0], places))
    return f"{FEATURES_VERSION}:{base64.b64encode(found.tobytes()).decode('ascii')}" if len(found) else ""


def read_features(text: str) -> NDArray[np.void]:
    """What `local_features` wrote, of any version; the first had no mark."""
    return np.frombuffer(base64.b64decode(text.rpartition(":")[2]), dtype=FEATURE)


def is_current(text: str) -> bool:
    """Whether this version of `local_features` wrote it. "" is of every version."""
    return not text or _version(text) == str(FEATURES_VERSION)


def _version(text: str) -> str:
    """Of what wrote it; "" of the first one, and of a flat picture."""
    return text.rpartition(":")[0]


def _grey(pixels: "Image.Image") -> NDArray[np.float32]:
    from PIL import Image

    factor = _LOOKED_AT / max(pixels.size)
    width, height = (max(8, round(side * factor)) for side in pixels.size)
    small = pixels.convert("L").resize((width, height), Image.Resampling.HAMMING)
    return np.asarray(small, dtype=np.float32) / np.float32(255)


def _patches(levels_khw: NDArray[np.float32], places: Extrema) -> NDArray[np.float32]:
    """(n, samples, samples): the surroundings of each place, read from a level blurred as its sampling needs."""
    offsets = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES * 2 - 1) * _PATCH_SCALES
    rows = places.y[:, None] + places.scale[:, None] * offsets
    columns = places.x[:, None] + places.scale[:, None] * offsets
    # a level of a third of the place's scale: three half octaves below it
    level = np.clip(np.rint(2 * np.log2(places.scale / FIRST_SCALE)) - 3, 0, len(levels_khw) - 1).astype(np.intp)
    return _between(levels_khw, level, rows, columns)


def _between(
    levels_khw: NDArray[np.float32], level: NDArray[np.intp], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(n, r, c): bilinear between pixels, at each of n levels' (n, r) rows and (n, c) columns; an edge goes on."""
    _, height, width = levels_khw.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    row, column = np.minimum(rows.astype(np.intp), height - 2), np.minimum(columns.astype(np.intp), width - 2)
    down = (rows - row).astype(np.float32)[:, :, None]
    right = (columns - column).astype(np.float32)[:, None, :]
    pixels = levels_khw.ravel()
    at = ((level[:, None] * height + row) * width)[:, :, None] + column[:, None, :]
    above = pixels[at] * (1 - right) + pixels[at + 1] * right
    at += width
    below = pixels[at] * (1 - right) + pixels[at + 1] * right
    return above * (1 - down) + below * down


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
_MOST_UNMOVED = 2.0  # pixels: what moved less was neither cropped nor framed
_MOST_PIXELS_OFF_IN_PLACE = 3.0
_ROUGHLY_DIFFERENT_SIGNS = 18  # of 63, of which 31 differ by chance
_LEAST_ALIKE = 0.4


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
        """By which keypoints look alike, and by where they are; never where they are of two versions."""
        return [
            _version(first) == _version(second) and agreeing(read_features(first), read_features(second), self.least)
            for first, second in pairs
        ]


def _band(bits: NDArray[np.uint64], which: NDArray[np.uint64]) -> NDArray[np.uint64]:
    chosen = (bits[:, None] >> which[None, :]) & np.uint64(1)
    return (chosen << np.arange(len(which), dtype=np.uint64)).sum(axis=1, dtype=np.uint64)


def agreeing(first: NDArray[np.void], second: NDArray[np.void], least: int) -> bool:
    """Whether keypoints of a picture are in another where one shift and one scale puts them, and span a good part.

    What agrees within a small part alone is a logo or a word that both show. What agrees all over, but in less than
    _LEAST_ALIKE of the keypoints of two pictures that lie over each other unmoved, is a frame around something else, as
    screenshots of one app have it.

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
    fitting = [row for row in agree if min(len(set(i[row])), len(set(j[row]))) >= least]
    if not any(min(_span(a, row), _span(b, row)) >= _LEAST_SPAN for row in fitting):
        return False
    most = max(fitting, key=lambda row: int(row.sum()))
    moved = max(float(np.median(np.abs(b[axis][most] - a[axis][most]))) for axis in ("x", "y"))
    return moved > _MOST_UNMOVED or _alike_in_place(first, second) >= _LEAST_ALIKE


def _alike_in_place(first: NDArray[np.void], second: NDArray[np.void]) -> float:
    """Share of one picture's keypoints, whose is larger, that the other has, roughly alike, at the same place."""
    a, b = ({name: one[name].astype(float) for name in ("x", "y", "scale")} for one in (first, second))
    alike = np.bitwise_count(first["bits"][:, None] ^ second["bits"][None, :]) <= _ROUGHLY_DIFFERENT_SIGNS
    alike &= np.abs(np.log2(a["scale"][:, None] / b["scale"][None, :])) < _MOST_SCALE_OFF
    for axis in ("x", "y"):
        alike &= np.abs(a[axis][:, None] - b[axis][None, :]) < _MOST_PIXELS_OFF_IN_PLACE
    return max(float(alike.any(axis=1).mean()), float(alike.any(axis=0).mean()))


def _span(keypoints: dict[str, NDArray[np.float64]], chosen: NDArray[np.bool_]) -> float:
    """Side of the square that is as large as the rectangle around the chosen keypoints, in pixels."""
    return float(np.sqrt(np.prod([np.ptp(keypoints[axis][chosen]) for axis in ("x", "y")])))
