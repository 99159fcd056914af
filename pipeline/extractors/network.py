"""The base class of features that a torch network computes from batches of inputs with one shape."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.extractors.compute import (
    AUTO,
    BatchSplitter,
    ComputeSettings,
    autocast,
    compute_exactly,
)
from m3h.pipeline.extractors.computing.catalog import ENGINES, engine
from m3h.pipeline.extractors.computing.engine import Engine
from m3h.pipeline.extractors.computing.graph import Subject
from m3h.pipeline.extractors.imagenet import SIDE
from m3h.pipeline.extractors.weights import RANDOM
from m3h.schemas.errors import UsageError
from m3h.schemas.features import Row

if TYPE_CHECKING:
    import torch


class NetworkExtractor(Extractor):
    """Chooses the engine, the device, the precision and the size of batches. A subclass defines network and rows.

    one_pass: whether all of it is one pass of the network, which an engine can read as a graph.
    """

    one_pass: ClassVar[bool] = True
    Settings = ComputeSettings
    memory_gb = 4.0

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.batch_size = settings.batch_size
        self.spec = self.spec.stored_as(settings.store)

    def fingerprint_parts(self) -> Mapping[str, object]:
        """Weights, precision, memory layout or engine, and batch size. A subclass adds its preprocessing.

        UsageError also where the engine can do on no machine what the settings ask for.
        """
        self._refuse()
        compute = "float32" if self.settings.precision == "fp32" else self.settings.precision
        return {
            "weights": self.weights_identity(),
            "compute": f"{compute} {self._engine.identity(self.spec.name)}",
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

    @cached_property
    def _engine(self) -> Engine:
        if self.settings.engine == AUTO:
            raise UsageError(
                f"features.{self.spec.name}.engine=auto: only build, plan and refresh choose an engine. Name one: "
                f"{', '.join(ENGINES)}."
            )
        return engine(self.settings.engine)

    def about(self) -> Subject:
        """The network and its input, for an engine that reads it as a graph."""
        return Subject(self.spec.name, self.spec.name, (3, SIDE, SIDE))

    @property
    def accelerated(self) -> bool:
        """Whether its engine computes on a GPU with these settings on this machine."""
        return self._engine.accelerated(self.settings.device)

    def require(self) -> None:
        """UsageError when this machine does not have the engine or the device of the settings."""
        self._engine.require(self.spec.name, self.settings)
        self._refuse()

    def _refuse(self) -> None:
        name, chosen = self.spec.name, self.settings.engine
        self._engine.refuse(name, self.settings)
        if not (self.one_pass or self._engine.calls_network):
            raise UsageError(
                f"features.{name}.engine={chosen}: the detector of {name} is several networks with code between them, "
                "which cannot be exported as one. Set engine=torch."
            )

    def notes(self) -> list[str]:
        """A warning when the weights are random."""
        return [f"{self.spec.name} has random weights: for trials only."] if self.settings.weights == RANDOM else []

    def load(self) -> None:
        """Build the network on its device, and give it to its engine."""
        self.require()
        self._device = self._engine.device(self.settings.device, self.spec.name)
        compute_exactly(self._device)
        network = self.network().eval()
        if self._engine.calls_network and self._device.type == "cpu" and self.settings.precision == "fp32":
            network = self.faster_on_cpu(network)
        self._network: Any = self._engine.ready(network, self._device, self.about())
        self._splitter = BatchSplitter(self.spec.name)

    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """The rows of a batch of prepared pictures, arrays of one shape (3, H, W)."""
        return self.rows(self.outputs(inputs))

    def outputs(self, inputs: Sequence[Any]) -> list["torch.Tensor"]:
        """The network's outputs for a batch of prepared pictures, fp32, on CPU."""
        import numpy as np
        import torch

        batch_bchw = self._engine.place(torch.from_numpy(np.stack(inputs)), self._device)
        with torch.inference_mode(), autocast(self._device, self.settings.precision):
            outputs = self._splitter(self._forward, batch_bchw)
        return [output.float().cpu() for output in outputs]

    def _forward(self, batch: "torch.Tensor") -> tuple["torch.Tensor", ...]:
        outputs = self._network(batch)
        return outputs if isinstance(outputs, tuple) else (outputs,)
