"""Checkpoints of detectron2 networks: torch's .pth, the model zoo's .pkl, safetensors; nothing in them is ever run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.extractors import weights as weight_files
from pipeline.extractors.pickled import read_pickle
from schemas.errors import UsageError

if TYPE_CHECKING:
    import torch

ANCHORS = "proposal_generator.anchor_generator.cell_anchors."
"""Older detectron2 kept the anchors in its checkpoints; today's leaves them to the configuration."""


def identity(settings: Any) -> str:
    """What the weights are. UsageError where they are not named, or not there."""
    if settings.weights == weight_files.DEFAULT:
        raise UsageError(
            "features.detectron2_objects.weights: expected a checkpoint of the configuration, or `random` for a trial; "
            "there is no default."
        )
    return weight_files.identity(settings.weights, settings.seed, "")


def tensors(weights: str) -> Mapping[str, "torch.Tensor"]:
    """The network's tensors by name, whatever else the checkpoint holds (optimiser, iteration)."""
    import numpy as np
    import torch

    from pipeline.extractors.butd.layouts import unwrapped

    file = weight_files.existing(weights)
    given = unwrapped(read_pickle(file) if file.suffix == ".pkl" else weight_files.read_tensors(file))
    return {
        name: torch.as_tensor(value) for name, value in given.items() if isinstance(value, np.ndarray | torch.Tensor)
    }


def bottom_up_tensors(weights: str) -> Mapping[str, "torch.Tensor"]:
    """Of bottom-up attention, in whichever layout detectron2's ports were published."""
    from pipeline.extractors.butd.boxes import DETECTRON2
    from pipeline.extractors.butd.layouts import read_weights

    found, convention = read_weights(weight_files.existing(weights))
    if convention != DETECTRON2:
        raise UsageError(
            f"weights {weights}: expected boxes as detectron2 codes them, got {convention.name}'s; "
            "the feature butd_objects reads both."
        )
    return found


def fitting_tensors(network: "torch.nn.Module", weights: str) -> Mapping[str, "torch.Tensor"]:
    """The checkpoint's. UsageError that names the first one that `network` lacks or has of another shape.

    network: may be a shell without values.
    """
    from pipeline.extractors.detectron.butd_graph import BottomUpROIHeads

    whole: Any = network
    found = bottom_up_tensors(weights) if isinstance(whole.roi_heads, BottomUpROIHeads) else tensors(weights)
    weight_files.refuse_misfit(network, found, weights)
    for name, anchors_a4 in anchors(network).items():
        if name in found and found[name].shape != anchors_a4.shape:
            got = len(found[name])
            raise UsageError(f"weights {weights}: expected {len(anchors_a4)} anchors of the configuration, got {got}.")
    return found


def anchors(network: "torch.nn.Module") -> Mapping[str, "torch.Tensor"]:
    """(A, 4) of each level, under the names that older checkpoints gave them."""
    whole: Any = network
    cells = whole.proposal_generator.anchor_generator.cell_anchors
    return {f"{ANCHORS}{level}": anchors_a4 for level, anchors_a4 in enumerate(cells.buffers())}


def fill(network: "torch.nn.Module", weights: str) -> "torch.nn.Module":
    """`network` with the checkpoint's tensors.

    Anchors that a checkpoint brings along are what its network was trained with, so they replace the configuration's.
    """
    found = fitting_tensors(network, weights)
    weight_files.load_strictly(network, found, weights)
    for name, anchors_a4 in anchors(network).items():
        anchors_a4.copy_(found.get(name, anchors_a4))
    return network
