"""Writes boxes and features as tab-separated text, in the formats of bottom-up attention and of LXMERT.

There is one picture per line and no header. Arrays are base64 of little-endian values: boxes (n, 4) float32 as x1, y1,
x2, y2 in pixels; features (n, D) float32; in LXMERT's format also the ids of objects and attributes (n,) int64 from 0,
with their probabilities float32. Only real boxes are written, and `num_boxes` is n.
"""

import base64
import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from m3h.pipeline.export.samples import ExportResult, Sample, Samples, refuse_existing
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row
from m3h.schemas.files import publish

BUTD_FIELDS = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT_FIELDS = (
    "img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes", "boxes",
    "features",
)  # fmt: skip


Cells = Sequence[str | int]


def write_butd_tsv(samples: Samples, split: str, out: Path) -> ExportResult:
    """Write SPLIT.tsv with the columns of `BUTD_FIELDS`.

    Args:
        samples: the dataset, with one feature that has boxes.
        split: train, valid or test.
        out: the folder for the file.
    """

    def cells(sample: Sample, row: Row) -> Cells:
        width, height = (int(side) for side in row["image_size"])
        return (sample.name, width, height, int(row["number"]), _floats(row, "boxes"), _floats(row, "features"))

    return _write(out / f"{split}.tsv", samples, split, cells=cells)


def write_lxmert_tsv(samples: Samples, split: str, out: Path) -> ExportResult:
    """Write SPLIT_objects.tsv with the columns of `LXMERT_FIELDS`, in which the height comes before the width.

    UsageError when the detector does not predict attributes.

    Args:
        samples: the dataset, with one feature that has boxes.
        split: train, valid or test.
        out: the folder for the file.
    """

    def cells(sample: Sample, row: Row) -> Cells:
        width, height = (int(side) for side in row["image_size"])
        if (np.asarray(row["attributes"])[: int(row["number"])] < 0).any():
            raise UsageError(
                f"--to lxmert-tsv: the objects of {samples.features[0]} have no attributes here. Use butd-tsv."
            )
        return (
            sample.name, height, width, _ids(row, "classes"), _floats(row, "class_scores"), _ids(row, "attributes"),
            _floats(row, "attribute_scores"), int(row["number"]), _floats(row, "boxes"), _floats(row, "features"),
        )  # fmt: skip

    return _write(out / f"{split}_objects.tsv", samples, split, cells=cells)


def _write(path: Path, samples: Samples, split: str, *, cells: Callable[[Sample, Row], Cells]) -> ExportResult:
    rows = 0
    result = ExportResult()

    def lines() -> Iterable[Cells]:
        nonlocal rows
        for sample, row in samples.objects(split, result):
            rows += 1
            yield cells(sample, row)

    def write(temp: Path) -> None:
        with open(temp, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(lines())

    publish(refuse_existing(path), write)
    result.files[str(path)] = rows
    return result


def _floats(row: Row, name: str) -> str:
    return _encoded(row[name][: int(row["number"])], "<f4")


def _ids(row: Row, name: str) -> str:
    return _encoded(row[name][: int(row["number"])], "<i8")


def _encoded(values: ArrayLike, dtype: str) -> str:
    return base64.b64encode(np.asarray(values, dtype=dtype).tobytes()).decode("ascii")
