"""Vectors whose products are similarities of posts: cosines of pooled features, less the mean of training.

They are features of pictures, or states of a sentence encoder. Without the mean the vectors of all pictures point the
same way, because features after a ReLU are never negative, and every cosine is near one.

Axes: n posts, c channels of an input, v all of them together.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

PREFIX = "picture_mean."


class ComparedVectors:
    """mean_c: input -> its mean over training posts. weights: input -> its weight beside the cosine of texts."""

    def __init__(self, mean_c: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        self.mean_c, self.weights = dict(mean_c), dict(weights)

    @classmethod
    def fit(cls, pooled: Mapping[str, tuple[Tensor, Tensor]], weights: Mapping[str, float]) -> "ComparedVectors":
        """The means of the training posts. pooled: as in `transform`. An input of weight zero is not compared."""
        compared = {name: of for name, of in pooled.items() if weights.get(name)}
        means = {name: mean_nc[has_n].sum(0) / has_n.sum().clamp_min(1) for name, (mean_nc, has_n) in compared.items()}
        return cls(means, weights)

    def transform(self, pooled: Mapping[str, tuple[Tensor, Tensor]], n: int) -> Tensor:
        """(n, v): the product of two rows is the sum over inputs of weight x cosine.

        Args:
            pooled: input -> (n, c) mean vector of each post, and (n,) bool whether it has one. A post without any has
                zeros, and so is like no other.
            n: how many posts.
        """
        parts = [torch.zeros(n, 0)]
        for name, mean_c in self.mean_c.items():
            vector_nc = torch.zeros(n, len(mean_c))
            if name in pooled:
                mean_nc, has_n = pooled[name]
                vector_nc = math.sqrt(self.weights[name]) * F.normalize(mean_nc - mean_c, dim=-1) * has_n[:, None]
            parts.append(vector_nc)
        return torch.cat(parts, 1)

    def as_tensors(self) -> dict[str, Tensor]:
        """What is kept in a file."""
        return {f"{PREFIX}{name}": mean_c for name, mean_c in self.mean_c.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], weights: Mapping[str, float]) -> "ComparedVectors":
        """Inverse of `as_tensors`. weights: of all inputs that may be compared, in the order of training."""
        names = [name for name in weights if f"{PREFIX}{name}" in tensors]
        return cls({name: tensors[f"{PREFIX}{name}"] for name in names}, weights)
