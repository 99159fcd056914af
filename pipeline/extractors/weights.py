"""Weights: `random` by seed, torchvision's own, a file, or one that was added by name; each with an identity."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.extractors.pickled import refuse_packed
from pipeline.extractors.weight_store import find_added
from schemas.errors import UsageError
from schemas.files import sha256_file

if TYPE_CHECKING:
    import torch

RANDOM, DEFAULT = "random", "default"


def identity(weights: str, seed: int, default: str) -> str:
    """What the weights are, without loading them. default: what torchvision's are called.

    Raises UsageError where a file is named that is not there.
    """
    if weights == RANDOM:
        return f"random seed {seed} torch {version('torch').split('+')[0]}"
    if weights == DEFAULT:
        return f"torchvision {default}"
    path = existing(weights)
    return f"sha256:{_digest(path, *_stamp(path))}"


def state_dict(weights: str, default: Any) -> Mapping[str, "torch.Tensor"]:
    """The tensors of a file or of torchvision's download, by name. Nothing is ever unpickled but tensors.

    default: member of torchvision's enum.
    """
    if weights == DEFAULT:
        try:
            return default.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise UsageError(
                f"weights {default.url}: cannot be fetched here ({error}). Fetch the file elsewhere and name it, "
                "or use `random` for a trial."
            ) from error
    return read_tensors(existing(weights))


def read_tensors(path: Path) -> Mapping[str, Any]:
    """What torch or safetensors wrote, on the CPU. UsageError for any other file, and for one that would run code."""
    import pickle

    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        refuse_packed(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = " ".join(str(error).split())[:300]
        raise UsageError(
            f"weights {path}: expected tensors alone. Nothing in it was run. torch says: {reason}"
        ) from error
    except Exception as error:  # over a damaged file torch's reader stumbles in every way there is
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"weights {path}: not readable as tensors ({reason}). Is the file whole?") from error


def load_strictly(model: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"], weights: str) -> None:
    """Fill `model`; UsageError where a tensor is missing or of another shape. Tensors it has no place for are left."""
    refuse_misfit(model, tensors, weights)
    model.load_state_dict({name: tensors[name] for name in model.state_dict()})


def refuse_misfit(model: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"], weights: str) -> None:
    """UsageError where `tensors` do not fill `model`, of which nothing but the shapes matters."""
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


def existing(weights: str) -> Path:
    """The file that is meant: a path, or a name given by `weights add`. UsageError where there is neither."""
    path = Path(weights)
    if path.is_file():
        return path
    added = find_added(weights)
    if added is None:
        raise UsageError(
            f"weights {weights}: expected `random`, `default`, a file or a name given by `weights add`, "
            "there is no such file or name."
        )
    if _digest(added.path, *_stamp(added.path)) != added.sha256:
        raise UsageError(
            f"weights {weights}: {added.path} is not the file that was added, expected sha256 {added.sha256}, "
            f"found {sha256_file(added.path)}. Add it anew."
        )
    return added.path


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@cache
def _digest(path: Path, *_stamp: int) -> str:
    return sha256_file(path)
