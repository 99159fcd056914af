"""Checkpoints: the state of a training in a few files, from which a killed run resumes.

checkpoint/state.json               the trainer's numbers, and names and sha256 of the next two files; written last
checkpoint/step-N.safetensors       weights and optimizer after step N of the run
checkpoint/best-N.safetensors       the weights of the best epoch, N
checkpoint/soft_labels.safetensors  for distillation; written once, before the first step

No random states are stored: order and dropout of a batch depend only on seed, epoch, step and process.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from m3h.model.data.tensor_files import Tensors, load_tensors, save_tensors
from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish_json, read_json, sha256_file

WEIGHTS, OPTIMIZER = "model.", "optimizer."


class Checkpoints:
    """The checkpoint of a run folder. state.json names its files, so a kill between two files leaves the older one."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "checkpoint"
        self.soft_labels = self.folder / "soft_labels.safetensors"

    @property
    def exists(self) -> bool:
        """Whether there is one to resume from."""
        return (self.folder / "state.json").exists()

    def save(self, numbers: Mapping[str, Any], step: int, tensors: Tensors, *, best_epoch: int, best: Tensors) -> None:
        """Replace the checkpoint.

        Args:
            numbers: the trainer's `State`, JSON-ready.
            step: steps of the run so far.
            tensors: from `with_optimizer`.
            best_epoch: 0 before there is one.
            best: its weights, or {}. They are written only if this epoch's file is not there yet.
        """
        files = {"step": f"step-{step}.safetensors", **({"best": f"best-{best_epoch}.safetensors"} if best else {})}
        stored = read_json(self.folder / "state.json")["files"] if self.exists else {}
        save_tensors(self.folder / files["step"], tensors)
        if best and files["best"] not in stored:
            save_tensors(self.folder / files["best"], best)
        hashes = {name: stored.get(name) or sha256_file(self.folder / name) for name in files.values()}
        publish_json(self.folder / "state.json", {"numbers": numbers, **files, "files": hashes})
        for path in self.folder.iterdir():
            if path.name not in {*hashes, "state.json", self.soft_labels.name}:
                path.unlink()

    def load(self) -> tuple[dict[str, Any], Tensors, Tensors]:
        """Inverse of `save`: numbers, tensors and the weights of the best epoch ({} before there is one).

        Raises:
            IntegrityError: a file is missing or damaged.
        """
        state_file = self.folder / "state.json"
        state = read_json(state_file)
        try:
            named = {state["step"], *([state["best"]] if "best" in state else [])}
            if named != state["files"].keys() or any(Path(name).name != name for name in named):
                raise ValueError("it names other files than a run has")
            numbers = dict(state["numbers"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"{state_file}: not the state of a run ({error!r}). Train again with --overwrite."
            ) from error
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
        """Delete the checkpoint. state.json goes first: without it the other files are ignored."""
        (self.folder / "state.json").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def with_optimizer(weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> Tensors:
    """Weights and the moments of the optimizer, under flat names."""
    moments = {
        f"{OPTIMIZER}{parameter}.{name}": tensor
        for parameter, state in optimizer.state_dict()["state"].items()
        for name, tensor in state.items()
    }
    return {**{f"{WEIGHTS}{name}": weight for name, weight in weights.items()}, **moments}


def restore(tensors: Tensors, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Inverse of `with_optimizer`. Settings of the optimizer, such as its learning rate, stay as they are.

    Args:
        tensors: from `with_optimizer`.
        model: its weights are replaced.
        optimizer: its moments are replaced.
    """
    moments: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        if name.startswith(OPTIMIZER):
            parameter, moment = name.removeprefix(OPTIMIZER).split(".")
            moments.setdefault(int(parameter), {})[moment] = tensor
    model.load_state_dict({n.removeprefix(WEIGHTS): t for n, t in tensors.items() if n.startswith(WEIGHTS)})
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
