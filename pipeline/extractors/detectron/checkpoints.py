"""Reads checkpoints of detectron2 networks: torch's .pth, the model zoo's .pkl, safetensors. No code in them is run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from m3h.pipeline.extractors import weights as weight_files
from m3h.pipeline.extractors.pickled import read_pickle
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import torch

ANCHORS = "proposal_generator.anchor_generator.cell_anchors."
"""The names of anchors in checkpoints of older versions. Newer versions have the anchors only in the configuration."""


def identity(weights: str, seed: int) -> str:
    """The identity of the weights. UsageError when they are not set or do not exist. seed: of random weights."""
    if weights == weight_files.DEFAULT:
        raise UsageError(
            "features.detectron2_objects.weights: expected a checkpoint of the configuration, or `random` for a trial; "
            "there is no default."
        )
    return weight_files.identity(weights, seed, "")


def tensors(weights: str) -> Mapping[str, "torch.Tensor"]:
    """The network's tensors by name, without the rest of the checkpoint (optimiser, iteration)."""
    import numpy as np
    import torch

    from m3h.pipeline.extractors.butd.layouts import unwrapped

    file = weight_files.find_file(weights)
    content = unwrapped(read_pickle(file) if file.suffix == ".pkl" else weight_files.read_tensors(file))
    return {
        name: torch.as_tensor(value) for name, value in content.items() if isinstance(value, np.ndarray | torch.Tensor)
    }


def bottom_up_tensors(weights: str) -> Mapping[str, "torch.Tensor"]:
    """The tensors of bottom-up attention, from one of the layouts with detectron2's boxes."""
    from m3h.pipeline.extractors.butd.boxes import DETECTRON2
    from m3h.pipeline.extractors.butd.layouts import read_weights

    found, convention = read_weights(weight_files.find_file(weights))
    if convention != DETECTRON2:
        raise UsageError(
            f"weights {weights}: expected boxes as detectron2 codes them, got {convention.name}'s; "
            "the feature butd_objects reads both."
        )
    return found


def fitting_tensors(network: "torch.nn.Module", weights: str) -> Mapping[str, "torch.Tensor"]:
    """The tensors of a checkpoint. UsageError when they do not fit `network`; it names the first such tensor.

    network: it may be on the device `meta`, without values.
    """
    from m3h.pipeline.extractors.detectron.butd_graph import BottomUpROIHeads

    is_bottom_up = isinstance(network.roi_heads, BottomUpROIHeads)
    found = bottom_up_tensors(weights) if is_bottom_up else tensors(weights)
    weight_files.check_tensors(network, found, weights)
    for name, anchors_a4 in anchors(network).items():
        if name in found and found[name].shape != anchors_a4.shape:
            got = len(found[name])
            raise UsageError(f"weights {weights}: expected {len(anchors_a4)} anchors of the configuration, got {got}.")
    return found


def anchors(network: "torch.nn.Module") -> Mapping[str, "torch.Tensor"]:
    """The anchors of each level, (A, 4), under the names that they have in older checkpoints."""
    generator: Any = network.get_submodule("proposal_generator.anchor_generator")
    cells = generator.cell_anchors
    return {f"{ANCHORS}{level}": anchors_a4 for level, anchors_a4 in enumerate(cells.buffers())}


def fill(network: "torch.nn.Module", weights: str) -> "torch.nn.Module":
    """`network` with the tensors of the checkpoint.

    If the checkpoint has anchors, its network was trained with them, so they replace those of the configuration.
    """
    found = fitting_tensors(network, weights)
    weight_files.load_strictly(network, found, weights)
    for name, anchors_a4 in anchors(network).items():
        anchors_a4.copy_(found.get(name, anchors_a4))
    return network
