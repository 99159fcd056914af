"""Training: it learns, repeats itself, and stops at nonsense."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from m3h.model.config import Config
from m3h.model.data.posts import Reader
from m3h.model.runs.experiment import readable_inputs
from m3h.model.runs.run import new_run
from m3h.model.training import trainer as module
from m3h.model.training.loss import joint_loss
from m3h.model.training.state import Epoch
from m3h.model.training.trainer import Trainer, TrainingData
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import M3hError


def make_trainer(folder: Path, config: Config, **changes: Any) -> Trainer:
    config = config.model_copy(update=changes)
    torch.manual_seed(config.seed)
    dataset = Dataset(folder)
    inputs = readable_inputs(config, dataset)
    reader = Reader(dataset, inputs)
    train, selection = reader.training_and_selection("train", "valid")
    run = new_run(Path("unused"), config, dataset, reader=reader, inputs=inputs, posts=train)
    return Trainer(run.model, TrainingData(run.encode(train), run.encode(selection), run.vocabularies), config)


def trained(folder: Path, config: Config, **changes: Any) -> tuple[Trainer, list[Epoch], Epoch]:
    trainer = make_trainer(folder, config, **changes)
    epochs: list[Epoch] = []
    return trainer, epochs, trainer.run(epochs.append)


def weights(trainer: Trainer) -> Mapping[str, torch.Tensor]:
    return trainer.model.state_dict()


def test_the_same_seed_gives_the_same_weights(tiny_dataset: Path, tiny_config: Config) -> None:
    first, again, other = (trained(tiny_dataset, tiny_config, seed=seed)[0] for seed in (1, 1, 2))
    assert all(torch.equal(w, weights(again)[name]) for name, w in weights(first).items())
    assert not all(torch.equal(w, weights(other)[name]) for name, w in weights(first).items())


def test_a_tiny_model_learns_to_copy_and_to_classify(tiny_dataset: Path, tiny_config: Config) -> None:
    changes = {"width": 32, "word_width": 16, "epochs": 24, "warmup_epochs": 6, "learning_rate": 0.01, "patience": 24}
    trainer, epochs, best = trained(tiny_dataset, tiny_config, drop_inputs=("vision",), **changes)
    assert epochs[-1].train.generate < 0.3 * epochs[0].train.generate
    assert epochs[-1].train.classify < 0.5 * epochs[0].train.classify
    assert best.f1 > 0.5
    assert best.aggregate
    assert trainer.model.aggregate


def test_the_classifier_s_gradient_flows_with_vision(tiny_dataset: Path, tiny_config: Config) -> None:
    trainer = make_trainer(tiny_dataset, tiny_config)
    pairs = trainer.data.train.pairs_batch(trainer.data.train.pair_post[:4])
    joint_loss(trainer.model, pairs, 1.0).joint.backward()
    untouched = {name for name, w in trainer.model.named_parameters() if w.grad is None}
    assert untouched == set()


def test_the_phases_follow_one_another(tiny_dataset: Path, tiny_config: Config) -> None:
    _, epochs, best = trained(tiny_dataset, tiny_config, epochs=5, warmup_epochs=2, patience=9)
    assert [epoch.aggregate for epoch in epochs] == [False, False, True, True, True]
    assert epochs[2].best
    assert best.epoch > 2


def test_aggregation_goes_on_from_the_best_warm_up_epoch(tiny_dataset: Path, tiny_config: Config) -> None:
    trainer = make_trainer(tiny_dataset, tiny_config, epochs=4, warmup_epochs=3, select_on="loss", patience=9)
    kept: list[Mapping[str, torch.Tensor]] = []

    def report(epoch: Epoch) -> None:
        kept.append({name: w.clone() for name, w in trainer.model.state_dict().items()})
        if epoch.epoch == 3:  # the last warm-up epoch is ruined
            for w in trainer.model.parameters():
                w.data.fill_(float("nan"))

    best = trainer.run(report)
    assert best.epoch == 4
    assert all(w.isfinite().all() for w in kept[3].values())


def test_nothing_is_searched_where_the_loss_selects(
    tiny_dataset: Path, tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[object] = []
    monkeypatch.setattr(module, "selection_f1", lambda *args, **_: searches.append(args) or 0.0)
    _, epochs, best = trained(tiny_dataset, tiny_config, epochs=2, select_on="loss")
    assert searches == []
    assert [epoch.f1 for epoch in epochs] == [None, None]
    assert "F1@1" not in best.as_text()
    assert best.valid.joint == min(epoch.valid.joint for epoch in epochs)
    assert Epoch.from_json(best.as_json()) == best
    trained(tiny_dataset, tiny_config, epochs=2)
    assert len(searches) == 2


def test_the_released_second_phase_trains_the_decoder_alone_and_slowly(tiny_dataset: Path, tiny_config: Config) -> None:
    trainer = make_trainer(tiny_dataset, tiny_config, epochs=3, warmup_epochs=1, second_phase="released", patience=9)
    kept: list[Mapping[str, torch.Tensor]] = []
    trainer.run(lambda epoch: kept.append({name: w.clone() for name, w in trainer.model.state_dict().items()}))
    first, *_, last = kept
    moved = {name.split(".")[0] for name, w in last.items() if not torch.equal(w, first[name])}
    assert moved == {"decoder"}
    assert [epoch.learning_rate for epoch in trainer.state.epochs][:2] == [1e-3, 1e-4]


def test_the_sum_over_a_batch_is_so_many_times_the_mean(tiny_dataset: Path, tiny_config: Config) -> None:
    norms = {}
    for over in ("pairs", "batch"):
        trainer = make_trainer(tiny_dataset, tiny_config, loss_over=over, clip=1e9, learning_rate=1e-12)
        trainer._step(trainer.data.train.pair_post[:8])
        norms[over] = sum(w.grad.square().sum() for w in trainer.model.parameters() if w.grad is not None) ** 0.5
    assert float(norms["batch"]) == pytest.approx(8 * float(norms["pairs"]), rel=1e-3)


def test_the_loss_of_a_topic_model_is_added(tiny_dataset: Path, tiny_config: Config) -> None:
    trainer = make_trainer(tiny_dataset, tiny_config, system="gen-topic", topic_stop_words=0)
    trainer.model.eval()
    pairs = trainer.data.train.pairs_batch(trainer.data.train.pair_post[:6])
    with_it, without = (joint_loss(trainer.model, pairs, 1.0, topic_weight=weight) for weight in (0.5, 0.0))
    assert with_it.topics > 0
    assert float((with_it.joint - without.joint).detach()) == pytest.approx(0.5 * with_it.topics / 6, rel=1e-4)


def test_a_single_epoch_aggregates_at_once(tiny_dataset: Path, tiny_config: Config) -> None:
    _, epochs, _ = trained(tiny_dataset, tiny_config, epochs=1, warmup_epochs=5)
    assert [epoch.aggregate for epoch in epochs] == [True]


def test_a_system_without_a_classifier_has_one_phase(tiny_dataset: Path, tiny_config: Config) -> None:
    _, epochs, best = trained(tiny_dataset, tiny_config, system="gen-copy", epochs=3)
    assert not any(epoch.aggregate for epoch in epochs)
    assert best.train.classify == 0.0


def test_training_stops_when_nothing_gets_better(tiny_dataset: Path, tiny_config: Config) -> None:
    rates = {"learning_rate": 1e-12, "epochs": 9, "patience": 2}
    _, epochs, best = trained(tiny_dataset, tiny_config, system="gen-copy", select_on="f1", **rates)
    assert len(epochs) == 3
    assert best.epoch == 1


def test_the_rate_is_halved_after_an_epoch_that_was_no_better(tiny_dataset: Path, tiny_config: Config) -> None:
    _, epochs, _ = trained(tiny_dataset, tiny_config, system="gen-copy", learning_rate=2.0, epochs=6, patience=9)
    lowest = float("inf")
    for now, after in pairwise(epochs):
        halved = now.valid.joint >= lowest
        assert after.learning_rate == now.learning_rate * (0.5 if halved else 1)
        lowest = min(lowest, now.valid.joint)
    assert epochs[-1].learning_rate < 2.0


def test_a_loss_that_is_no_number_names_its_posts(tiny_dataset: Path, tiny_config: Config) -> None:
    trainer = make_trainer(tiny_dataset, tiny_config)
    trainer.model.embedding.weight.data.fill_(float("nan"))
    with pytest.raises(M3hError, match=r"loss became nan on the posts train-\d{5}, train-\d{5}"):
        trainer.run(lambda epoch: None)


def test_the_joint_loss_is_its_parts_per_pair(tiny_dataset: Path, tiny_config: Config) -> None:
    trainer = make_trainer(tiny_dataset, tiny_config)
    trainer.model.eval()
    pairs = trainer.data.train.pairs_batch(trainer.data.train.pair_post[:6])
    loss = joint_loss(trainer.model, pairs, gamma=0.5)
    assert float(loss.joint.detach()) == pytest.approx((loss.generate + 0.5 * loss.classify) / 6, rel=1e-5)
    assert loss.words == int(pairs.target_mask_bt.sum())


def test_bf16_learns_as_fp32_does(tiny_dataset: Path, tiny_config: Config) -> None:
    full, _, _ = trained(tiny_dataset, tiny_config, dropout=0.0)
    half, epochs, _ = trained(tiny_dataset, tiny_config, dropout=0.0, precision="bf16")
    assert {w.dtype for w in weights(half).values() if w.is_floating_point()} == {torch.float32}
    assert not all(torch.equal(w, weights(half)[name]) for name, w in weights(full).items())
    assert epochs[-1].train.joint == pytest.approx(full.state.epochs[-1].train.joint, rel=0.02)


def test_a_gradient_that_is_no_number_names_its_posts(tiny_dataset: Path, tiny_config: Config) -> None:
    trainer = make_trainer(tiny_dataset, tiny_config)
    trainer.model.embedding.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(M3hError, match=r"gradient became (nan|inf) on the posts train-\d{5}, train-\d{5}"):
        trainer.run(lambda epoch: None)
