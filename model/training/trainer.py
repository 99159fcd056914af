"""One training run: warm-up, aggregation, learning-rate decay, early stopping, and the best weights kept.

A run can be stopped at any step. Order and dropout of a step depend only on seed, epoch, step and process, and
everything else is in the checkpoint. A resumed run therefore ends with the same weights as one that was never stopped.
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from m3h.model.config import Config
from m3h.model.data.batch import Pairs
from m3h.model.data.encoding import Encoded, batches_by_length, shuffled_batches
from m3h.model.data.posts import Vocabularies
from m3h.model.decoding.predict import Progress, phrases, predict
from m3h.model.networks.unified import KeyphraseModel
from m3h.model.scoring.metrics import score
from m3h.model.training.checkpoint import Checkpoints, restore, with_optimizer
from m3h.model.training.distributed import SINGLE_PROCESS, World
from m3h.model.training.loss import Loss, joint_loss
from m3h.model.training.run_log import RunLog
from m3h.model.training.state import Epoch, Means, State, Sums
from m3h.schemas.errors import M3hError


@dataclass(frozen=True)
class TrainingData:
    """train: the posts to learn from. selection: the posts that the best epoch is chosen by."""

    train: Encoded
    selection: Encoded
    vocabularies: Vocabularies


class Objective(nn.Module):
    """The joint loss as a module, so that it can be compiled and run in several processes."""

    def __init__(self, model: KeyphraseModel, gamma: float, topic_weight: float) -> None:
        super().__init__()
        self.model, self.gamma, self.topic_weight = model, gamma, topic_weight

    def forward(self, pairs: Pairs) -> tuple[Tensor, Loss]:
        """A batch -> the scalar to minimize, and the loss with its parts."""
        loss = joint_loss(self.model, pairs, self.gamma, topic_weight=self.topic_weight)
        return loss.joint, loss


class Trainer:
    """Trains a model and chooses the best epoch. The same seed on the same machine gives the same weights."""

    def __init__(
        self,
        model: KeyphraseModel,
        data: TrainingData,
        config: Config,
        *,
        progress: Progress = lambda batches, title: batches,
        world: World = SINGLE_PROCESS,
        checkpoints: Checkpoints | None = None,
        run_log: RunLog | None = None,
    ) -> None:
        """A trainer that has done no step yet.

        Args:
            model: trained in place.
            data: training and selection posts.
            config: of the run.
            progress: shows the progress of an epoch.
            world: this process among those that train together.
            checkpoints: what to resume from; the main process stores the state of the run here. None: no checkpoints.
            run_log: of the run, in the main process.
        """
        self.model, self.data, self.config = model, data, config
        self.progress, self.world, self.checkpoints, self.run_log = progress, world, checkpoints, run_log
        self.device = next(model.parameters()).device
        trained = [weights for weights in model.parameters() if weights.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=config.learning_rate, fused=True)
        self.objective = self._objective()
        self.state = State(learning_rate=config.learning_rate)
        self.best: dict[str, Tensor] = {}

    def run(self, report: Callable[[Epoch], None]) -> Epoch:
        """Train, leave the weights of the best epoch in the model, and return that epoch.

        With aggregation, the second phase starts from the best epoch of the first phase, and the best epoch of the run
        is one of the second phase. report: is called with every finished epoch.
        """
        if self.checkpoints and self.checkpoints.exists:
            self._resume(self.checkpoints)
        if self.run_log:
            self.run_log.begin(self.state.log_bytes)
        while not self._is_done():
            self._begin_epoch()
            self._train_epoch()
            epoch = self._end_epoch()
            if self.run_log:
                self.run_log.write(epoch.as_json())
            report(epoch)
            self.state.begin(epoch.epoch + 1)
            self._save()
        self.model.load_state_dict(self.best)
        return next(epoch for epoch in self.state.epochs if epoch.epoch == self.state.best_epoch)

    def _objective(self) -> nn.Module:
        objective: nn.Module = Objective(self.model, self.config.gamma, self.config.topic_weight)
        if self.world.size > 1:
            objective = DistributedDataParallel(objective, find_unused_parameters=True)
        return torch.compile(objective, dynamic=True) if self.config.compile else objective  # type: ignore[return-value]

    def _is_done(self) -> bool:
        finished, waited = self.state.epoch - 1, self.state.epoch - 1 - self.state.best_epoch
        is_patient = finished <= self._warmup() or waited < self.config.patience
        return finished >= self.config.epochs or not is_patient

    def _warmup(self) -> int:
        """Epochs without aggregation; at least one is left for the second phase."""
        return min(self.config.warmup_epochs, self.config.epochs - 1) if self.model.aggregation is not None else 0

    def _begin_epoch(self) -> None:
        warmup = self._warmup()
        if warmup and self.state.epoch == warmup + 1 and not self.state.step:
            self.model.load_state_dict(self.best)
            self.best = {}
            self.state.reset_best()
            if self.config.second_phase == "released":
                self.optimizer.state.clear()
                self._set_rate(self.config.second_phase_rate)
        if self.state.epoch > warmup and self.model.aggregation is not None:
            self.model.start_second_phase(self.config.second_phase)

    def _train_epoch(self) -> None:
        """The rest of the epoch, from the current step on."""
        self.model.train()
        state, config, train = self.state, self.config, self.data.train
        lengths = train.source.lengths()[train.pair_post]
        batches = shuffled_batches(lengths, config.batch_size, np.random.default_rng([config.seed, state.epoch]))
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
        """One optimizer step on a batch, which is split among the processes and, in each, by `accumulate`."""
        self.optimizer.zero_grad()
        sums = Sums()
        parts = self.world.size * self.config.accumulate
        own_parts = range(self.world.rank, parts, self.world.size)
        for number in own_parts:
            part = pairs[number::parts]
            torch.manual_seed(step_seed(self.config.seed, self.state.epoch, self.state.step, number))
            with self._gradient_sync(number == own_parts[-1]):
                with self._precision():
                    joint, loss = self.objective(self.data.train.pairs_batch(part if len(part) else pairs[:1]))
                # The mean over the batch, or its sum. DistributedDataParallel divides by the number of processes.
                divisor = len(pairs) if self.config.loss_over == "pairs" else 1
                (joint * (self.world.size * len(part) / divisor)).backward()
            sums += Sums.of(loss) if len(part) else Sums()
        sums = Sums(*self.world.all_reduce_sum(sums.values()))
        self._check_finite("loss", sums.joint, pairs)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self._check_finite("gradient", float(norm), pairs)
        self.optimizer.step()
        return sums

    def _gradient_sync(self, last_part: bool) -> AbstractContextManager[Any]:
        """Gradients are exchanged with the other processes once a step, in its last part."""
        return nullcontext() if last_part or self.world.size == 1 else self.objective.no_sync()  # type: ignore[operator]

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    def _check_finite(self, what: str, value: float, pairs: np.ndarray) -> None:
        if not np.isfinite(value):
            train = self.data.train
            ids = sorted({train.posts.ids[row] for row in train.pair_post[pairs]})
            raise M3hError(
                f"the {what} became {value} on the posts {', '.join(ids)}. "
                "Check their features, or lower learning_rate."
            )

    def _end_epoch(self) -> Epoch:
        """Validate, keep the best weights, and decay the learning rate."""
        state, rate = self.state, self.state.learning_rate
        *losses, f1 = self.world.broadcast(self._validate() if self.world.is_main else [0.0] * 4)
        valid = Means(*losses)
        selection_score = f1 if self.config.select_on == "f1" else -valid.joint
        is_best = state.selection_score is None or selection_score > state.selection_score
        if is_best:
            state.selection_score, state.best_epoch = selection_score, state.epoch
            self.best = {name: weights.clone() for name, weights in self.model.state_dict().items()}
        if state.lowest_loss is not None and valid.joint >= state.lowest_loss:
            self._set_rate(rate * self.config.lr_decay)
        else:
            state.lowest_loss = valid.joint
        epoch = Epoch(
            epoch=state.epoch,
            step=state.steps,
            aggregate=self.model.aggregate,
            learning_rate=rate,
            train=state.sums.means(),
            valid=valid,
            f1=None if math.isnan(f1) else f1,
            pairs_per_second=state.sums.pairs / max(state.seconds, 1e-9),
            seconds=state.seconds,
            best=is_best,
        )
        state.epochs.append(epoch)
        return epoch

    def _validate(self) -> list[float]:
        """Joint, generation and classification loss of the selection posts, and their F1@1; NaN where none is asked."""
        self.model.eval()
        selection, gamma = self.data.selection, self.config.gamma
        lengths = selection.source.lengths()[selection.pair_post]
        with torch.inference_mode():
            batches = (selection.pairs_batch(rows) for rows in batches_by_length(lengths, self.config.batch_size))
            sums = sum((Sums.of(joint_loss(self.model, pairs, gamma, topic_weight=0.0)) for pairs in batches), Sums())
        means = sums.means()
        f1 = math.nan  # a search takes longer than the loss, and nobody chooses by it
        if self.config.select_on == "f1":
            f1 = selection_f1(self.model, selection, self.data.vocabularies, config=self.config)
        return [means.joint, means.generate, means.classify, f1]

    def _set_rate(self, rate: float) -> None:
        self.state.learning_rate = rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _log_step(self) -> None:
        state = self.state
        if self.run_log:
            loss = state.recent.means().joint
            line = {"epoch": state.epoch, "step": state.steps, "loss": loss, "learning_rate": state.learning_rate}
            self.run_log.write(line)
        state.recent = Sums()

    def _save(self) -> None:
        if not self.checkpoints or not self.world.is_main:
            return
        if self.run_log:
            self.state.log_bytes = self.run_log.sync()
        tensors = with_optimizer(self.model.state_dict(), self.optimizer)
        self.checkpoints.save(
            self.state.as_json(), self.state.steps, tensors, best_epoch=self.state.best_epoch, best=self.best
        )

    def _resume(self, checkpoints: Checkpoints) -> None:
        numbers, tensors, self.best = checkpoints.load()
        restore(tensors, self.model, self.optimizer)
        self.state = State.from_json(numbers)
        self._set_rate(self.state.learning_rate)


def step_seed(*position: int) -> int:
    """The seed of dropout in one part of a step. position: seed, epoch, step and part."""
    return int(np.random.SeedSequence(position).generate_state(1, np.uint64)[0])


def selection_f1(model: KeyphraseModel, encoded: Encoded, vocabularies: Vocabularies, *, config: Config) -> float:
    """F1@1 (definition cmkp) of the model's predictions.

    A reranker is fitted after training: with `ranking=reranked` epochs are chosen by the system's own list.

    Args:
        model: is put into evaluation mode.
        encoded: the selection posts.
        vocabularies: of the training posts.
        config: how to search and rank.
    """
    if config.ranking == "reranked":
        config = config.model_copy(update={"ranking": "system"})
    predicted = phrases(predict(model, encoded, vocabularies, config=config))
    return score([post or [""] for post in predicted], encoded.posts.keyphrases)["all"]["f1@1"]
