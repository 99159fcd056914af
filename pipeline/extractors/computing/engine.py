"""The interface of an engine, the library that computes a network's passes, and what those share that read a graph."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from m3h.pipeline.extractors.computing.graph import Subject, write_graph
from m3h.pipeline.runtime.temporary_folder import temporary_folder
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from m3h.pipeline.extractors.compute import ComputeSettings

Pass = Callable[["torch.Tensor"], "torch.Tensor | tuple[torch.Tensor, ...]"]
"""Inputs (B, 3, H, W), fp32 -> the network's outputs, each with the axis B first."""


class Engine(ABC):
    """One library. It keeps nothing of a network: `ready` gives what computes.

    calls_network: whether it calls the network itself, so that its parts can be replaced or called one by one.
    """

    calls_network: ClassVar[bool]

    def missing(self) -> str:
        """Which package it needs that is not installed here, and how to install it; "" where it can compute."""
        return ""

    @abstractmethod
    def identity(self, feature: str) -> str:
        """What of it decides the last bits, for a fingerprint. UsageError where it is not installed."""

    @abstractmethod
    def refuse(self, feature: str, settings: "ComputeSettings") -> None:
        """UsageError where it can do on no machine what the settings of this feature ask for."""

    @abstractmethod
    def require(self, feature: str, settings: "ComputeSettings") -> None:
        """UsageError where it cannot do on this machine what the settings of this feature ask for."""

    @abstractmethod
    def accelerated(self, device: str) -> bool:
        """Whether it computes on a GPU, for the setting auto, cuda or cpu."""

    @abstractmethod
    def device(self, setting: str, feature: str) -> "torch.device":
        """Where the network lies, for the setting auto, cuda or cpu."""

    @abstractmethod
    def place(self, batch_bchw: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
        """Inputs, from CPU, as it reads them fastest."""

    @abstractmethod
    def ready(self, network: "torch.nn.Module", device: "torch.device", about: Subject) -> Pass:
        """What computes this network's passes. UsageError where it cannot.

        Args:
            network: fp32, on CPU, as it is when it computes.
            device: where it is to lie.
            about: the network.
        """


class GraphEngine(Engine):
    """A library that reads a network as a file of ONNX and computes at fp32, with one thread, on a CPU.

    name: of the library's package, of m3h's extra with it, and of the setting `engine`.
    """

    calls_network = False
    name: ClassVar[str]

    def missing(self) -> str:
        """Its own package, or that of torch's exporter."""
        for package in (self.name, "onnxscript"):
            try:
                version(package)
            except PackageNotFoundError:
                return f"{package} is not installed here. Install it: pip install 'm3h[{self.name}]'"
        return ""

    def identity(self, feature: str) -> str:
        """Its version. The exporter's is left out, as torch's is."""
        if absent := self.missing():
            raise UsageError(
                f"features.{feature}.engine={self.name}: {absent}; or set engine=torch, for another version of it."
            )
        return f"{self.name} {version(self.name)}"

    def require(self, feature: str, settings: "ComputeSettings") -> None:
        """It is installed."""
        self.identity(feature)

    def refuse(self, feature: str, settings: "ComputeSettings") -> None:
        """The settings ask for fp32 on a CPU."""
        for option, found, allowed in (
            ("device", settings.device, ("auto", "cpu")),
            ("precision", settings.precision, ("fp32",)),
        ):
            if found not in allowed:
                raise UsageError(
                    f"features.{feature}.{option}={found}: engine={self.name} computes at fp32 on a CPU only. "
                    f"Set {option}={allowed[-1]}, or engine=torch."
                )

    def accelerated(self, device: str) -> bool:
        """Never."""
        return False

    def device(self, setting: str, feature: str) -> "torch.device":
        """Always the CPU."""
        import torch

        return torch.device("cpu")

    def place(self, batch_bchw: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
        """As they are."""
        return batch_bchw

    def ready(self, network: "torch.nn.Module", device: "torch.device", about: Subject) -> Pass:
        """Export the network and read it. Its file is gone afterwards."""
        import torch

        with temporary_folder("m3h-graph-") as folder:
            file = folder / "network.onnx"
            write_graph(network, about, file, engine=self.name)
            compute = self.read(file)

        def one_pass(batch: "torch.Tensor") -> "tuple[torch.Tensor, ...]":
            try:
                return tuple(torch.from_numpy(output) for output in compute(batch.numpy()))
            except MemoryError as error:
                raise torch.OutOfMemoryError(str(error)) from error  # as torch says it: the batch is split

        return one_pass

    @abstractmethod
    def read(self, file: Path) -> "Callable[[np.ndarray], Sequence[np.ndarray]]":
        """What computes a graph's outputs from its one input. It may be called in several threads.

        It raises MemoryError when memory does not suffice for a batch.
        """
