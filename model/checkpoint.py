"""A run that was killed goes on where it was: everything the trainer knows, in a few files.

checkpoint/state.json           the trainer's numbers, and the names and sha256 of the other two; written last
checkpoint/step-N.safetensors   weights and optimizer after step N of the run
checkpoint/best-N.safetensors   the weights of the best epoch, N
checkpoint/lessons.safetensors  what the training posts are taught, if they are; written once, before the first step

There are no random states to keep: a batch's order and its dropout depend on seed, epoch, step and process alone.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from schemas.errors import IntegrityError
from schemas.files import publish, publish_json, read_json, sha256_file

Tensors = dict[str, Tensor]
WEIGHTS, OPTIMIZER = "model.", "optimizer."


class Checkpoints:
    """Of one run folder. state.json names what belongs to it, so a kill between two files leaves the older whole."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "checkpoint"
        self.lessons = self.folder / "lessons.safetensors"

    @property
    def exists(self) -> bool:
        """Whether there is one to go on from."""
        return (self.folder / "state.json").exists()

    def save(self, numbers: Mapping[str, Any], step: int, tensors: Tensors, best_epoch: int, best: Tensors) -> None:
        """Replace the checkpoint. The best epoch's file is written only where it is a new one."""
        files = {"step": f"step-{step}.safetensors", **({"best": f"best-{best_epoch}.safetensors"} if best else {})}
        known = read_json(self.folder / "state.json")["files"] if self.exists else {}
        save_tensors(self.folder / files["step"], tensors)
        if best and files["best"] not in known:
            save_tensors(self.folder / files["best"], best)
        hashes = {name: known.get(name) or sha256_file(self.folder / name) for name in files.values()}
        publish_json(self.folder / "state.json", {"numbers": numbers, **files, "files": hashes})
        for path in self.folder.iterdir():
            if path.name not in {*hashes, "state.json", self.lessons.name}:
                path.unlink()

    def load(self) -> tuple[dict[str, Any], Tensors, Tensors]:
        """Inverse of `save`: numbers, tensors and the best epoch's weights ({} where there is none yet)."""
        told = self.folder / "state.json"
        state = read_json(told)
        try:
            named = {state["step"], *([state["best"]] if "best" in state else [])}
            if named != state["files"].keys() or any(Path(name).name != name for name in named):
                raise ValueError("it names other files than a run has")
            numbers = dict(state["numbers"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(f"{told}: not what a run writes ({error!r}). Train again with --overwrite.") from error
        for name, sha256 in state["files"].items():
            path = self.folder / name
            found = sha256_file(path) if path.exists() else "none"
            if found != sha256:
                raise IntegrityError(
                    f"{path}: sha256 is {found}, state.json says {sha256}. Train again with --overwrite."
                )
        best = load_tensors(self.folder / state["best"]) if "best" in state else {}
        return numbers, load_tensors(self.folder / state["step"]), best

    def remove(self) -> None:
        """The run is finished, or begins anew. state.json goes first: without it the rest is rubbish."""
        (self.folder / "state.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def save_tensors(path: Path, tensors: Tensors) -> None:
    """A safetensors file, from any device."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    publish(path, lambda temp: save_file(on_cpu, temp))


def load_tensors(path: Path) -> Tensors:
    """Inverse of `save_tensors`, on the CPU."""
    try:
        return load_file(path)
    except (OSError, safetensors.SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(f"{path}: not readable as safetensors ({error}).") from error


def with_optimizer(weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> Tensors:
    """Weights and the optimizer's moments, under flat names."""
    moments = {
        f"{OPTIMIZER}{parameter}.{name}": tensor
        for parameter, state in optimizer.state_dict()["state"].items()
        for name, tensor in state.items()
    }
    return {**{f"{WEIGHTS}{name}": weight for name, weight in weights.items()}, **moments}


def restore(tensors: Tensors, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Inverse of `with_optimizer`; rate and the like stay as the optimizer has them."""
    moments: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        if name.startswith(OPTIMIZER):
            parameter, moment = name.removeprefix(OPTIMIZER).split(".")
            moments.setdefault(int(parameter), {})[moment] = tensor
    model.load_state_dict({n.removeprefix(WEIGHTS): t for n, t in tensors.items() if n.startswith(WEIGHTS)})
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
