"""Labels ranked by `Evidence`: scores of kernel ridge regression and a small network over label features.

Axes: B batch, n labels, C candidates of a post, f label features.
"""

import numpy as np
import torch
from torch import Tensor, nn

from m3h.model.ranking.label_features import LABEL_FEATURES

INITIAL_SCALE = 8.0
"""Initial factor of a `KernelRidge` score. Scores lie between 0 and 1: unscaled, a softmax of them is nearly flat."""


class Ranker(nn.Module):
    """Logit of a candidate = scale x its score + a linear layer and a small network over its label features.

    All other labels have the logit -inf. hidden: units of the network. With 0 there is no network, and the logit of
    every label is scale x its score. features: how many label features there are.
    """

    mean_f: Tensor
    deviation_f: Tensor

    def __init__(self, hidden: int, dropout: float, features: int = len(LABEL_FEATURES)) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(INITIAL_SCALE))
        if hidden:
            self.linear = nn.Linear(features, 1, bias=False)
            self.net = nn.Sequential(
                *(nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1))
            )
            nn.init.zeros_(self.linear.weight)
            self.register_buffer("mean_f", torch.zeros(features))
            self.register_buffer("deviation_f", torch.ones(features))
        self.hidden = hidden

    def fit_normalization(self, feature_mf: np.ndarray) -> None:
        """Set mean and deviation of each feature from the candidates of the training posts."""
        if self.hidden and len(feature_mf):
            features_mf = torch.from_numpy(feature_mf).to(self.mean_f)
            self.mean_f.copy_(features_mf.mean(0))
            self.deviation_f.copy_(features_mf.std(0, unbiased=False) + 1e-3)

    def forward(self, score_bn: Tensor, candidate_bc: Tensor, mask_bc: Tensor, *, feature_bcf: Tensor) -> Tensor:
        """(B, n) logits.

        Args:
            score_bn: (B, n) scores of `KernelRidge`.
            candidate_bc: (B, C) label ids, distinct within a post.
            mask_bc: (B, C) bool, True = real.
            feature_bcf: (B, C, f) label features.
        """
        if not self.hidden:
            return self.scale * score_bn
        x_bcf = (feature_bcf - self.mean_f) / self.deviation_f
        logit_bc = self.scale * score_bn.gather(1, candidate_bc) + (self.linear(x_bcf) + self.net(x_bcf)).squeeze(-1)
        others_bn = torch.full_like(score_bn, -torch.inf)
        return others_bn.scatter(1, candidate_bc, logit_bc.masked_fill(~mask_bc, -torch.inf))
