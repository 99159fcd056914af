"""The stored arrays of a picture's objects. They are the same for every detector."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from m3h.schemas.features import ArraySpec, FeatureSpec, Row

if TYPE_CHECKING:
    import torch

PADDING = {"classes": -1, "attributes": -1}
"""The values of padding in the arrays where it is not 0."""


def objects_spec(name: str, max_objects: int, width: int, *, version: int = 1) -> FeatureSpec:
    """The arrays of one picture. K is `max_objects`; the first `number` rows are objects, the others are padding.

    features (K, width): of each box. boxes (K, 4): x1, y1, x2, y2 in pixels of the upright picture. classes, attributes
    (K,): indices from 0 into the detector's vocabularies; -1 for padding, and for attributes of a detector without
    attributes. class_scores, attribute_scores (K,): their probabilities. number (): of objects. image_size (2,): width
    and height in pixels.

    Args:
        name: the name of the feature.
        max_objects: most objects per picture.
        width: width of a box's feature vector.
        version: the version of the feature.
    """
    return FeatureSpec(
        name,
        arrays=(
            ArraySpec("features", (max_objects, width)),
            ArraySpec("boxes", (max_objects, 4), "float32"),
            ArraySpec("classes", (max_objects,), "int16"),
            ArraySpec("class_scores", (max_objects,), "float32"),
            ArraySpec("attributes", (max_objects,), "int16"),
            ArraySpec("attribute_scores", (max_objects,), "float32"),
            ArraySpec("number", (), "int16"),
            ArraySpec("image_size", (2,), "int32"),
        ),
        version=version,
    )


def padded_row(spec: FeatureSpec, outputs: Sequence["torch.Tensor"]) -> Row:
    """The row of one picture, padded to the spec. outputs: arrays in the order of the spec, one entry per object."""
    row = {}
    for array, output in zip(spec.arrays, outputs, strict=True):
        values = output.cpu().numpy()
        row[array.name] = np.full(array.shape, PADDING.get(array.name, 0), values.dtype)
        row[array.name][tuple(slice(side) for side in values.shape)] = values
    return row
