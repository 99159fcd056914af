"""torch itself: it calls the network as it is, on a CPU or a GPU, in channels last."""

from typing import TYPE_CHECKING

from m3h.pipeline.extractors.compute import ComputeSettings, find_device, has_gpu
from m3h.pipeline.extractors.computing.engine import Engine, Pass
from m3h.pipeline.extractors.computing.graph import Subject

if TYPE_CHECKING:
    import torch


class WithTorch(Engine):
    """`engine=torch`."""

    calls_network = True

    def identity(self, feature: str) -> str:
        """The memory layout alone: no fingerprint has ever had torch's version."""
        return "channels_last"

    def refuse(self, feature: str, settings: ComputeSettings) -> None:
        """It can do all of it."""

    def require(self, feature: str, settings: ComputeSettings) -> None:
        """This machine has the device."""
        if settings.device == "cuda":
            find_device("cuda", feature)

    def accelerated(self, device: str) -> bool:
        """Because the settings say so, or because `auto` finds a GPU on this machine."""
        return device == "cuda" or (device == "auto" and has_gpu())

    def device(self, setting: str, feature: str) -> "torch.device":
        """As `find_device`."""
        return find_device(setting, feature)

    def place(self, batch_bchw: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
        """On the device, in channels last."""
        import torch

        return batch_bchw.to(device).contiguous(memory_format=torch.channels_last)

    def ready(self, network: "torch.nn.Module", device: "torch.device", about: Subject) -> Pass:
        """The network itself, on the device."""
        import torch

        return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
