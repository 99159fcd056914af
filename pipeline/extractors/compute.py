"""What all networks share: the device, the precision, and what happens when memory runs out.

On one kind of hardware the same inputs give the same bits. On a CPU one thread computes; on CUDA, TF32 and cuDNN's
benchmarking of algorithms are off. bf16 and fp16 use torch's autocast; weights and outputs stay fp32.
"""

import ctypes
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

import pydantic

from m3h.schemas.config import Settings
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


AUTO = "auto"
"""The engine that is measured and named where features are computed: fastest.py."""


class ComputeSettings(Settings):
    """Options of every feature that a network computes."""

    weights: str = "default"  # default (the published ones), random, or a file
    seed: int = 0  # of random weights
    batch_size: int = pydantic.Field(8, ge=1)  # the last bits depend on it, so it is part of the fingerprint
    device: Literal["auto", "cuda", "cpu"] = "auto"  # auto: CUDA if there is a device; not part of the fingerprint
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    engine: Literal["auto", "torch", "onnxruntime", "openvino"] = "torch"  # who computes; auto: the fastest one here
    store: Literal["float16", "float32"] = "float16"  # the type of stored arrays
    accelerator: str = ""  # Beam's resource hint for a cluster: type:nvidia-l4;count:1;install-nvidia-driver


def find_device(setting: str, feature: str) -> "torch.device":
    """The device for the setting auto, cuda or cpu on this machine. UsageError for cuda without a CUDA device."""
    import torch

    if setting == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"features.{feature}.device=cuda: torch {torch.__version__} finds no CUDA device here. "
            "Repair the driver, or set device=cpu."
        )
    return torch.device("cuda" if setting != "cpu" and torch.cuda.is_available() else "cpu")


def has_gpu() -> bool:
    """Whether torch finds a CUDA device. Without a driver the answer does not need the import of torch."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def compute_exactly(device: "torch.device") -> None:
    """Configure torch in this process so that results depend only on the inputs and the hardware."""
    import torch

    if device.type == "cpu":
        torch.set_num_threads(1)
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def autocast(device: "torch.device", precision: str) -> AbstractContextManager[None]:
    """The context in which a network computes with this precision: fp32, bf16 or fp16."""
    import torch

    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype={"bf16": torch.bfloat16, "fp16": torch.float16}[precision])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not allocate memory, on a GPU or on a CPU, where it raises a plain RuntimeError."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


class BatchSplitter:
    """Computes a batch as a whole until memory runs out once, and in smaller parts from then on.

    A row that is computed in a smaller part differs only by rounding: at fp32 by less than 1e-5 of the largest value
    (tested). Rows are equal to the bit only as long as memory suffices.
    """

    def __init__(self, feature: str) -> None:
        self._feature = feature
        self.at_once: int | None = None  # most rows computed together; None: the whole batch

    def __call__(
        self, compute: Callable[["torch.Tensor"], Sequence["torch.Tensor"]], batch: "torch.Tensor"
    ) -> list["torch.Tensor"]:
        """The tensors of the whole batch. compute: turns a part of `batch` (axis 0) into tensors with this axis."""
        import torch

        at_once = min(self.at_once or len(batch), len(batch))
        while True:
            try:
                outputs = [compute(part) for part in batch.split(at_once)]
                return [torch.cat(tensors) for tensors in zip(*outputs, strict=True)]
            except RuntimeError as error:
                if at_once == 1 or not is_out_of_memory(error):
                    raise
            at_once = self.at_once = (at_once + 1) // 2
            log.warning("%s: out of memory; continuing with %d at once", self._feature, at_once)
            if batch.is_cuda:
                torch.cuda.empty_cache()
