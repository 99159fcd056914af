"""Vectors of pictures whose products are similarities: cosines of pooled features, less the mean of training.

Without the mean the vectors of all pictures point the same way, because features after a ReLU are never negative, and
every cosine is near one.

Axes: n posts, c channels of a feature, v all of them together.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

PREFIX = "picture_mean."


class PictureVectors:
    """Features are weighted equally, and all together have `weight`. mean_c: input -> its mean over training posts."""

    def __init__(self, mean_c: Mapping[str, Tensor], weight: float) -> None:
        self.mean_c, self.weight = dict(mean_c), weight

    @classmethod
    def fit(cls, pooled: Mapping[str, tuple[Tensor, Tensor]], weight: float) -> "PictureVectors":
        """The means of the training posts. pooled: as in `transform`. A weight of zero compares nothing."""
        compared = pooled.items() if weight else ()
        means = {name: mean_nc[has_n].sum(0) / has_n.sum().clamp_min(1) for name, (mean_nc, has_n) in compared}
        return cls(means, weight)

    def transform(self, pooled: Mapping[str, tuple[Tensor, Tensor]], n: int) -> Tensor:
        """(n, v): the product of two rows is `weight` x the mean over features of the pictures' cosine.

        Args:
            pooled: input -> (n, c) mean cell of each post's picture, and (n,) bool whether it has one. A post without a
                picture has zeros, and so is like no other.
            n: how many posts.
        """
        scale = math.sqrt(self.weight / max(1, len(self.mean_c)))
        parts = [torch.zeros(n, 0)]
        for name, mean_c in self.mean_c.items():
            vector_nc = torch.zeros(n, len(mean_c))
            if name in pooled:
                mean_nc, has_n = pooled[name]
                vector_nc = scale * F.normalize(mean_nc - mean_c, dim=-1) * has_n[:, None]
            parts.append(vector_nc)
        return torch.cat(parts, 1)

    def as_tensors(self) -> dict[str, Tensor]:
        """What is kept in a file."""
        return {f"{PREFIX}{name}": mean_c for name, mean_c in self.mean_c.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], inputs: Sequence[str], weight: float) -> "PictureVectors":
        """Inverse of `as_tensors`. inputs: those that are compared, in the order of training."""
        names = [name for name in inputs if f"{PREFIX}{name}" in tensors]
        return cls({name: tensors[f"{PREFIX}{name}"] for name in names}, weight)
