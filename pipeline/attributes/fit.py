"""Fitting the head: logistic regression for every attribute at once, by AdamW on standardised vectors.

It computes on the CPU with one thread, and the order of an epoch depends on seed and epoch alone. So a run that was
killed ends, from its checkpoint, with the bytes of one that was not. Axes: N pictures, D width, V attributes.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from pipeline.attributes.config import FitRules
from pipeline.attributes.metrics import both
from schemas.files import publish

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples:
    """vectors: (N, D) float32. gold: (N, V) bool. valid: (N,) bool, the others are learned from."""

    vectors: np.ndarray
    gold: np.ndarray
    valid: np.ndarray


@dataclass
class Fit:
    """Where a fit is. head: `weight` (V, D) and `bias` (V,) on standardised vectors; best: those of the best epoch.

    epochs: one entry a finished epoch: losses, map and recall_at_5 on the validating pictures.
    """

    head: dict[str, Tensor]
    moments: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The first one of the highest map, counted from 1; 0 before there is one."""
        return 1 + max(range(len(self.epochs)), key=lambda i: (self.epochs[i]["map"], -i)) if self.epochs else 0

    def save(self, path: Path, signature: str) -> None:
        """One file, whole or not at all. signature: of all that the fit depends on."""
        groups = {"head": self.head, "moments": self.moments, "best": self.best}
        tensors = {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
        metadata = {"signature": signature, "epochs": json.dumps(self.epochs)}
        publish(path, lambda temp: save_file(tensors, temp, metadata=metadata))

    @classmethod
    def load(cls, path: Path, signature: str) -> "Fit | None":
        """Inverse of `save`; None where there is no checkpoint of this very fit."""
        if not path.is_file():
            return None
        try:
            with safetensors.safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("signature") != signature:
                    log.info("%s is of another training: beginning anew", path)
                    return None
                fit = cls({}, epochs=json.loads(metadata["epochs"]))
                for name in file.keys():  # noqa: SIM118 (no mapping)
                    group, _, rest = name.partition(".")
                    getattr(fit, group)[rest] = file.get_tensor(name)
        except safetensors.SafetensorError as error:
            log.warning("%s: not readable (%s): beginning anew", path, error)
            return None
        return fit


class HeadTrainer:
    """Fits one head, an epoch at a time."""

    def __init__(self, examples: Examples, rules: FitRules) -> None:
        torch.set_num_threads(1)
        self._rules = rules
        train = ~examples.valid
        self._mean = examples.vectors[train].mean(0, dtype=np.float64)
        spread = examples.vectors[train].std(0, dtype=np.float64)
        self._spread = np.where(spread > 1e-6 * np.abs(self._mean), spread, np.inf)  # a dead channel says nothing
        standard = (examples.vectors - self._mean.astype(np.float32)) / self._spread.astype(np.float32)
        self._train = torch.from_numpy(standard[train]), torch.from_numpy(examples.gold[train])
        self._valid = torch.from_numpy(standard[examples.valid]), torch.from_numpy(examples.gold[examples.valid])
        self._frequency = examples.gold[train].mean(0)

    def baseline(self) -> dict[str, Any]:
        """Always answering the training pictures' most frequent attributes."""
        gold = self._valid[1].numpy()
        return both(np.tile(self._frequency, (len(gold), 1)), gold)

    def begin(self) -> Fit:
        """A head that answers every picture with the attributes' frequencies: there the fit starts."""
        share = torch.from_numpy(self._frequency).float().clamp(1e-4, 1 - 1e-4)
        return Fit({"weight": torch.zeros(len(share), self._train[0].shape[1]), "bias": share.logit()})

    def run(self, fit: Fit, done: Callable[[Fit], None]) -> Fit:
        """All epochs that are left. done: called after each."""
        while len(fit.epochs) < self._rules.epochs:
            entry = {"epoch": len(fit.epochs) + 1, "train_loss": self._epoch(fit), **self._validate(fit)}
            fit.epochs.append(entry)
            if fit.best_epoch == len(fit.epochs):
                fit.best = {name: tensor.clone() for name, tensor in fit.head.items()}
            log.info(
                "epoch %(epoch)d: loss %(train_loss).4f, validation %(valid_loss).4f, "
                "mAP %(map).4f, recall@5 %(recall_at_5).4f",
                entry,
            )
            done(fit)
        return fit

    def plain(self, head: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The same head on vectors as the backbone gives them: weight (V, D), bias (V,), float32."""
        weight = head["weight"].double() / torch.from_numpy(self._spread)
        return weight.float(), (head["bias"].double() - weight @ torch.from_numpy(self._mean)).float()

    def _epoch(self, fit: Fit) -> float:
        vectors, gold = self._train
        parameters = [torch.nn.Parameter(fit.head[name]) for name in ("weight", "bias")]
        optimizer = self._optimizer(parameters, fit.moments)
        mix = torch.Generator().manual_seed(self._rules.seed * 1_000_003 + len(fit.epochs))
        total = 0.0
        for rows in torch.randperm(len(vectors), generator=mix).split(self._rules.batch_size):
            logits = vectors[rows] @ parameters[0].T + parameters[1]
            loss = binary_cross_entropy_with_logits(logits, gold[rows].float(), reduction="none").sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        fit.head = {name: p.detach() for name, p in zip(("weight", "bias"), parameters, strict=True)}
        fit.moments = {
            f"{i}.{name}": tensor
            for i, state in optimizer.state_dict()["state"].items()
            for name, tensor in state.items()
        }
        return total / len(vectors)

    def _optimizer(self, parameters: list[torch.nn.Parameter], moments: dict[str, Tensor]) -> torch.optim.AdamW:
        optimizer = torch.optim.AdamW(parameters, self._rules.learning_rate, weight_decay=self._rules.weight_decay)
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in moments.items():
            i, _, name = key.partition(".")
            state.setdefault(int(i), {})[name] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return optimizer

    def _validate(self, fit: Fit) -> dict[str, Any]:
        vectors, gold = self._valid
        with torch.inference_mode():
            logits = vectors @ fit.head["weight"].T + fit.head["bias"]
            loss = binary_cross_entropy_with_logits(logits, gold.float(), reduction="none").sum(1).mean()
        return {"valid_loss": float(loss), **both(logits.numpy(), gold.numpy())}
