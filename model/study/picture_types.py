"""Types of pictures (Figure 4): photo, screenshot, poster, drawing, by a linear classifier on an image feature.

A classifier comes with m3h, for the feature `backbone` with its default settings. For any other feature, or other
types, it is fitted to pictures that somebody has labelled.

Axes: p pictures, c channels, t types.
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from m3h.model.data.inputs import modalities_of
from m3h.model.data.pictures import read_cells
from m3h.model.systems import input_name
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.files import publish
from m3h.schemas.shards import KEY

FOLDS, PENALTY, STEPS = 10, 0.003, 60
SHIPPED, ASSET = "backbone", "picture_types.safetensors"
FEWEST = 20
"""Labelled pictures that a classifier can be fitted to."""
_COMPARED = ("network", "weights", "layer", "before", "form", "input")
"""The parts of the fingerprint that must be the same. How numbers are computed changes only their last digits."""


@dataclass(frozen=True)
class Accuracy:
    """Cross-validated. accuracy, error: share of pictures that are classified right, and its standard error.

    majority: the share of the most frequent type, which is right for those without looking. pictures: how many.
    recall: type -> share of its pictures that are classified right.
    """

    accuracy: float
    error: float
    majority: float
    pictures: int
    recall: dict[str, float]

    def __str__(self) -> str:
        recall = ", ".join(f"{kind} {share:.2f}" for kind, share in self.recall.items())
        return (
            f"Accuracy {self.accuracy:.3f} (standard error {self.error:.3f}) on {self.pictures} labelled pictures by "
            f"{FOLDS}-fold cross-validation; the most frequent type alone {self.majority:.3f}; recall: {recall}."
        )


@dataclass(frozen=True)
class TypeModel:
    """A linear classifier. parts: of the fingerprint of the feature that it reads. accuracy: None if not known."""

    types: list[str]
    weight_tc: np.ndarray
    bias_t: np.ndarray
    parts: Mapping[str, Any]
    accuracy: Accuracy | None = None

    def predict(self, vector_pc: np.ndarray) -> tuple[list[str], np.ndarray]:
        """The type of each picture, and (p,) its probability by the classifier."""
        logit_pt = vector_pc @ self.weight_tc.T + self.bias_t
        odds_pt = np.exp(logit_pt - logit_pt.max(1, keepdims=True))
        return [self.types[i] for i in logit_pt.argmax(1)], odds_pt.max(1) / odds_pt.sum(1)

    def write(self, path: Path) -> None:
        """As a safetensors file."""
        from safetensors.numpy import save_file

        about = {"types": self.types, "parts": self.parts, "accuracy": vars(self.accuracy) if self.accuracy else None}
        tensors = {"weight": self.weight_tc.astype(np.float32), "bias": self.bias_t.astype(np.float32)}
        publish(path, lambda temp: save_file(tensors, temp, {"about": json.dumps(about, sort_keys=True)}))

    @classmethod
    def shipped(cls) -> "TypeModel":
        """The classifier that comes with m3h."""
        from safetensors import safe_open

        with as_file(files(__package__) / "assets" / ASSET) as path, safe_open(path, "np") as file:
            about = json.loads(file.metadata()["about"])
            weight_tc, bias_t = file.get_tensor("weight"), file.get_tensor("bias")
        recall = {kind: about["accuracy"]["recall"][kind] for kind in about["types"]}
        return cls(
            about["types"], weight_tc, bias_t, about["parts"], Accuracy(**about["accuracy"] | {"recall": recall})
        )


def stored_parts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Those parts of a fingerprint that decide whether a classifier fits, as JSON gives them back."""
    found: dict[str, Any] = json.loads(json.dumps({name: parts.get(name) for name in _COMPARED}))
    return found


def fit(vector_pc: np.ndarray, types: Sequence[str]) -> TypeModel:
    """Logistic regression with an L2 penalty on standardised channels; the scale is part of the weights then."""
    names = [kind for kind, _ in Counter(types).most_common()]
    mean_c, deviation_c = vector_pc.mean(0), vector_pc.std(0)
    deviation_c = np.maximum(deviation_c, deviation_c.mean() / 100 or 1.0)
    x_pc = torch.from_numpy((vector_pc - mean_c) / deviation_c).double()
    target_p = torch.tensor([names.index(kind) for kind in types])
    weight_tc = torch.zeros(len(names), x_pc.shape[1], dtype=torch.double, requires_grad=True)
    bias_t = torch.zeros(len(names), dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight_tc, bias_t], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = F.cross_entropy(x_pc @ weight_tc.T + bias_t, target_p) + PENALTY * weight_tc.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scaled_tc = weight_tc.detach().numpy() / deviation_c
    return TypeModel(names, scaled_tc, bias_t.detach().numpy() - scaled_tc @ mean_c, {})


