"""What is stored of the objects of a picture, whichever detector found them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from schemas.features import ArraySpec, FeatureSpec, Row

if TYPE_CHECKING:
    import torch

NONE = {"classes": -1, "attributes": -1}
"""What stands where there is no object, if not 0."""


def objects_spec(name: str, most: int, width: int, version: int = 1) -> FeatureSpec:
    """K = most rows a picture, of which the first `number` are real.

    features (K, width): of a box. boxes (K, 4): x1, y1, x2, y2 in pixels of the upright picture. classes, attributes
    (K,): from 0 into the detector's vocabularies, -1 where there is no object (or the detector knows no attributes);
    class_scores, attribute_scores (K,): their probabilities. number (): of objects. image_size (2,): width and height
    in pixels.
    """
    return FeatureSpec(
        name,
        arrays=(
            ArraySpec("features", (most, width)),
            ArraySpec("boxes", (most, 4), "float32"),
            ArraySpec("classes", (most,), "int16"),
            ArraySpec("class_scores", (most,), "float32"),
            ArraySpec("attributes", (most,), "int16"),
            ArraySpec("attribute_scores", (most,), "float32"),
            ArraySpec("number", (), "int16"),
            ArraySpec("image_size", (2,), "int32"),
        ),
        version=version,
    )


def padded(spec: FeatureSpec, outputs: Sequence["torch.Tensor"]) -> Row:
    """The row of one picture. outputs: its arrays in the order of the spec, as long as there are objects."""
    row = {}
    for array, found in zip(spec.arrays, outputs, strict=True):
        values = found.cpu().numpy()
        row[array.name] = np.full(array.shape, NONE.get(array.name, 0), values.dtype)
        row[array.name][tuple(slice(side) for side in values.shape)] = values
    return row
