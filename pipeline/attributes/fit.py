"""Trains the head: logistic regression for all attributes at once, by AdamW on standardised vectors.

It runs on the CPU with one thread, and the order of an epoch depends only on the seed and the epoch. So a run that was
killed continues from its checkpoint and ends with the same bytes as a run that was not killed. Every factor of a matrix
product is in memory that torch allocated: the product's last bit depends on the address modulo 64, and NumPy's arrays
and tensors of a safetensors file lie anywhere.

Axes: N pictures, D width of a vector, V attributes.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from m3h.pipeline.attributes.config import FitRules
from m3h.pipeline.attributes.metrics import EpochRecord, Metrics, validation_metrics
from m3h.schemas.files import publish

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Examples:
    """The pictures. vectors: (N, D) float32. gold: (N, V) bool. valid: (N,) bool, True for validation pictures."""

    vectors: np.ndarray
    gold: np.ndarray
    valid: np.ndarray


@dataclass
class Fit:
    """The state of a training.

    head: `weight` (V, D) and `bias` (V,) for standardised vectors. moments: AdamW's state. best: the head of the best
    epoch. epochs: one record per finished epoch.
    """

    head: dict[str, Tensor]
    moments: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    epochs: list[EpochRecord] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest mAP, counted from 1; 0 before the first epoch."""
        return 1 + max(range(len(self.epochs)), key=lambda i: (self.epochs[i]["map"], -i)) if self.epochs else 0

    def save(self, path: Path, signature: str) -> None:
        """Write a checkpoint atomically. signature: a hash of everything that the training depends on."""
        groups = {"head": self.head, "moments": self.moments, "best": self.best}
        tensors = {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
        metadata = {"signature": signature, "epochs": json.dumps(self.epochs)}
        publish(path, lambda temp: save_file(tensors, temp, metadata=metadata))

    @classmethod
    def load(cls, path: Path, signature: str) -> "Fit | None":
        """Read a checkpoint. None when there is no checkpoint, or only one of another training."""
        if not path.is_file():
            return None
        try:
            with safetensors.safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("signature") != signature:
                    log.info("%s belongs to another training; starting from the beginning", path)
                    return None
                fit = cls({}, epochs=json.loads(metadata["epochs"]))
                for name in file.keys():  # noqa: SIM118 (it is not a mapping)
                    group, _, rest = name.partition(".")
                    getattr(fit, group)[rest] = file.get_tensor(name).clone()
        except safetensors.SafetensorError as error:
            log.warning("%s: not readable (%s); starting from the beginning", path, error)
            return None
        return fit


class HeadTrainer:
    """Trains one head, one epoch at a time."""

    def __init__(self, examples: Examples, rules: FitRules) -> None:
        torch.set_num_threads(1)
        self._rules = rules
        train = ~examples.valid
        self._mean = examples.vectors[train].mean(0, dtype=np.float64)
        deviation = examples.vectors[train].std(0, dtype=np.float64)
        self._deviation = np.where(deviation > 1e-6 * np.abs(self._mean), deviation, np.inf)  # constant channels: 0
        standardised = (examples.vectors - self._mean.astype(np.float32)) / self._deviation.astype(np.float32)
        self._train = torch.tensor(standardised[train]), torch.from_numpy(examples.gold[train])
        self._valid = torch.tensor(standardised[examples.valid]), torch.from_numpy(examples.gold[examples.valid])
        self._frequency = examples.gold[train].mean(0)

    def baseline(self) -> Metrics:
        """The metrics of predicting the most frequent attributes of the training pictures for every picture."""
        gold = self._valid[1].numpy()
        return validation_metrics(np.tile(self._frequency, (len(gold), 1)), gold)

    def begin(self) -> Fit:
        """The start of the training: a head that predicts the frequency of each attribute for every picture."""
        frequency = torch.from_numpy(self._frequency).float().clamp(1e-4, 1 - 1e-4)
        return Fit({"weight": torch.zeros(len(frequency), self._train[0].shape[1]), "bias": frequency.logit()})

    def run(self, fit: Fit, on_epoch: Callable[[Fit], None]) -> Fit:
        """Run the remaining epochs. on_epoch: called after each of them."""
        while len(fit.epochs) < self._rules.epochs:
            train_loss = self._epoch(fit)
            valid_loss, metrics = self._validate(fit)
            record: EpochRecord = {
                "epoch": len(fit.epochs) + 1, "train_loss": train_loss, "valid_loss": valid_loss, **metrics,
            }  # fmt: skip
            fit.epochs.append(record)
            if fit.best_epoch == len(fit.epochs):
                fit.best = {name: tensor.clone() for name, tensor in fit.head.items()}
            log.info(
                "epoch %(epoch)d: loss %(train_loss).4f, validation %(valid_loss).4f, "
                "mAP %(map).4f, recall@5 %(recall_at_5).4f",
                record,
            )
            on_epoch(fit)
        return fit

    def unstandardised(self, head: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The same head for the backbone's own vectors: weight (V, D) and bias (V,), float32."""
        weight = head["weight"].double() / torch.from_numpy(self._deviation)
        return weight.float(), (head["bias"].double() - weight @ torch.tensor(self._mean)).float()

    def _epoch(self, fit: Fit) -> float:
        vectors, gold = self._train
        parameters = [torch.nn.Parameter(fit.head[name]) for name in ("weight", "bias")]
        optimizer = self._optimizer(parameters, fit.moments)
        generator = torch.Generator().manual_seed(self._rules.seed * 1_000_003 + len(fit.epochs))
        total = 0.0
        for rows in torch.randperm(len(vectors), generator=generator).split(self._rules.batch_size):
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

    def _validate(self, fit: Fit) -> tuple[float, Metrics]:
        """The loss and the metrics on the validation pictures."""
        vectors, gold = self._valid
        with torch.inference_mode():
            logits = vectors @ fit.head["weight"].T + fit.head["bias"]
            loss = binary_cross_entropy_with_logits(logits, gold.float(), reduction="none").sum(1).mean()
        return float(loss), validation_metrics(logits.numpy(), gold.numpy())
