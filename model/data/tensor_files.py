"""Named tensors in a safetensors file. Pickle is never used."""

from pathlib import Path

import safetensors
from safetensors.torch import load_file, save_file
from torch import Tensor

from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish

Tensors = dict[str, Tensor]


def save_tensors(path: Path, tensors: Tensors) -> None:
    """Write a safetensors file. The tensors may lie on any device."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    publish(path, lambda temp: save_file(on_cpu, temp))


def load_tensors(path: Path) -> Tensors:
    """Inverse of `save_tensors`, on the CPU.

    The tensors are copies in memory that torch allocated, as those that were written. The last bit of a matrix product
    depends on the address modulo 64, and tensors of a file lie anywhere.

    Raises:
        IntegrityError: the file is missing or is not a safetensors file.
    """
    try:
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(f"{path}: not readable as safetensors ({error}).") from error
