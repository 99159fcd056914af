"""Finds and reads weights: random ones, torchvision's, a file, or an added file by name. Each has an identity."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from m3h.pipeline.extractors.file_contents.file_kinds import SAFETENSORS, TORCH, refuse_other_kinds
from m3h.pipeline.extractors.pickled import refuse_compressed
from m3h.pipeline.extractors.weight_store import find_added
from m3h.schemas.console import one_line
from m3h.schemas.errors import UsageError
from m3h.schemas.files import sha256_file

if TYPE_CHECKING:
    import torch

    from m3h.pipeline.extractors.backbones.published import PublishedWeights

RANDOM, DEFAULT = "random", "default"


def identity(weights: str, seed: int, default: str) -> str:
    """The identity of weights for a fingerprint, without loading them. UsageError when the file does not exist.

    Args:
        weights: random, default, a file, or a name that was given by `weights add`.
        seed: of random weights.
        default: the label of torchvision's weights, see `published.label`.
    """
    if weights == RANDOM:
        return f"random seed {seed} torch {version('torch').split('+')[0]}"
    if weights == DEFAULT:
        return f"torchvision {default}"
    path = find_file(weights)
    return f"sha256:{_digest(path, *_stamp(path))}"


def state_dict(weights: str, default: "PublishedWeights") -> Mapping[str, "torch.Tensor"]:
    """The tensors of a file by name, or those of `default`. Only tensors are ever unpickled.

    UsageError when the weights cannot be read or downloaded.
    """
    if weights == DEFAULT:
        try:
            return default.get_state_dict(progress=False, check_hash=True)
        except OSError as error:
            raise UsageError(
                f"weights {default.url}: cannot be downloaded here ({error}). Download the file elsewhere and name it, "
                "or use `random` for a trial."
            ) from error
    return cast("Mapping[str, torch.Tensor]", read_tensors(find_file(weights)))  # load_strictly checks each tensor


def read_tensors(path: Path) -> object:
    """The content of a file that torch or safetensors wrote, on the CPU: usually tensors by name.

    Numbers and arrays of numpy are read too, which torch refuses. UsageError for any other file, and for a file that
    would run code.
    """
    import pickle

    import torch
    from safetensors.torch import load_file

    from m3h.pipeline.extractors.file_contents.numpy_pickles import REPLACEMENTS

    if path.suffix == ".safetensors":
        refuse_other_kinds(path, "a file of safetensors", SAFETENSORS)
    else:
        refuse_other_kinds(path, "a file of torch.save", TORCH)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        refuse_compressed(path)
        numpy_names: list[Any] = [(stand_in, f"{module}.{name}") for (module, name), stand_in in REPLACEMENTS.items()]
        with torch.serialization.safe_globals(numpy_names):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(f"weights {path}: {_refusal(str(error))}") from error
    except Exception as error:  # torch's reader can raise any error for a damaged file
        raise UsageError(f"weights {path}: not readable as tensors ({_brief(error)}). Is the file complete?") from error


def _refusal(said: str) -> str:
    """What is wrong with a pickle, from torch's paragraph about it."""
    if named := re.search(r"GLOBAL ([\w.]{1,200})", said):
        found = named[1].removeprefix("builtins.")
        return (
            f"expected only tensors, found {found}, which would run code. Nothing in it was run. Where you trust "
            "the file, save the state_dict() of its network in the program that wrote it, and name that file."
        )
    reason = said.rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0]
    return f"expected only tensors ({one_line(reason)[:100]}). Nothing in it was run."


def _brief(error: Exception) -> str:
    """The first line of an error of a library, without the rest, such as the functions of its C++ code."""
    return one_line(str(error).strip().partition("\n")[0])[:200] or type(error).__name__


def load_strictly(model: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"], weights: str) -> None:
    """Load tensors into `model`. Tensors that the model does not have are ignored.

    UsageError when a tensor is missing or has another shape.

    Args:
        model: the network to fill.
        tensors: the tensors by name.
        weights: the name of the weights, for the error message.
    """
    check_tensors(model, tensors, weights)
    model.load_state_dict({name: tensors[name] for name in model.state_dict()})


def check_tensors(model: "torch.nn.Module", tensors: Mapping[str, object], weights: str) -> None:
    """Check that `tensors` has every tensor of `model` with the right shape.

    Args:
        model: the network; it may be on the device `meta`, because only its shapes are read.
        tensors: the tensors by name.
        weights: the name of the weights, for the error message.

    Raises:
        UsageError: a tensor is missing or has another shape.
    """
    expected = model.state_dict()
    missing = [name for name in expected if name not in tensors]
    wrong = [name for name in expected if name in tensors and _shape(tensors[name]) != tuple(expected[name].shape)]
    if missing or wrong:
        first = (missing + wrong)[0]
        got = _shape(tensors[first]) if first in tensors else "nothing"
        raise UsageError(
            f"weights {weights}: expected {first} of shape {tuple(expected[first].shape)}, got {got} "
            f"({len(missing)} missing, {len(wrong)} of another shape). Is it a file for this network?"
        )


def _shape(value: object) -> object:
    """The shape of a tensor as a tuple; the name of the type of anything else."""
    import torch

    return tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__


def find_file(weights: str) -> Path:
    """The file of weights: a path, or a name given by `weights add`. UsageError when neither exists."""
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
            f"found {sha256_file(added.path)}. Add it again."
        )
    return added.path


def _stamp(path: Path) -> tuple[int, int]:
    """The modification time and the size of a file: one of them changes when the file changes."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@cache
def _digest(path: Path, *_stamp: int) -> str:
    return sha256_file(path)
