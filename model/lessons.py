"""What similar training posts suggest for each training post, learned beside its own keyphrases.

A post has one or two keyphrases, and a network learns them by heart. What a teacher would have said, had it never
seen the post, tells more: which labels are likely there at all, and how likely (distillation, Hinton et al. 2015).

Axes: p posts, B pairs, k suggestions.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.checkpoint import load_tensors, save_tensors
from model.classifier import best_labels
from schemas.errors import IntegrityError


@dataclass(frozen=True)
class Lessons:
    """Of training posts. label_pk: ids of their likeliest labels, best first; chance_pk: of each, their sum one."""

    label_pk: np.ndarray
    chance_pk: np.ndarray

    @classmethod
    def of(cls, logit_pn: Tensor, k: int) -> "Lessons":
        """The k likeliest by a teacher's logits; `<unk>`, label 0, is not among them."""
        logit_pk, label_pk = best_labels(logit_pn, k)
        return cls(label_pk.numpy(), logit_pk.softmax(-1).numpy())

    def choice(self, rows_b: np.ndarray) -> np.ndarray:
        """(B,) the place of a label of each of these posts, drawn by its chance from torch's random state."""
        return torch.multinomial(torch.from_numpy(self.chance_pk[rows_b]), 1).squeeze(1).numpy()

    def write(self, file: Path) -> None:
        """A safetensors file."""
        save_tensors(file, {"labels": torch.from_numpy(self.label_pk), "chances": torch.from_numpy(self.chance_pk)})

    @classmethod
    def read(cls, file: Path, posts: int, labels: int) -> "Lessons":
        """Inverse of `write`; IntegrityError unless it tells of so many posts, and of labels from 1 to `labels` - 1."""
        tensors = load_tensors(file)
        label_pk, chance_pk = tensors.get("labels", torch.empty(0)), tensors.get("chances", torch.empty(0))
        right = label_pk.dtype == torch.int64 and chance_pk.dtype == torch.float32
        right = right and label_pk.dim() == 2 and label_pk.shape == chance_pk.shape and len(label_pk) == posts
        right = right and bool(((label_pk > 0) & (label_pk < labels) & (chance_pk >= 0)).all())
        if not right or not torch.allclose(chance_pk.sum(1), torch.ones(posts), atol=1e-4):
            raise IntegrityError(f"{file}: not what this run wrote. Delete it: the teacher then learns again.")
        return cls(label_pk.numpy(), chance_pk.numpy())
