"""Weights that torchvision publishes. What they are called is told without importing it, which takes seconds."""

from pathlib import Path
from typing import Any

from schemas.errors import unknown_name

LABELS = {
    "resnet152": "ResNet152_Weights.IMAGENET1K_V1 resnet152-394f9c45.pth",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1 vgg16-397923af.pth",
}
"""Of the paper's networks, as `label` has them. A fingerprint is stated in every run, a network loaded in few."""


def label(model: str) -> str:
    """Member of torchvision's enum, and its file. UsageError where torchvision has no such classification network."""
    return LABELS.get(model) or label_of(published(model))


def label_of(member: Any) -> str:
    """The name of a member of torchvision's enum, and its file."""
    return f"{member} {Path(member.url).name}"


def published(model: str) -> Any:
    """The member of torchvision's enum of weights: its first version, as it was at the paper's time.

    UsageError where torchvision has no such classification network.
    """
    from torchvision import models

    refuse_unknown(model)
    every = models.get_model_weights(model)
    return getattr(every, "IMAGENET1K_V1", every.DEFAULT)


def refuse_unknown(model: str) -> None:
    """UsageError where torchvision has no such classification network."""
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        raise unknown_name("backbone", model, known)
