"""Writes a network as a graph that other libraries read, by torch's exporter to ONNX."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import torch

_BATCH = 2
"""Inputs of the trial: an axis of length 1 would be taken for a fixed one."""
_MOST = 1 << 16
"""Inputs of a batch. Older versions of torch refuse an axis without a limit."""
_TALKATIVE = ("onnxscript", "onnx_ir")
"""Libraries of torch's exporter that log each of their steps at the level of our own lines."""


@dataclass(frozen=True)
class Subject:
    """What is computed. feature, network: their names, for messages. shape: of an input, (3, H, W)."""

    feature: str
    network: str
    shape: tuple[int, ...]


def write_graph(network: "torch.nn.Module", about: Subject, file: Path, *, engine: str) -> None:
    """Write a network for batches of any size; its weights lie beside it, for a file of ONNX holds 2 GB at most.

    Args:
        network: as it is when it computes, on CPU.
        about: the network.
        file: where.
        engine: which is to read it, for the error message.

    Raises:
        UsageError: the exporter cannot write this network.
    """
    import torch

    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)
    example, axes = torch.zeros(_BATCH, *about.shape), ({0: torch.export.Dim("batch", max=_MOST)},)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own parts use what torch deprecates
            # In two steps: by itself torch.onnx.export of older versions falls back to tracing, which takes the branch
            # that the example takes for the only one.
            program = torch.export.export(network, (example,), dynamic_shapes=axes, strict=False)
            graph = torch.onnx.export(program, dynamo=True, verbose=False)
    except Exception as error:  # of many classes, torch's and Python's own
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UsageError(
            f"features.{about.feature}.engine={engine}: torch cannot export the network {about.network} as a graph. "
            f"Set engine=torch. ({said})"
        ) from error
    assert graph is not None  # noqa: S101 (it is where dynamo=True)
    graph.save(file, external_data=True)
