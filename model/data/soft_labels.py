"""Soft labels for distillation (Hinton et al. 2015): a teacher's label distribution for each training post.

A post has one or two keyphrases, and a network soon memorizes them. The distribution of a teacher that never saw the
post says more: which labels are likely for it, and how likely.

Axes: p posts, B pairs, k soft labels of a post.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from m3h.model.data.tensor_files import load_tensors, save_tensors
from m3h.schemas.errors import IntegrityError


@dataclass(frozen=True)
class SoftLabels:
    """Of training posts. label_pk: ids of the likeliest labels, best first. probability_pk: theirs; rows sum to one."""

    label_pk: np.ndarray
    probability_pk: np.ndarray

    def sample(self, rows_b: np.ndarray) -> np.ndarray:
        """(B,) for each of these posts the column of one label, drawn by its probability from torch's random state."""
        drawn_b: np.ndarray = torch.multinomial(torch.from_numpy(self.probability_pk[rows_b]), 1).squeeze(1).numpy()
        return drawn_b

    def write(self, file: Path) -> None:
        """A safetensors file."""
        tensors = {"labels": self.label_pk, "probabilities": self.probability_pk}
        save_tensors(file, {name: torch.from_numpy(array) for name, array in tensors.items()})

    @classmethod
    def read(cls, file: Path, n_posts: int, n_labels: int) -> "SoftLabels":
        """Inverse of `write`.

        Args:
            file: a safetensors file.
            n_posts: how many rows it must have.
            n_labels: size of the label vocabulary. Label ids must lie between 1 and `n_labels` - 1.

        Raises:
            IntegrityError: the file holds something else.
        """
        tensors = load_tensors(file)
        label_pk = tensors.get("labels", torch.empty(0))
        probability_pk = tensors.get("probabilities", torch.empty(0))
        valid = label_pk.dtype == torch.int64 and probability_pk.dtype == torch.float32
        valid = valid and label_pk.dim() == 2 and label_pk.shape == probability_pk.shape and len(label_pk) == n_posts
        valid = valid and bool(((label_pk > 0) & (label_pk < n_labels) & (probability_pk >= 0)).all())
        if not valid or not torch.allclose(probability_pk.sum(1), torch.ones(n_posts), atol=1e-4):
            raise IntegrityError(
                f"{file}: not the soft labels of this run. Delete the file: the same command then computes them again."
            )
        return cls(label_pk.numpy(), probability_pk.numpy())
