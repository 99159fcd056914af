"""Weights: `random` by name and seed, torchvision's own, or a file; each with an identity for the fingerprint."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import UsageError
from schemas.files import sha256_file

if TYPE_CHECKING:
    import torch

RANDOM, DEFAULT = "random", "default"


def identity(weights: str, seed: int, default: Any) -> str:
    """What the weights are, without loading them. default: torchvision's weights enum member.

    Raises UsageError where a file is named that is not there.
    """
    if weights == RANDOM:
        import torch

        return f"random seed {seed} torch {torch.__version__.split('+')[0]}"
    if weights == DEFAULT:
        return f"torchvision {default} {Path(default.url).name}"
    return f"sha256:{_digest(_existing(weights))}"


def state_dict(weights: str, default: Any) -> Mapping[str, "torch.Tensor"]:
    """The tensors of a file or of torchvision's download, by name. Nothing is ever unpickled but tensors."""
    import torch

    if weights == DEFAULT:
        try:
            return default.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise UsageError(
                f"weights {default.url}: cannot be fetched here ({error}). Fetch the file elsewhere and name it, "
                "or use `random` for a trial."
            ) from error
    path = _existing(weights)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def load_strictly(model: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"], weights: str) -> None:
    """Fill `model`; UsageError where a tensor is missing or of another shape. Tensors it has no place for are left."""
    wanted = model.state_dict()
    missing = [name for name in wanted if name not in tensors]
    wrong = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    if missing or wrong:
        first = (missing + wrong)[0]
        got = tuple(tensors[first].shape) if first in tensors else "nothing"
        raise UsageError(
            f"weights {weights}: expected {first} of shape {tuple(wanted[first].shape)}, got {got} "
            f"({len(missing)} missing, {len(wrong)} of another shape). Is it a file for this network?"
        )
    model.load_state_dict({name: tensors[name] for name in wanted})


def _existing(weights: str) -> Path:
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f"weights {weights}: expected `random`, `default` or a file, there is no such file.")
    return path


@cache
def _digest(path: Path) -> str:
    return sha256_file(path)
