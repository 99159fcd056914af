"""Distillation: the soft labels, their weight in the loss, and the teacher that makes them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from m3h.model.config import Config
from m3h.model.data.batch import EOS_ID, Pairs
from m3h.model.data.encoding import Encoded, encode
from m3h.model.data.posts import Posts, Reader, Vocabularies
from m3h.model.data.soft_labels import SoftLabels
from m3h.model.networks.factory import Sizes, build_model
from m3h.model.runs.distillation import top_soft_labels
from m3h.model.runs.evaluate import open_run
from m3h.model.runs.experiment import train_run
from m3h.model.runs.run import with_training_index
from m3h.model.training.checkpoint import Checkpoints
from m3h.model.training.loss import joint_loss
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import IntegrityError, UsageError

TEXTS = ("rain tonight", "the kca tonight", "look at this")
KEYPHRASES = [["storm hour"], ["kca", "maga"], ["maga"]]
POSTS = Posts(["1", "2", "3"], [t.split() for t in TEXTS], KEYPHRASES, [[]] * 3, [[]] * 3, [-1] * 3)
VOCABULARIES = Vocabularies.build(POSTS, 100)
STORM, KCA, MAGA = VOCABULARIES.labels.encode(["storm hour", "kca", "maga"])
SOFT_LABELS = SoftLabels(
    np.array([[STORM, KCA], [MAGA, STORM], [KCA, MAGA]]), np.array([[0.75, 0.25], [1, 0], [0.5, 0.5]], np.float32)
)


def distilled(weight: float) -> Encoded:
    return encode(POSTS, VOCABULARIES).with_soft_labels(SOFT_LABELS, VOCABULARIES, weight)


def written(pairs: Pairs) -> list[str]:
    """The targets, in words."""
    rows = [row[mask].tolist() for row, mask in zip(pairs.target_bt, pairs.target_mask_bt, strict=True)]
    assert {row[-1] for row in rows} == {EOS_ID}
    return [" ".join(VOCABULARIES.words.words[i] for i in row[:-1]) for row in rows]


def test_with_weight_zero_a_generator_learns_the_keyphrases_alone() -> None:
    pairs = distilled(0.0).pairs_batch(np.arange(4))
    assert written(pairs) == ["storm hour", "kca", "maga", "maga"]
    assert pairs.soft_weight_bk is not None
    assert pairs.soft_weight_bk.sum() == 0


def test_with_weight_one_a_generator_learns_soft_labels_as_often_as_they_are_likely() -> None:
    torch.manual_seed(0)
    drawn = [written(distilled(1.0).pairs_batch(np.array([0, 2, 3]))) for _ in range(400)]
    first, second, third = zip(*drawn, strict=True)
    assert set(first) == {"storm hour", "kca"}
    assert first.count("storm hour") == pytest.approx(300, abs=45)  # five deviations
    assert set(second) == {"maga"}  # the own keyphrase is `maga` too, and storm hour has probability zero
    assert third.count("kca") == pytest.approx(200, abs=50)


def test_a_soft_label_with_a_word_that_only_the_post_has_is_copied() -> None:
    """`kca` is not in the vocabulary, but in the second post, which learns to copy it as for its own keyphrase."""
    words = Vocabularies(VOCABULARIES.words.count(["maga", "storm", "hour"]), *list(vars(VOCABULARIES).values())[1:])
    encoded = encode(POSTS, words)
    soft_labels = SoftLabels(np.array([[KCA]] * 3), np.ones((3, 1), np.float32))
    pairs = encoded.with_soft_labels(soft_labels, words, 1.0).pairs_batch(np.array([1, 0]))
    assert pairs.target_bt[0].tolist() == encoded.pairs_batch(np.array([1])).target_bt[0].tolist()
    assert pairs.target_bt[0, 0] >= len(words.words)
    assert pairs.target_bt[1, 0] == words.words.unk


def test_the_weight_is_the_share_of_soft_labels_among_targets() -> None:
    torch.manual_seed(0)
    drawn = [written(distilled(0.3).pairs_batch(np.array([1])))[0] for _ in range(400)]
    assert drawn.count("maga") == pytest.approx(120, abs=46)
    assert drawn.count("kca") == 400 - drawn.count("maga")


def test_soft_labels_are_drawn_from_torchs_random_state() -> None:
    """The trainer seeds it for every step, so that a resumed run draws the same."""
    rows, draws = np.arange(4), []
    for _ in range(2):
        torch.manual_seed(5)
        draws.append([written(distilled(0.5).pairs_batch(rows)) for _ in range(9)])
    assert draws[0] == draws[1]
    assert len(set(map(tuple, draws[0]))) > 1


def test_the_classification_loss_by_hand() -> None:
    """The own label has weight 0.6, the soft labels share 0.4; an unknown own label counts zero."""
    sizes = Sizes(len(VOCABULARIES.words), len(VOCABULARIES.labels))
    torch.manual_seed(0)
    model = build_model(Config(system="cls-max", width=8, word_width=8), sizes, ["text"]).eval()
    pairs = distilled(0.4).pairs_batch(np.array([0, 1]))
    pairs.label_b[1] = 0
    log_p_bn = F.log_softmax(model(pairs.batch).logit_bn.detach().double(), -1)
    first = 0.6 * log_p_bn[0, STORM] + 0.4 * (0.75 * log_p_bn[0, STORM] + 0.25 * log_p_bn[0, KCA])
    second = 0.4 * log_p_bn[1, MAGA]
    loss = joint_loss(model, pairs, 1.0)
    assert loss.classify == pytest.approx(float(-first - second), rel=1e-5)
    assert loss.labels == 2
    assert float(loss.joint.detach()) == pytest.approx(loss.classify / 2)


def test_soft_labels_of_logits_by_hand() -> None:
    """`<unk>`, label 0, is never a soft label, however likely."""
    found = top_soft_labels(torch.tensor([[0.0, 1.0, 3.0, -torch.inf], [9.0, 0.0, -1.0, 2.5]]), 2)
    assert found.label_pk.tolist() == [[2, 1], [3, 1]]
    assert found.probability_pk[0, 1] == pytest.approx(1 / (1 + math.e**2))
    assert found.probability_pk.sum(1) == pytest.approx([1, 1])


@pytest.mark.parametrize(
    "tensors",
    [
        {"labels": torch.ones(3, 2, dtype=torch.long)},
        {"labels": torch.ones(2, 2, dtype=torch.long), "probabilities": torch.full((2, 2), 0.5)},
        {"labels": torch.zeros(3, 2, dtype=torch.long), "probabilities": torch.full((3, 2), 0.5)},
        {"labels": torch.full((3, 2), 9), "probabilities": torch.full((3, 2), 0.5)},
        {"labels": torch.zeros(3, 2), "probabilities": torch.full((3, 2), 0.5)},
        {"labels": torch.ones(3, 2, dtype=torch.long), "probabilities": torch.full((3, 2), torch.nan)},
        {"labels": torch.ones(3, 2, dtype=torch.long), "probabilities": torch.tensor([[2.0, -1.0]] * 3)},
    ],
    ids=["none", "of other posts", "the unknown label", "of other labels", "no ids", "no numbers", "no probabilities"],
)
def test_a_file_of_other_soft_labels_is_refused_by_name(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    SOFT_LABELS.write(tmp_path / "right.safetensors")
    again = SoftLabels.read(tmp_path / "right.safetensors", 3, 4)
    assert again.label_pk.tolist() == SOFT_LABELS.label_pk.tolist()
    assert again.probability_pk.tolist() == SOFT_LABELS.probability_pk.tolist()
    save_file(tensors, tmp_path / "soft_labels.safetensors")
    with pytest.raises(IntegrityError, match=r"soft_labels\.safetensors: not the soft labels of this run"):
        SoftLabels.read(tmp_path / "soft_labels.safetensors", 3, 4)


def kept_soft_labels(dataset: Path, config: Config, out: Path) -> SoftLabels:
    """The soft labels of a run, read when its first step begins."""

    class Seen(Exception):
        pass

    def stop(batches: list[np.ndarray], title: str) -> list[np.ndarray]:
        if Checkpoints(out).soft_labels.exists():
            raise Seen
        return batches

    with pytest.raises(Seen):
        train_run(config, Dataset(dataset), out, progress=stop)
    labels = len(Vocabularies.build(posts_of(dataset), config.vocab_size).labels)
    return SoftLabels.read(Checkpoints(out).soft_labels, 48, labels)


def posts_of(dataset: Path) -> Posts:
    return Reader(Dataset(dataset), ["ocr", "attributes"]).split("train")


def test_the_soft_labels_are_those_of_the_teacher_as_a_run_of_its_own(
    tiny_dataset: Path, tiny_config: Config, tmp_path: Path
) -> None:
    """As the finished run of `cls-krr+features` ranks the training posts by leave-one-out evidence."""
    config = tiny_config.model_copy(update={"system": "gen-cls-m3h+distilled", "distillation_weight": 0.5})
    found = kept_soft_labels(tiny_dataset, config, tmp_path / "student")
    teacher = Config(system="cls-krr+features", batch_size=8, threads=1)
    train_run(teacher, Dataset(tiny_dataset), tmp_path / "teacher", progress=lambda batches, title: batches)
    run, posts = open_run(tmp_path / "teacher"), posts_of(tiny_dataset)
    _, leave_one_out = with_training_index(run, posts)
    with torch.inference_mode():
        logit_pn = run.model(run.encode(posts, leave_one_out).posts_batch(np.arange(48))).logit_bn
    expected = top_soft_labels(logit_pn, 20)
    np.testing.assert_allclose(found.probability_pk, expected.probability_pk, atol=1e-5)
    clear_p = (
        expected.probability_pk[:, 0] - expected.probability_pk[:, 1] > 1e-4
    )  # equal probabilities may be in any order
    assert clear_p.sum() > 30
    assert found.label_pk[clear_p, 0].tolist() == expected.label_pk[clear_p, 0].tolist()


def test_soft_labels_are_deleted_when_the_run_is_finished(
    tiny_dataset: Path, tiny_config: Config, tmp_path: Path
) -> None:
    config = tiny_config.model_copy(update={"system": "cls-max", "distillation_weight": 0.5})
    summary = train_run(config, Dataset(tiny_dataset), tmp_path, progress=lambda batches, title: batches)
    assert summary["test"]["posts"] == 12
    assert not Checkpoints(tmp_path).folder.exists()


def test_a_system_with_a_training_index_refuses_distillation(tiny_dataset: Path, tmp_path: Path) -> None:
    config = Config(system="gen-cls-m3h+krr", distillation_weight=0.5)
    with pytest.raises(
        UsageError, match="distillation_weight: gen-cls-m3h\\+krr already ranks labels by the training posts"
    ):
        train_run(config, Dataset(tiny_dataset), tmp_path, progress=lambda batches, title: batches)
