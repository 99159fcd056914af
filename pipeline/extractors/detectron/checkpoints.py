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
    return weight_files.identity(settings.weights, settings.seed, None)


def tensors(weights: str) -> Mapping[str, "torch.Tensor"]:
    """The network's tensors by name, whatever else the checkpoint holds (optimiser, iteration)."""
    import torch

    from pipeline.extractors.butd.layouts import unwrapped

    file = weight_files.existing(weights)
    given = unwrapped(read_pickle(file) if file.suffix == ".pkl" else weight_files.read_tensors(file))
    return {name: torch.as_tensor(value) for name, value in given.items()}


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


def fill(network: "torch.nn.Module", weights: str) -> "torch.nn.Module":
    """`network` with the checkpoint's tensors. UsageError that names the first one it lacks, or of another shape.

    Anchors that a checkpoint brings along are what its network was trained with, so they replace the configuration's.
    """
    from pipeline.extractors.detectron.butd_graph import BottomUpROIHeads

    whole: Any = network
    found = bottom_up_tensors(weights) if isinstance(whole.roi_heads, BottomUpROIHeads) else tensors(weights)
    weight_files.load_strictly(network, found, weights)
    for level, anchors_a4 in enumerate(whole.proposal_generator.anchor_generator.cell_anchors.buffers()):
        carried_a4 = found.get(f"{ANCHORS}{level}", anchors_a4)
        if carried_a4.shape != anchors_a4.shape:
            raise UsageError(
                f"weights {weights}: expected {len(anchors_a4)} anchors of the configuration, got {len(carried_a4)}."
            )
        anchors_a4.copy_(carried_a4)
    return network
