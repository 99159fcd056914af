"""Labels ranked by `Evidence`: likeness to training posts and, for its candidates, clues weighed by a small network.

Axes: B batch, n labels, C candidates of a post, f clues.
"""

import numpy as np
import torch
from torch import Tensor, nn

from model.clues import CLUES

SCALE = 8.0
"""What a score of `Recall` is worth at first: these lie between 0 and 1 and would hardly part a softmax."""


class Ranker(nn.Module):
    """Logit of a candidate = scale x its score + what a layer and a small network see in its clues; others' is -inf."""

    mean_f: Tensor
    deviation_f: Tensor

    def __init__(self, hidden: int, dropout: float) -> None:
        """hidden: units of the network; 0 ranks all labels by their scores alone."""
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(SCALE))
        if hidden:
            self.linear = nn.Linear(len(CLUES), 1, bias=False)
            self.net = nn.Sequential(
                *(nn.Linear(len(CLUES), hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1))
            )
            nn.init.zeros_(self.linear.weight)
            self.register_buffer("mean_f", torch.zeros(len(CLUES)))
            self.register_buffer("deviation_f", torch.ones(len(CLUES)))
        self.hidden = hidden

    def measure(self, clue_mf: np.ndarray) -> None:
        """Set each clue's mean and deviation, by which it is brought to scale; of the training posts."""
        if self.hidden and len(clue_mf):
            clues_mf = torch.from_numpy(clue_mf).to(self.mean_f)
            self.mean_f.copy_(clues_mf.mean(0))
            self.deviation_f.copy_(clues_mf.std(0, unbiased=False) + 1e-3)

    def forward(self, score_bn: Tensor, candidate_bc: Tensor, mask_bc: Tensor, clue_bcf: Tensor) -> Tensor:
        """(B, n), (B, C) ids that differ within a post, (B, C), (B, C, f) -> (B, n) logits."""
        if not self.hidden:
            return self.scale * score_bn
        x_bcf = (clue_bcf - self.mean_f) / self.deviation_f
        worth_bc = self.scale * score_bn.gather(1, candidate_bc) + (self.linear(x_bcf) + self.net(x_bcf)).squeeze(-1)
        others_bn = torch.full_like(score_bn, -torch.inf)
        return others_bn.scatter(1, candidate_bc, worth_bc.masked_fill(~mask_bc, -torch.inf))
