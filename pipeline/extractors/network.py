"""A feature that a torch network computes from a stack of inputs of one shape."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.extractors.base import Extractor
from pipeline.extractors.compute import ComputeSettings, Pieces, autocast, compute_exactly, find_device, has_gpu
from pipeline.extractors.weights import RANDOM
from schemas.features import Row

if TYPE_CHECKING:
    import torch


class NetworkExtractor(Extractor):
    """Where it computes, how exactly, in which pieces. A subclass says what the network is and what its rows are."""

    Settings = ComputeSettings
    memory_gb = 4.0

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.batch_size = settings.batch_size
        self.spec = self.spec.stored_as(settings.store)

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Weights, precision, memory layout and batch size. A subclass adds its preprocessing."""
        compute = "float32" if self.settings.precision == "fp32" else self.settings.precision
        return {
            "weights": self.weights_identity(),
            "compute": f"{compute} channels_last",
            "batch_size": self.batch_size,
        }

    @abstractmethod
    def weights_identity(self) -> Any:
        """What the weights are, without loading them. UsageError where they are a file that is not there."""

    @abstractmethod
    def network(self) -> "torch.nn.Module":
        """The network with its weights, fp32, on CPU."""

    def quickened(self, network: "torch.nn.Module") -> "torch.nn.Module":
        """What a CPU computes faster in place of `network` at fp32, equal but for rounding."""
        return network

    @abstractmethod
    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """Rows of a batch. outputs: what the network gave for it, fp32, on CPU."""

    @property
    def accelerated(self) -> bool:
        """Whether it computes on a GPU: asked for, here or on a cluster's workers, or found here."""
        asked = self.settings.device
        return asked == "cuda" or (asked == "auto" and has_gpu())

    def require(self) -> None:
        """UsageError where this machine lacks the device that is asked for."""
        if self.settings.device == "cuda":
            find_device("cuda", self.spec.name)

    def notes(self) -> list[str]:
        """Random weights are said aloud."""
        return [f"{self.spec.name} has random weights: for trials only."] if self.settings.weights == RANDOM else []

    def load(self) -> None:
        """Build the network where it shall compute."""
        import torch

        self._device = find_device(self.settings.device, self.spec.name)
        compute_exactly(self._device)
        network = self.network().eval()
        if self._device.type == "cpu" and self.settings.precision == "fp32":
            network = self.quickened(network)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._pieces = Pieces(self.spec.name)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """A batch of prepared pictures, each an array of one shape (3, H, W)."""
        import numpy as np
        import torch

        batch_bchw = torch.from_numpy(np.stack(inputs)).to(self._device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(self._device, self.settings.precision):
            outputs = self._pieces(self._forward, batch_bchw)
        return self.rows([output.float().cpu() for output in outputs])

    def _forward(self, piece: "torch.Tensor") -> tuple["torch.Tensor", ...]:
        found = self._network(piece)
        return found if isinstance(found, tuple) else (found,)
