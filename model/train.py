"""One training run: warm-up and aggregation, learning-rate decay, early stop, the best weights kept."""

import logging
import math
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from model.batches import Encoded, by_length, shuffled
from model.config import Config
from model.data import Vocabularies
from model.infer import predict
from model.loss import Loss, joint_loss
from model.metrics import score
from model.unified import KeyphraseModel
from schemas.errors import M3hError

logger = logging.getLogger(__name__)

Progress = Callable[[list[np.ndarray], str], Iterable[np.ndarray]]
"""Wraps a list of batches and a title, to show how far an epoch is."""


@dataclass(frozen=True)
class Means:
    """Of one pass. joint: per pair; generate: -log P per word; classify: per pair with a known label."""

    joint: float
    generate: float
    classify: float


@dataclass(frozen=True)
class Epoch:
    """One line of log.jsonl. f1: F1@1 (definition cmkp) of the selection posts; seconds: of training alone."""

    epoch: int
    aggregate: bool
    learning_rate: float
    train: Means
    valid: Means
    f1: float
    pairs_per_second: float
    seconds: float
    best: bool

    def as_json(self) -> dict[str, object]:
        """JSON-ready."""
        return asdict(self)

    def as_text(self) -> str:
        """For a log line."""
        phase = ", aggregating" if self.aggregate else ""
        return (
            f"epoch {self.epoch}{phase}: loss {self.train.joint:.3f}, validation {self.valid.joint:.3f}, "
            f"F1@1 (cmkp) {self.f1:.4f}, {self.pairs_per_second:.0f} pairs/s{' *' if self.best else ''}"
        )


@dataclass(frozen=True)
class Best:
    """The epoch chosen so far. merit: more is better."""

    merit: float = -math.inf
    epoch: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)


class Trainer:
    """Trains `model` on `train` and chooses the epoch by `selection`. Same seed and machine, same weights."""

    def __init__(
        self,
        model: KeyphraseModel,
        train: Encoded,
        selection: Encoded,
        vocabularies: Vocabularies,
        config: Config,
        progress: Progress = lambda batches, title: batches,
    ) -> None:
        self.model, self.train, self.selection = model, train, selection
        self.vocabularies, self.config, self.progress = vocabularies, config, progress
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
        self.rng = np.random.default_rng(config.seed)
        self.best = Best()
        self.lowest_loss = math.inf

    def run(self, report: Callable[[Epoch], None]) -> Epoch:
        """Train; leave the best epoch's weights in the model and return that epoch.

        The phase before aggregation is only a beginning: the second one goes on from its best epoch, and where there
        is a second one the best epoch of all is one of it.
        """
        epochs: dict[int, Epoch] = {}
        warmup = self._warmup()
        for number in range(1, self.config.epochs + 1):
            if number == warmup + 1 and warmup:
                self.model.load_state_dict(self.best.weights)
                self.best, self.lowest_loss = Best(), math.inf
            self.model.aggregate = number > warmup and self.model.aggregation is not None
            epochs[number] = self._epoch(number)
            report(epochs[number])
            if number > warmup and number - self.best.epoch >= self.config.patience:
                break
        self.model.load_state_dict(self.best.weights)
        return epochs[self.best.epoch]

    def _warmup(self) -> int:
        """Epochs without aggregation; at least one is left for the second phase."""
        return min(self.config.warmup_epochs, self.config.epochs - 1) if self.model.aggregation is not None else 0

    def _epoch(self, number: int) -> Epoch:
        started = time.perf_counter()
        rate = self.optimizer.param_groups[0]["lr"]
        train = self._learn(number)
        seconds = time.perf_counter() - started
        valid = self._validate()
        f1 = selection_f1(self.model, self.selection, self.vocabularies, self.config)
        merit = f1 if self.config.select_on == "f1" else -valid.joint
        is_best = merit > self.best.merit
        if is_best:
            self.best = Best(merit, number, {name: w.clone() for name, w in self.model.state_dict().items()})
        if valid.joint >= self.lowest_loss:
            self.optimizer.param_groups[0]["lr"] = rate * self.config.lr_decay
        self.lowest_loss = min(self.lowest_loss, valid.joint)
        speed = len(self.train.labels) / seconds
        return Epoch(number, self.model.aggregate, rate, train, valid, f1, speed, seconds, is_best)

    def _learn(self, number: int) -> Means:
        self.model.train()
        lengths = self.train.source.lengths()[self.train.pair_post]
        losses = []
        for pairs in self.progress(shuffled(lengths, self.config.batch_size, self.rng), f"epoch {number}"):
            loss = joint_loss(self.model, self.train.pairs_batch(pairs), self.config.gamma)
            self._guard(loss, self.train, pairs)
            self.optimizer.zero_grad()
            loss.joint.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
            self.optimizer.step()
            losses.append(loss)
        return _means(losses, self.config.gamma)

    @torch.inference_mode()
    def _validate(self) -> Means:
        self.model.eval()
        lengths = self.selection.source.lengths()[self.selection.pair_post]
        batches = by_length(lengths, self.config.batch_size)
        losses = [joint_loss(self.model, self.selection.pairs_batch(pairs), self.config.gamma) for pairs in batches]
        return _means(losses, self.config.gamma)

    def _guard(self, loss: Loss, encoded: Encoded, pairs: np.ndarray) -> None:
        if not bool(torch.isfinite(loss.joint)):
            ids = sorted({encoded.posts.ids[row] for row in encoded.pair_post[pairs]})
            raise M3hError(
                f"the loss became {loss.joint.item()} on the posts {', '.join(ids)}. "
                "Look at their features, or lower learning_rate."
            )


def _means(losses: list[Loss], gamma: float) -> Means:
    generate, classify = sum(loss.generate for loss in losses), sum(loss.classify for loss in losses)
    words, labels = sum(loss.words for loss in losses), sum(loss.labels for loss in losses)
    pairs = sum(loss.pairs for loss in losses)
    joint = (generate + gamma * classify) / max(1, pairs)
    return Means(joint, generate / max(1, words), classify / max(1, labels))


def selection_f1(model: KeyphraseModel, encoded: Encoded, vocabularies: Vocabularies, config: Config) -> float:
    """F1@1, definition cmkp, of what the model predicts."""
    found = predict(model, encoded, vocabularies, config)
    return score([phrases or [""] for phrases in found], encoded.posts.keyphrases)["all"]["f1@1"]


def seed_everything(seed: int) -> None:
    """Python, numpy and torch, so that a run can be repeated."""
    random.seed(seed)
    torch.manual_seed(seed)
