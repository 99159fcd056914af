"""One training run: warm-up and aggregation, learning-rate decay, early stop, the best weights kept.

A run can be stopped at any step. Order and dropout of a step depend on seed, epoch, step and process alone, and all
else lies in the checkpoint, so a resumed run makes the same weights as one that was never stopped.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model.batches import Encoded, by_length, shuffled
from model.checkpoint import Checkpoints, restore, with_optimizer
from model.config import Config
from model.data import Vocabularies
from model.infer import phrases, predict
from model.journal import Journal
from model.loss import Loss, joint_loss
from model.metrics import score
from model.parallel import ALONE, World
from model.progress import Epoch, Means, State, Sums
from model.unified import KeyphraseModel
from schemas.errors import M3hError

Progress = Callable[[list[np.ndarray], str], Iterable[np.ndarray]]
"""Wraps a list of batches and a title, to show how far an epoch is."""


class Objective(nn.Module):
    """The joint loss as a module, so that it can be compiled and run in several processes."""

    def __init__(self, model: KeyphraseModel, gamma: float, topic_weight: float) -> None:
        super().__init__()
        self.model, self.gamma, self.topic_weight = model, gamma, topic_weight

    def forward(self, pairs: Any) -> tuple[Tensor, Loss]:
        """`Pairs` -> what to descend, and the loss with its parts."""
        loss = joint_loss(self.model, pairs, self.gamma, self.topic_weight)
        return loss.joint, loss


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
        world: World = ALONE,
        checkpoints: Checkpoints | None = None,
        journal: Journal | None = None,
    ) -> None:
        """checkpoints: where to go on from, and where the first process keeps the run. journal: its log."""
        self.model, self.train, self.selection = model, train, selection
        self.vocabularies, self.config, self.progress = vocabularies, config, progress
        self.world, self.checkpoints, self.journal = world, checkpoints, journal
        self.device = next(model.parameters()).device
        learned = [weights for weights in model.parameters() if weights.requires_grad]
        self.optimizer = torch.optim.Adam(learned, lr=config.learning_rate, fused=True)
        self.objective = self._objective()
        self.state = State(learning_rate=config.learning_rate)
        self.best: dict[str, Tensor] = {}

    def run(self, report: Callable[[Epoch], None]) -> Epoch:
        """Train; leave the best epoch's weights in the model and return that epoch.

        The phase before aggregation is only a beginning: the second one goes on from its best epoch, and where there
        is a second one the best epoch of all is one of it.
        """
        if self.checkpoints and self.checkpoints.exists:
            self._resume(self.checkpoints)
        if self.journal:
            self.journal.begin(self.state.log_bytes)
        while not self._over():
            self._begin_epoch()
            self._learn()
            epoch = self._judge()
            if self.journal:
                self.journal.write(epoch.as_json())
            report(epoch)
            self.state.begin(epoch.epoch + 1)
            self._save()
        self.model.load_state_dict(self.best)
        return next(epoch for epoch in self.state.done if epoch.epoch == self.state.best_epoch)

    def _objective(self) -> nn.Module:
        objective: nn.Module = Objective(self.model, self.config.gamma, self.config.topic_weight)
        if self.world.size > 1:
            objective = DistributedDataParallel(objective, find_unused_parameters=True)
        return torch.compile(objective, dynamic=True) if self.config.compile else objective  # type: ignore[return-value]

    def _over(self) -> bool:
        done, waited = self.state.epoch - 1, self.state.epoch - 1 - self.state.best_epoch
        return done >= self.config.epochs or (done > self._warmup() and waited >= self.config.patience)

    def _warmup(self) -> int:
        """Epochs without aggregation; at least one is left for the second phase."""
        return min(self.config.warmup_epochs, self.config.epochs - 1) if self.model.aggregation is not None else 0

    def _begin_epoch(self) -> None:
        warmup = self._warmup()
        if warmup and self.state.epoch == warmup + 1 and not self.state.step:
            self.model.load_state_dict(self.best)
            self.best = {}
            self.state.forget_best()
            if self.config.second_phase == "released":
                self.optimizer.state.clear()
                self._set_rate(self.config.second_rate)
        if self.state.epoch > warmup and self.model.aggregation is not None:
            self.model.start_second_phase(self.config.second_phase)

    def _learn(self) -> None:
        """The rest of the epoch, from the step where it is."""
        self.model.train()
        state, config = self.state, self.config
        lengths = self.train.source.lengths()[self.train.pair_post]
        batches = shuffled(lengths, config.batch_size, np.random.default_rng([config.seed, state.epoch]))
        for pairs in self.progress(batches[state.step :], f"epoch {state.epoch}"):
            started = time.perf_counter()
            sums = self._step(pairs)
            state.sums, state.recent = state.sums + sums, state.recent + sums
            state.step, state.steps = state.step + 1, state.steps + 1
            state.seconds += time.perf_counter() - started
            if state.steps % config.log_steps == 0:
                self._log_step()
            if state.steps % config.checkpoint_steps == 0 and state.step < len(batches):
                self._save()

    def _step(self, pairs: np.ndarray) -> Sums:
        """One step of descent on a batch, cut into parts for the processes and, in each, for the memory."""
        self.optimizer.zero_grad()
        sums = Sums()
        parts = self.world.size * self.config.accumulate
        mine = range(self.world.rank, parts, self.world.size)
        for number in mine:
            part = pairs[number::parts]
            torch.manual_seed(step_seed(self.config.seed, self.state.epoch, self.state.step, number))
            with self._communicating(number == mine[-1]):
                with self._precision():
                    joint, loss = self.objective(self.train.pairs_batch(part if len(part) else pairs[:1]))
                # A mean over the batch, or its sum; DistributedDataParallel divides by the number of processes.
                over = len(pairs) if self.config.loss_over == "pairs" else 1
                (joint * (self.world.size * len(part) / over)).backward()
            sums += Sums.of(loss) if len(part) else Sums()
        sums = Sums(*self.world.total(sums.values()))
        self._guard("loss", sums.joint, pairs)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self._guard("gradient", float(norm), pairs)
        self.optimizer.step()
        return sums

    def _communicating(self, last: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged with the other processes once a step, in its last part."""
        return nullcontext() if last or self.world.size == 1 else self.objective.no_sync()  # type: ignore[operator]

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _guard(self, what: str, value: float, pairs: np.ndarray) -> None:
        if not np.isfinite(value):
            ids = sorted({self.train.posts.ids[row] for row in self.train.pair_post[pairs]})
            raise M3hError(
                f"the {what} became {value} on the posts {', '.join(ids)}. "
                "Look at their features, or lower learning_rate."
            )

    def _judge(self) -> Epoch:
        """Validate, choose, decay."""
        state, rate = self.state, self.state.learning_rate
        *losses, f1 = self.world.shared(self._validate() if self.world.first else [0.0] * 4)
        valid = Means(*losses)
        merit = f1 if self.config.select_on == "f1" else -valid.joint
        is_best = state.merit is None or merit > state.merit
        if is_best:
            state.merit, state.best_epoch = merit, state.epoch
            self.best = {name: weights.clone() for name, weights in self.model.state_dict().items()}
        if state.lowest_loss is not None and valid.joint >= state.lowest_loss:
            self._set_rate(rate * self.config.lr_decay)
        else:
            state.lowest_loss = valid.joint
        train, speed = state.sums.means(), state.sums.pairs / max(state.seconds, 1e-9)
        line = (state.epoch, state.steps, self.model.aggregate, rate, train, valid, f1, speed, state.seconds, is_best)
        state.done.append(Epoch(*line))
        return state.done[-1]

    def _validate(self) -> list[float]:
        """Joint, generation and classification loss of the selection posts, and their F1@1."""
        self.model.eval()
        lengths = self.selection.source.lengths()[self.selection.pair_post]
        with torch.inference_mode():
            batches = (self.selection.pairs_batch(rows) for rows in by_length(lengths, self.config.batch_size))
            sums = sum((Sums.of(joint_loss(self.model, pairs, self.config.gamma, 0.0)) for pairs in batches), Sums())
        means = sums.means()
        f1 = selection_f1(self.model, self.selection, self.vocabularies, self.config)
        return [means.joint, means.generate, means.classify, f1]

    def _set_rate(self, rate: float) -> None:
        self.state.learning_rate = rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _log_step(self) -> None:
        state = self.state
        if self.journal:
            loss = state.recent.means().joint
            line = {"epoch": state.epoch, "step": state.steps, "loss": loss, "learning_rate": state.learning_rate}
            self.journal.write(line)
        state.recent = Sums()

    def _save(self) -> None:
        if not self.checkpoints or not self.world.first:
            return
        if self.journal:
            self.state.log_bytes = self.journal.sync()
        tensors = with_optimizer(self.model.state_dict(), self.optimizer)
        self.checkpoints.save(self.state.as_json(), self.state.steps, tensors, self.state.best_epoch, self.best)

    def _resume(self, checkpoints: Checkpoints) -> None:
        numbers, tensors, self.best = checkpoints.load()
        restore(tensors, self.model, self.optimizer)
        self.state = State.from_json(numbers)
        self._set_rate(self.state.learning_rate)


def step_seed(*place: int) -> int:
    """Of seed, epoch, step and part: where that part's dropout comes from."""
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])


def selection_f1(model: KeyphraseModel, encoded: Encoded, vocabularies: Vocabularies, config: Config) -> float:
    """F1@1, definition cmkp, of what the model predicts."""
    found = phrases(predict(model, encoded, vocabularies, config))
    return score([post or [""] for post in found], encoded.posts.keyphrases)["all"]["f1@1"]
