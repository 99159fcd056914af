"""Boxes and features as the VQA systems after bottom-up attention read them: `train36.hdf5` and `train.hdf5`.

image_features: D values a box, float32. image_bb: x1, y1, x2, y2 in pixels. spatial_features: x1/W, y1/H, x2/W, y2/H,
w/W, h/H. The fixed file has K boxes a picture, (N, K, ...), the rest zeros, and `num_boxes` (N,) tells how many are
real; the adaptive one has the real boxes alone, (T, ...), and `pos_boxes` (N, 2) gives each picture's [start, end).

Beside each lies NAME_imgid2idx.json, name of the row -> its index. The systems themselves keep that as a pickle, which
we do not write: `pickle.dump(json.load(open(a)), open(b, "wb"))` makes it.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.export.walk import Tally, Walk, refuse_existing
from schemas.features import Row
from schemas.files import publish, publish_json

_ROWS = 256
"""Rows of a chunk: what is compressed and read at once."""


def spatial_features(boxes_k4: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(k, 6) float32 of boxes in pixels. size: width and height of the picture."""
    width, height = (float(side) for side in size)
    x1, y1, x2, y2 = boxes_k4.astype(np.float32).T
    columns = (x1 / width, y1 / height, x2 / width, y2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return np.stack(columns, axis=1).astype(np.float32)


def write_fixed_hdf5(walk: Walk, split: str, out: Path, tally: Tally) -> None:
    """SPLITK.hdf5, such as train36.hdf5."""
    most, _ = _shape(walk)
    _write(walk, split, out / f"{split}{most}.hdf5", tally, fixed=True)


def write_adaptive_hdf5(walk: Walk, split: str, out: Path, tally: Tally) -> None:
    """SPLIT.hdf5."""
    _write(walk, split, out / f"{split}.hdf5", tally, fixed=False)


def _shape(walk: Walk) -> tuple[int, int]:
    """K and D, as the feature's description states them."""
    (feature,) = walk.features
    described = walk.data.described(feature)["spec"]["arrays"]
    return tuple(next(array["shape"] for array in described if array["name"] == "features"))


def _write(walk: Walk, split: str, path: Path, tally: Tally, fixed: bool) -> None:
    names: dict[str, int] = {}

    def write(temp: Path) -> None:
        with h5py.File(temp, "w", libver="latest") as file:
            growing = _Growing(file, _shape(walk), fixed)
            for sample, row in walk.objects(split, tally):
                names[sample.name] = len(names)
                growing.add(row)

    refuse_existing(index := path.with_name(f"{path.stem}_imgid2idx.json"))
    publish(refuse_existing(path), write)
    publish_json(index, names)
    tally.note(path, len(names))


class _Growing:
    """The arrays of one file, a picture added at a time."""

    def __init__(self, file: h5py.File, shape: tuple[int, int], fixed: bool) -> None:
        most, width = shape
        self._fixed = fixed
        self._most = most

        def array(name: str, *tail: int, dtype: str = "<f4") -> Any:
            chunks = (max(1, _ROWS // (tail[0] if len(tail) > 1 else 1)), *tail)
            return file.create_dataset(
                name, shape=(0, *tail), maxshape=(None, *tail), chunks=chunks, dtype=dtype, track_times=False
            )

        inner = (most,) if fixed else ()
        self._features = array("image_features", *inner, width)
        self._boxes = array("image_bb", *inner, 4)
        self._spatial = array("spatial_features", *inner, 6)
        self._counts = array("num_boxes", dtype="<i4") if fixed else array("pos_boxes", 2, dtype="<i4")

    def add(self, row: Row) -> None:
        """One picture's boxes at the end."""
        number = int(row["number"])
        start = len(self._features)
        boxes = np.asarray(row["boxes"][:number])
        for target, values in (
            (self._features, row["features"][:number]),
            (self._boxes, boxes),
            (self._spatial, spatial_features(boxes, row["image_size"])),
        ):
            self._append(target, np.asarray(values, dtype=np.float32))
        counts = self._counts
        counts.resize(len(counts) + 1, axis=0)
        counts[-1] = number if self._fixed else (start, start + number)

    def _append(self, target: Any, values: np.ndarray) -> None:
        if self._fixed:
            whole = np.zeros((1, self._most, values.shape[1]), np.float32)
            whole[0, : len(values)] = values
            values = whole
        if len(values):
            target.resize(len(target) + len(values), axis=0)
            target[-len(values) :] = values
