"""Tab-separated boxes and features: as bottom-up attention writes them, and as LXMERT does.

One picture a line, no header. Arrays are base64 of little-endian values: boxes (n, 4) float32 as x1, y1, x2, y2 in
pixels, features (n, D) float32, and in LXMERT's file the ids of objects and attributes (n,) int64 from 0 with their
probabilities float32. Only real boxes are written, so `num_boxes` tells n.
"""

import base64
import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.export.walk import Sample, Tally, Walk, refuse_existing
from schemas.errors import UsageError
from schemas.features import Row
from schemas.files import publish

BUTD_FIELDS = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT_FIELDS = (
    "img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes", "boxes",
    "features",
)  # fmt: skip


def write_butd_tsv(walk: Walk, split: str, out: Path, tally: Tally) -> None:
    """SPLIT.tsv with the columns of `BUTD_FIELDS`."""

    def line(sample: Sample, row: Row) -> Sequence[Any]:
        width, height = (int(side) for side in row["image_size"])
        return (sample.name, width, height, int(row["number"]), _floats(row, "boxes"), _floats(row, "features"))

    _write(out / f"{split}.tsv", walk, split, tally, line)


def write_lxmert_tsv(walk: Walk, split: str, out: Path, tally: Tally) -> None:
    """SPLIT_objects.tsv with the columns of `LXMERT_FIELDS`: the height stands before the width.

    UsageError where the detector tells no attributes of its objects.
    """

    def line(sample: Sample, row: Row) -> Sequence[Any]:
        width, height = (int(side) for side in row["image_size"])
        if (np.asarray(row["attributes"])[: int(row["number"])] < 0).any():
            raise UsageError(f"--to lxmert-tsv: {walk.features[0]} tells no attributes of objects here; use butd-tsv.")
        return (
            sample.name, height, width, _ids(row, "classes"), _floats(row, "class_scores"), _ids(row, "attributes"),
            _floats(row, "attribute_scores"), int(row["number"]), _floats(row, "boxes"), _floats(row, "features"),
        )  # fmt: skip

    _write(out / f"{split}_objects.tsv", walk, split, tally, line)


def _write(path: Path, walk: Walk, split: str, tally: Tally, line: Callable[[Sample, Row], Sequence[Any]]) -> None:
    rows = 0

    def lines() -> Iterable[Sequence[Any]]:
        nonlocal rows
        for sample, row in walk.objects(split, tally):
            rows += 1
            yield line(sample, row)

    def write(temp: Path) -> None:
        with open(temp, "w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", lineterminator="\n").writerows(lines())

    publish(refuse_existing(path), write)
    tally.note(path, rows)


def _floats(row: Row, name: str) -> str:
    return _encoded(row[name][: int(row["number"])], "<f4")


def _ids(row: Row, name: str) -> str:
    return _encoded(row[name][: int(row["number"])], "<i8")


def _encoded(values: Any, dtype: str) -> str:
    return base64.b64encode(np.asarray(values, dtype=dtype).tobytes()).decode("ascii")
