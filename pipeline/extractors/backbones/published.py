"""The weights that torchvision publishes. The common names are known without importing torchvision, which is slow."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from m3h.schemas.errors import unknown_name

if TYPE_CHECKING:
    import torch


class PublishedWeights(Protocol):
    """A member of one of torchvision's enums of weights.

    url: where the file is. meta: `categories`, the names of its classes. transforms: its preprocessing.
    """

    url: str
    meta: Mapping[str, Any]
    transforms: Callable[[], Any]

    def get_state_dict(self, *, progress: bool, check_hash: bool) -> Mapping[str, "torch.Tensor"]:
        """Download the file if necessary and read its tensors."""


LABELS = {
    "resnet152": "ResNet152_Weights.IMAGENET1K_V1 resnet152-394f9c45.pth",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1 vgg16-397923af.pth",
}
"""The labels of the paper's networks. Every run needs them for fingerprints, but few runs load the networks."""


def label(model: str) -> str:
    """The name of a network's weights and their file. UsageError when torchvision does not have the network."""
    return LABELS.get(model) or label_of(published(model))


def label_of(weights: PublishedWeights) -> str:
    """The name of the weights in torchvision's enum, and their file."""
    return f"{weights} {Path(weights.url).name}"


def published(model: str) -> PublishedWeights:
    """The first version of a network's weights, which is that of the paper's time.

    UsageError when torchvision does not have the network.
    """
    from torchvision import models

    check_model(model)
    versions = models.get_model_weights(model)
    return getattr(versions, "IMAGENET1K_V1", versions.DEFAULT)


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes in the order of a network's outputs."""
    return tuple(published("resnet152").meta["categories"])


def check_model(model: str) -> None:
    """UsageError when torchvision does not have a classification network of this name."""
    from torchvision import models

    known = models.list_models(module=models)
    if model not in known:
        raise unknown_name("backbone", model, known)
