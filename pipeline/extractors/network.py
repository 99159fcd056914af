"""The base class of features that a torch network computes from batches of inputs with one shape."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.extractors.compute import (
    BatchSplitter,
    ComputeSettings,
    autocast,
    compute_exactly,
    find_device,
    has_gpu,
)
from m3h.pipeline.extractors.weights import RANDOM
from m3h.schemas.features import Row

if TYPE_CHECKING:
    import torch


class NetworkExtractor(Extractor):
    """Chooses the device, the precision and the size of batches. A subclass defines the network and its rows."""

    Settings = ComputeSettings
    memory_gb = 4.0

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.batch_size = settings.batch_size
        self.spec = self.spec.stored_as(settings.store)

    def fingerprint_parts(self) -> Mapping[str, object]:
        """Weights, precision, memory layout and batch size. A subclass adds its preprocessing."""
        compute = "float32" if self.settings.precision == "fp32" else self.settings.precision
        return {
            "weights": self.weights_identity(),
            "compute": f"{compute} channels_last",
            "batch_size": self.batch_size,
        }

    @abstractmethod
    def weights_identity(self) -> str:
        """The identity of the weights, without loading them. UsageError when their file does not exist."""

    @abstractmethod
    def network(self) -> "torch.nn.Module":
        """The network with its weights, fp32, on CPU."""

    def faster_on_cpu(self, network: Any) -> "torch.nn.Module":
        """A network that a CPU computes faster at fp32. Its values differ from those of `network` only by rounding."""
        return network

    @abstractmethod
    def rows(self, outputs: Sequence["torch.Tensor"]) -> list[Row]:
        """The rows of a batch. outputs: the network's outputs for the batch, fp32, on CPU."""

    @property
    def accelerated(self) -> bool:
        """Whether it computes on a GPU: because the settings say so, or because `auto` finds one on this machine."""
        device = self.settings.device
        return device == "cuda" or (device == "auto" and has_gpu())

    def require(self) -> None:
        """UsageError when this machine does not have the device of the settings."""
        if self.settings.device == "cuda":
            find_device("cuda", self.spec.name)

    def notes(self) -> list[str]:
        """A warning when the weights are random."""
        return [f"{self.spec.name} has random weights: for trials only."] if self.settings.weights == RANDOM else []

    def load(self) -> None:
        """Build the network on its device."""
        import torch

        self._device = find_device(self.settings.device, self.spec.name)
        compute_exactly(self._device)
        network = self.network().eval()
        if self._device.type == "cpu" and self.settings.precision == "fp32":
            network = self.faster_on_cpu(network)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._splitter = BatchSplitter(self.spec.name)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """The rows of a batch of prepared pictures, arrays of one shape (3, H, W)."""
        return self.rows(self.outputs(inputs))

    def outputs(self, inputs: Sequence[Any]) -> list["torch.Tensor"]:
        """The network's outputs for a batch of prepared pictures, fp32, on CPU."""
        import numpy as np
        import torch

        batch_bchw = torch.from_numpy(np.stack(inputs)).to(self._device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(self._device, self.settings.precision):
            outputs = self._splitter(self._forward, batch_bchw)
        return [output.float().cpu() for output in outputs]

    def _forward(self, batch: "torch.Tensor") -> tuple["torch.Tensor", ...]:
        outputs = self._network(batch)
        return outputs if isinstance(outputs, tuple) else (outputs,)
