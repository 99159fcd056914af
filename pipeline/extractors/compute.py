"""What all networks share: where they compute, how exactly, and what is done when memory runs out.

The same inputs give the same bits on one kind of hardware: on CPU one thread computes, on CUDA TF32 and the choice of
algorithms by trial are off. bf16 and fp16 are torch's autocast; weights and outputs stay fp32.
"""

import ctypes
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

import pydantic

from schemas.config import Settings
from schemas.errors import UsageError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)


class ComputeSettings(Settings):
    """Options of every feature that a network computes."""

    weights: str = "default"  # default (the published ones), random, or a file
    seed: int = 0  # of random weights
    batch_size: int = pydantic.Field(8, ge=1)  # the last bits depend on it, so it is part of the fingerprint
    device: Literal["auto", "cuda", "cpu"] = "auto"  # auto: CUDA where there is one; never part of the fingerprint
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    store: Literal["float16", "float32"] = "float16"  # the type of stored arrays
    accelerator: str = ""  # for a cluster, Beam's hint: type:nvidia-l4;count:1;install-nvidia-driver


def find_device(asked: str, feature: str) -> "torch.device":
    """The device a setting means on this machine. UsageError where CUDA is asked for and there is none."""
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"features.{feature}.device=cuda: torch {torch.__version__} finds no CUDA device here. "
            "Mend the driver, or say device=cpu."
        )
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def has_gpu() -> bool:
    """Whether torch would find a CUDA device. Where there is no driver, torch need not be imported to know."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def compute_exactly(device: "torch.device") -> None:
    """Settle, for this process, all that would make bits depend on more than the inputs and the hardware."""
    import torch

    if device.type == "cpu":
        torch.set_num_threads(1)
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def autocast(device: "torch.device", precision: str) -> AbstractContextManager[None]:
    """The context in which a network of that precision runs."""
    import torch

    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype={"bf16": torch.bfloat16, "fp16": torch.float16}[precision])


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not allocate, on a GPU or (where it raises a plain RuntimeError) on a CPU."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


class Pieces:
    """Computes a batch, in halves from the moment on that memory did not suffice for the whole.

    A row computed in smaller pieces differs from one in a whole batch by rounding alone: at fp32 by less than 1e-5 of
    the largest value (tested). Sameness to the bit is promised where memory suffices.
    """

    def __init__(self, feature: str) -> None:
        self._feature = feature
        self.at_once: int | None = None  # None: memory has always sufficed

    def __call__(self, compute: Callable[["torch.Tensor"], Sequence["torch.Tensor"]], batch: "torch.Tensor"):  # type: ignore[no-untyped-def]
        """compute: a piece of `batch` (axis 0) to tensors with the same axis 0. Returns these of the whole batch."""
        import torch

        at_once = min(self.at_once or len(batch), len(batch))
        while True:
            try:
                found = [compute(piece) for piece in batch.split(at_once)]
                return [torch.cat(tensors) for tensors in zip(*found, strict=True)]
            except RuntimeError as error:
                if at_once == 1 or not is_out_of_memory(error):
                    raise
            at_once = self.at_once = (at_once + 1) // 2
            log.warning("%s: out of memory; going on with %d at once", self._feature, at_once)
            if batch.is_cuda:
                torch.cuda.empty_cache()
