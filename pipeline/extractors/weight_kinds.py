"""What a file of weights is for: its feature and its layout, told from the names in it, and whether it is whole."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.extractors.weights import read_tensors, refuse_misfit
from schemas.errors import UsageError, unknown_name

RESNETS = ("resnet152", "resnet101", "resnet50", "resnet34", "resnet18")


class Kind(NamedTuple):
    """feature: its name. layout: whose file it is like."""

    feature: str
    layout: str


def recognise(path: Path, feature: str = "") -> Kind:
    """The kind of a file that fills its network. feature: for which it must be, if that is known.

    UsageError where it is none of the known kinds, lacks a tensor or has one of another shape: by name.
    """
    if not path.is_file():
        raise UsageError(f"weights {path}: there is no such file.")
    if feature:
        if feature not in CHECKS:
            raise unknown_name("feature with weights", feature, CHECKS)
        return Kind(feature, CHECKS[feature](path))
    return Kind(guess := _guess(path), CHECKS[guess](path))


def _guess(path: Path) -> str:
    if path.suffix in (".pkl", ".pickle", ".caffemodel"):
        return "butd_objects"
    names = _names(path)
    for feature, telling in (("vgg_grid", "features.0.weight"), ("attributes", "layer1.0.conv1.weight")):
        if telling in names:
            return feature
    return "butd_objects"


def _names(path: Path) -> Mapping[str, Any]:
    found = read_tensors(path)
    return found if isinstance(found, Mapping) else {}


def check_bottom_up(path: Path) -> str:
    """The layout of weights of bottom-up attention that fill its network."""
    import torch

    from pipeline.extractors.butd.layouts import convert
    from pipeline.extractors.butd.layouts import recognise as layout_of
    from pipeline.extractors.butd.network import BottomUpAttention

    layout, given = layout_of(path)
    with torch.device("meta"):
        network = BottomUpAttention()
    refuse_misfit(network, convert(layout, given, str(path))[0], str(path))
    return layout


def _check_vgg(path: Path) -> str:
    import torch
    from torchvision.models import vgg16

    with torch.device("meta"):
        trunk = torch.nn.Sequential()
        trunk.add_module("features", vgg16(weights=None).features)
    refuse_misfit(trunk, _names(path), str(path))
    return "torchvision vgg16"


def _check_resnet(path: Path) -> str:
    """The deepest ResNet that the file fills; what it lacks of ResNet-152 where it fills none."""
    import torch
    from torchvision import models

    given = _names(path)
    faults = []
    for name in RESNETS:
        with torch.device("meta"):
            network = models.get_model(name, weights=None)
        network.fc = torch.nn.Identity()
        try:
            refuse_misfit(network, given, str(path))
        except UsageError as fault:
            faults.append(fault)
            continue
        return f"torchvision {name}"
    raise faults[0]


def _check_detectron2(path: Path) -> str:
    """That the file holds some detector: whose it is, only its configuration tells, before any work."""
    from pipeline.extractors.detectron.checkpoints import tensors

    if not any(name.startswith("roi_heads.") for name in tensors(str(path))):
        raise UsageError(f"weights {path}: expected a detectron2 detector (tensors named roi_heads.…), found none.")
    return "detectron2 checkpoint"


CHECKS: Mapping[str, Callable[[Path], str]] = {
    "butd_objects": check_bottom_up,
    "detectron2_objects": _check_detectron2,
    "vgg_grid": _check_vgg,
    "attributes": _check_resnet,
}
"""By feature: the layout of a file that fits; UsageError for any other."""
