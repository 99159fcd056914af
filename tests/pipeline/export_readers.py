"""How the systems that our exports are for read them, told again step by step.

butd-tsv: the tools of Anderson et al., which take the name of a picture for a number. lxmert-tsv: LXMERT's loader.
vqa-hdf5: the loaders of bottom-up-attention-vqa (36 boxes a picture) and of BAN (as many as there are), which know a
picture by the number in an unpickled index. No code of theirs is here.
"""

import base64
import csv
import pickle
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

BUTD = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT = ("img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes", "boxes")
LXMERT += ("features",)


def rows_of(path: Path, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    csv.field_size_limit(sys.maxsize)
    with open(path) as file:
        return list(csv.DictReader(file, fields, delimiter="\t"))


def read_butd(path: Path) -> dict[int, dict[str, Any]]:
    """By the number of a picture: its size, and arrays with a row for each box."""
    found = {}
    for row in rows_of(path, BUTD):
        row |= {name: int(row[name]) for name in ("image_id", "image_w", "image_h", "num_boxes")}
        for name in ("boxes", "features"):
            flat = np.frombuffer(base64.b64decode(row[name]), np.float32)
            row[name] = flat.reshape((row["num_boxes"], -1))
        found[row["image_id"]] = row
    return found


def read_lxmert(path: Path) -> dict[str, dict[str, Any]]:
    """By the name of a picture. Its boxes are then taken as parts of its sides, which must lie between 0 and 1."""
    found = {}
    for row in rows_of(path, LXMERT):
        row |= {name: int(row[name]) for name in ("img_h", "img_w", "num_boxes")}
        n = row["num_boxes"]
        for name, shape, kind in (
            ("objects_id", (n,), np.int64), ("objects_conf", (n,), np.float32),
            ("attrs_id", (n,), np.int64), ("attrs_conf", (n,), np.float32),
            ("boxes", (n, 4), np.float32), ("features", (n, -1), np.float32),
        ):  # fmt: skip
            row[name] = np.frombuffer(base64.b64decode(row[name]), dtype=kind).reshape(shape)
        parts = row["boxes"].copy()
        parts[:, (0, 2)] /= row["img_w"]
        parts[:, (1, 3)] /= row["img_h"]
        np.testing.assert_array_less(parts, 1 + 1e-5)
        np.testing.assert_array_less(-parts, 0 + 1e-5)
        found[row["img_id"]] = row
    return found


class VqaFeatures:
    """What a VQA system holds of a split: features and places of the boxes of each picture, by its number.

    boxes: their number in each picture, 36 as published; None for as many as there are.
    """

    def __init__(self, folder: Path, split: str, boxes: int | None) -> None:
        name = f"{split}{boxes or ''}"
        with open(folder / f"{name}_imgid2idx.pkl", "rb") as file:
            self.rows = pickle.load(file)  # noqa: S301
        with h5py.File(folder / f"{name}.hdf5", "r") as file:
            self.features = np.array(file.get("image_features"))
            self.places = np.array(file.get("spatial_features"))
            self.spans = None if boxes else np.array(file.get("pos_boxes"))

    def of(self, image_id: int) -> tuple[np.ndarray, np.ndarray]:
        """The features (k, D) and the places (k, 6) of a picture's boxes."""
        row = self.rows[image_id]
        if self.spans is None:
            return self.features[row], self.places[row]
        start, end = self.spans[row]
        return self.features[start:end, :], self.places[start:end, :]
