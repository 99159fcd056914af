"""Finds the feature and the layout of a file of weights by the names of its tensors, and checks that it is complete."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from m3h.pipeline.extractors.weights import check_tensors, read_tensors
from m3h.schemas.errors import UsageError, unknown_name

RESNETS = ("resnet152", "resnet101", "resnet50", "resnet34", "resnet18")


class WeightsKind(NamedTuple):
    """feature: the name of the feature. layout: the name of the file's layout."""

    feature: str
    layout: str


def recognise(path: Path, feature: str = "") -> WeightsKind:
    """The kind of a file of weights. feature: the feature it must be for; "" finds the feature by the tensors' names.

    UsageError when the kind is unknown, or when a tensor is missing or has another shape; it names the tensor.
    """
    if not path.is_file():
        raise UsageError(f"weights {path}: there is no such file.")
    if feature:
        if feature not in CHECKS:
            raise unknown_name("feature with weights", feature, CHECKS)
        return WeightsKind(feature, CHECKS[feature](path))
    return WeightsKind(guess := _guess(path), CHECKS[guess](path))


def _guess(path: Path) -> str:
    if path.suffix in (".pkl", ".pickle", ".caffemodel"):
        return "butd_objects"
    names = _tensors(path)
    for feature, first_tensor in (("vgg_grid", "features.0.weight"), ("attributes", "layer1.0.conv1.weight")):
        if first_tensor in names:
            return feature
    return "butd_objects"


def _tensors(path: Path) -> Mapping[str, object]:
    content = read_tensors(path)
    return content if isinstance(content, Mapping) else {}


def check_bottom_up(path: Path) -> str:
    """The layout of weights of bottom-up attention. UsageError unless they fit the network."""
    import torch

    from m3h.pipeline.extractors.butd.layouts import convert
    from m3h.pipeline.extractors.butd.layouts import recognise as layout_of
    from m3h.pipeline.extractors.butd.network import BottomUpAttention

    layout, content = layout_of(path)
    with torch.device("meta"):
        network = BottomUpAttention()
    check_tensors(network, convert(layout, content, str(path))[0], str(path))
    return layout


def _check_vgg(path: Path) -> str:
    import torch
    from torchvision.models import vgg16

    with torch.device("meta"):
        trunk = torch.nn.Sequential()
        trunk.add_module("features", vgg16(weights=None).features)
    check_tensors(trunk, _tensors(path), str(path))
    return "torchvision vgg16"


def _check_resnet(path: Path) -> str:
    """The deepest ResNet that the file fits. If it fits none, UsageError says what is missing for ResNet-152."""
    import torch
    from torchvision import models

    tensors = _tensors(path)
    faults = []
    for name in RESNETS:
        with torch.device("meta"):
            network = models.get_model(name, weights=None)
        network.fc = torch.nn.Identity()
        try:
            check_tensors(network, tensors, str(path))
        except UsageError as fault:
            faults.append(fault)
            continue
        return f"torchvision {name}"
    raise faults[0]


def _check_detectron2(path: Path) -> str:
    """Check that the file holds a detector. Whether it fits is checked later, because that needs the configuration."""
    from m3h.pipeline.extractors.detectron.checkpoints import tensors

    if not any(name.startswith("roi_heads.") for name in tensors(str(path))):
        raise UsageError(f"weights {path}: expected a detectron2 detector (tensors named roi_heads.…), found none.")
    return "detectron2 checkpoint"


def _check_tensors(path: Path) -> str:
    """Check that the file holds tensors. Whether they fit is checked later, because the network is not known here."""
    from m3h.pipeline.extractors.backbones.architecture import unwrapped

    if not unwrapped(read_tensors(path)):
        raise UsageError(f"weights {path}: expected tensors by name, found none.")
    return "tensors"


CHECKS: Mapping[str, Callable[[Path], str]] = {
    "butd_objects": check_bottom_up,
    "detectron2_objects": _check_detectron2,
    "vgg_grid": _check_vgg,
    "attributes": _check_resnet,
    "backbone": _check_tensors,
    "backbone_labels": _check_tensors,
}
"""For each feature: a function that returns the layout of a file that fits, and raises UsageError for any other."""
