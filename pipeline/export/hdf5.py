"""Writes boxes and features for VQA systems that use bottom-up attention: `train36.hdf5` and `train.hdf5`.

image_features: D values per box, float32. image_bb: x1, y1, x2, y2 in pixels. spatial_features: x1/W, y1/H, x2/W, y2/H,
w/W, h/H. The fixed file has K boxes per picture, (N, K, ...), padded with zeros; `num_boxes` (N,) is the number of real
boxes. The adaptive file has only the real boxes, (T, ...); `pos_boxes` (N, 2) has each picture's [start, end).

Beside each file is NAME_imgid2idx.json, which maps the name of a row to its index. The systems store this as a pickle,
which we do not write: `pickle.dump(json.load(open(a)), open(b, "wb"))` converts it.
"""

from pathlib import Path

import h5py
import numpy as np

from m3h.pipeline.export.samples import ExportResult, Samples, refuse_existing
from m3h.schemas.features import Row
from m3h.schemas.files import publish, publish_json
from m3h.schemas.shards import new_hdf5

_CHUNK_ROWS = 256
"""Rows in an HDF5 chunk, the unit of reading."""


def spatial_features(boxes_k4: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The spatial features of boxes in pixels, (k, 6) float32. size: width and height of the picture."""
    width, height = (float(side) for side in size)
    x1, y1, x2, y2 = boxes_k4.astype(np.float32).T
    columns = (x1 / width, y1 / height, x2 / width, y2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return np.stack(columns, axis=1).astype(np.float32)


def write_fixed_hdf5(samples: Samples, split: str, out: Path) -> ExportResult:
    """Write SPLITK.hdf5, for example train36.hdf5.

    Args:
        samples: the dataset, with one feature that has boxes.
        split: train, valid or test.
        out: the folder for the file.
    """
    max_boxes, _ = _shape(samples)
    return _write(samples, split, out / f"{split}{max_boxes}.hdf5", fixed=True)


def write_adaptive_hdf5(samples: Samples, split: str, out: Path) -> ExportResult:
    """Write SPLIT.hdf5.

    Args:
        samples: the dataset, with one feature that has boxes.
        split: train, valid or test.
        out: the folder for the file.
    """
    return _write(samples, split, out / f"{split}.hdf5", fixed=False)


def _shape(samples: Samples) -> tuple[int, int]:
    """K and D, from the feature's description in the manifest."""
    (feature,) = samples.features
    arrays = samples.data.described(feature)["spec"]["arrays"]
    return tuple(next(array["shape"] for array in arrays if array["name"] == "features"))


def _write(samples: Samples, split: str, path: Path, *, fixed: bool) -> ExportResult:
    names: dict[str, int] = {}
    result = ExportResult()

    def write(temp: Path) -> None:
        with new_hdf5(temp) as file:
            arrays = _GrowingArrays(file, _shape(samples), fixed)
            for sample, row in samples.objects(split, result):
                names[sample.name] = len(names)
                arrays.add(row)

    refuse_existing(index := path.with_name(f"{path.stem}_imgid2idx.json"))
    publish(refuse_existing(path), write)
    publish_json(index, names)
    result.files[str(path)] = len(names)
    return result


class _GrowingArrays:
    """The arrays of one file. They grow by one picture at a time."""

    def __init__(self, file: h5py.File, shape: tuple[int, int], fixed: bool) -> None:
        max_boxes, width = shape
        self._fixed = fixed
        self._max_boxes = max_boxes

        def array(name: str, *row_shape: int, dtype: str = "<f4") -> h5py.Dataset:
            chunks = (max(1, _CHUNK_ROWS // (row_shape[0] if len(row_shape) > 1 else 1)), *row_shape)
            return file.create_dataset(
                name, shape=(0, *row_shape), maxshape=(None, *row_shape), chunks=chunks, dtype=dtype, track_times=False
            )

        boxes_shape = (max_boxes,) if fixed else ()
        self._features = array("image_features", *boxes_shape, width)
        self._boxes = array("image_bb", *boxes_shape, 4)
        self._spatial = array("spatial_features", *boxes_shape, 6)
        self._counts = array("num_boxes", dtype="<i4") if fixed else array("pos_boxes", 2, dtype="<i4")

    def add(self, row: Row) -> None:
        """Append the boxes of one picture."""
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

    def _append(self, target: h5py.Dataset, values: np.ndarray) -> None:
        if self._fixed:
            padded = np.zeros((1, self._max_boxes, values.shape[1]), np.float32)
            padded[0, : len(values)] = values
            values = padded
        if len(values):
            target.resize(len(target) + len(values), axis=0)
            target[-len(values) :] = values
