"""A detector small enough for tests: one block a stage, 4 channels in the stem, 128 at the end."""

from typing import Any

import torch

from m3h.pipeline.extractors.butd.boxes import CAFFE, Convention
from m3h.pipeline.extractors.butd.network import BottomUpAttention, randomise
from m3h.pipeline.extractors.butd.proposals import ProposalRules

TINY: dict[str, Any] = {"blocks": (1, 1, 1, 1), "width": 4, "classes": 12, "attributes": 5}
FEW = ProposalRules(after=8)


def tiny(seed: int = 0, convention: Convention = CAFFE, **shape: Any) -> BottomUpAttention:
    """With random weights."""
    return randomise(BottomUpAttention(**{**TINY, **shape}, convention=convention, rules=FEW), seed).eval()


def image(height: int = 64, width: int = 96, seed: int = 0) -> torch.Tensor:
    """(1, 3, height, width), as large as pixels without their means."""
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 60