def cross_validated(vector_pc: np.ndarray, types: Sequence[str], group_p: np.ndarray | None = None) -> Accuracy:
    """How often a classifier is right that was fitted to other pictures. group_p: pictures of a group stay together."""
    group_p = np.arange(len(types)) if group_p is None else group_p
    groups = np.random.default_rng(0).permutation(np.unique(group_p))
    kinds, right_p = np.array(types), np.zeros(len(types), bool)
    for fold in range(FOLDS):
        held_p = np.isin(group_p, groups[fold::FOLDS])
        if held_p.any() and not held_p.all():
            found, _ = fit(vector_pc[~held_p], kinds[~held_p].tolist()).predict(vector_pc[held_p])
            right_p[held_p] = kinds[held_p] == found
    accuracy, counts = float(right_p.mean()), Counter(types).most_common()
    return Accuracy(
        accuracy,
        (accuracy * (1 - accuracy) / len(types)) ** 0.5,
        counts[0][1] / len(types),
        len(types),
        {kind: float(right_p[kinds == kind].mean()) for kind, _ in counts},
    )


def picture_vectors(dataset: Dataset, feature: str) -> tuple[list[str], np.ndarray]:
    """sha256 of each picture that has a row, sorted, and (p, c) float32: the mean of its real cells."""
    found = read_cells(dataset, feature)
    cells_pgc, number = found.arrays["features"], found.arrays.get("number")
    images = sorted(found.rows)
    vectors = []
    for image in images:
        row = found.rows[image]
        real = cells_pgc[row] if number is None else cells_pgc[row][: max(1, int(number[row]))]
        vectors.append(real.astype(np.float32).mean(0))
    return images, np.array(vectors, np.float32).reshape(len(images), cells_pgc.shape[-1])


def model_for(dataset: Dataset, feature: str, labels: Path | None) -> TypeModel:
    """The classifier for a feature of a dataset: the one that comes with m3h, or one that is fitted to labels.

    Args:
        dataset: has the feature.
        feature: an image feature.
        labels: a CSV file with the columns image_sha256 and type. None for the classifier that comes with m3h.

    Raises:
        UsageError: the dataset has no such feature, it has no vectors, the classifier is for another version of it, or
            too few of the labelled pictures are in the dataset.
        IntegrityError: the file of labels cannot be read.
    """
    dataset.fingerprint(feature)
    if "vision" not in modalities_of(dataset, [input_name(feature)]).values():
        raise UsageError(f"--feature {feature}: has no vectors of pictures. Name a feature that has, as `backbone`.")
    parts = stored_parts(dataset.manifest.features[feature].current_version.parts)
    if labels is None:
        shipped = TypeModel.shipped()
        if feature != SHIPPED or parts != shipped.parts:
            raise UsageError(
                f"{dataset.folder}: the classifier of types reads `{SHIPPED}` with its default settings, not this "
                f"{feature}. Build that feature, or give --labels, a CSV file with image_sha256 and type."
            )
        return shipped
    known = _read_labels(labels)
    images, vector_pc = picture_vectors(dataset, feature)
    rows = [row for row, image in enumerate(images) if image in known]
    types = [known[images[row]] for row in rows]
    if len(rows) < FEWEST or len(set(types)) < 2:
        raise UsageError(
            f"--labels {labels}: {len(rows)} of its {len(known)} pictures are in {dataset.folder}, of "
            f"{len(set(types))} types; expected {FEWEST} pictures of 2 types or more. Label more."
        )
    model = fit(vector_pc[rows], types)
    return TypeModel(model.types, model.weight_tc, model.bias_t, parts, cross_validated(vector_pc[rows], types))


def _read_labels(path: Path) -> dict[str, str]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"--labels {path}: expected a CSV file of image_sha256 and type ({error}).") from error
    if not rows or not {KEY, "type"}.issubset(rows[0]):
        found = ", ".join(map(str, rows[0])) if rows else "no row"
        raise UsageError(f"--labels {path}: expected the columns {KEY} and type, found {found}.")
    types: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        image, kind = (row[KEY] or "").strip(), (row["type"] or "").strip()
        if kind and types.setdefault(image, kind) != kind:
            raise UsageError(f"--labels {path}, row {number}: picture {image} has another type in a row before.")
    return types


def types_of(dataset: Dataset, model: TypeModel, feature: str) -> list[dict[str, Any]]:
    """For each picture, sorted by its sha256: image_sha256, type, probability, and the number of its posts.

    Raises:
        IntegrityError: the classifier has another number of channels than the feature.
    """
    images, vector_pc = picture_vectors(dataset, feature)
    if vector_pc.shape[1] != model.weight_tc.shape[1]:
        raise IntegrityError(
            f"{dataset.folder}: {feature} has {vector_pc.shape[1]} channels, the classifier {model.weight_tc.shape[1]}."
        )
    posts = Counter(dataset.posts[KEY].to_pylist())
    types, probability_p = model.predict(vector_pc)
    rows = zip(images, types, probability_p.tolist(), strict=True)
    return [{KEY: i, "type": kind, "probability": round(p, 4), "posts": posts[i]} for i, kind, p in rows]
