"""What training posts are taught: by whom, in which share, and that it is what the loss says."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from model.assemble import Sizes, build_model
from model.batches import EOS_ID, Encoded, Pairs, encode
from model.checkpoint import Checkpoints
from model.config import Config
from model.data import Posts, Reader, Vocabularies
from model.evaluate import open_run
from model.experiment import train_run
from model.lessons import Lessons
from model.loss import joint_loss
from model.run import with_experience
from schemas.dataset import Dataset
from schemas.errors import IntegrityError, UsageError

TEXTS = ("rain tonight", "the kca tonight", "look at this")
KEYPHRASES = [["storm hour"], ["kca", "maga"], ["maga"]]
POSTS = Posts(["1", "2", "3"], [t.split() for t in TEXTS], KEYPHRASES, [[]] * 3, [[]] * 3, [-1] * 3)
VOCABULARIES = Vocabularies.learn(POSTS, 100)
STORM, KCA, MAGA = VOCABULARIES.labels.encode(["storm hour", "kca", "maga"])
LESSONS = Lessons(
    np.array([[STORM, KCA], [MAGA, STORM], [KCA, MAGA]]), np.array([[0.75, 0.25], [1, 0], [0.5, 0.5]], np.float32)
)


def taught(share: float) -> Encoded:
    return encode(POSTS, VOCABULARIES).with_lessons(LESSONS, VOCABULARIES, share)


def written(pairs: Pairs) -> list[str]:
    """The targets, in words."""
    rows = [row[mask].tolist() for row, mask in zip(pairs.target_bt, pairs.target_mask_bt, strict=True)]
    assert {row[-1] for row in rows} == {EOS_ID}
    return [" ".join(VOCABULARIES.words.words[i] for i in row[:-1]) for row in rows]


def test_a_post_that_is_not_taught_writes_its_own_keyphrases() -> None:
    pairs = taught(0.0).pairs_batch(np.arange(4))
    assert written(pairs) == ["storm hour", "kca", "maga", "maga"]
    assert pairs.share_bk is not None
    assert pairs.share_bk.sum() == 0


def test_a_post_that_is_only_taught_writes_what_is_suggested_as_often_as_it_is_likely() -> None:
    torch.manual_seed(0)
    drawn = [written(taught(1.0).pairs_batch(np.array([0, 2, 3]))) for _ in range(400)]
    first, second, third = zip(*drawn, strict=True)
    assert set(first) == {"storm hour", "kca"}
    assert first.count("storm hour") == pytest.approx(300, abs=45)  # five deviations
    assert set(second) == {"maga"}  # the pair's own is `maga` too, and storm hour has no chance
    assert third.count("kca") == pytest.approx(200, abs=50)


def test_a_suggested_word_that_only_the_post_has_is_copied() -> None:
    """`kca` is in no vocabulary, but in the second post, which is taught to copy it as its own keyphrase says."""
    words = Vocabularies(VOCABULARIES.words.count(["maga", "storm", "hour"]), *list(vars(VOCABULARIES).values())[1:])
    encoded = encode(POSTS, words)
    lessons = Lessons(np.array([[KCA]] * 3), np.ones((3, 1), np.float32))
    pairs = encoded.with_lessons(lessons, words, 1.0).pairs_batch(np.array([1, 0]))
    assert pairs.target_bt[0].tolist() == encoded.pairs_batch(np.array([1])).target_bt[0].tolist()
    assert pairs.target_bt[0, 0] >= len(words.words)
    assert pairs.target_bt[1, 0] == words.words.unk


def test_of_a_share_so_many_are_drawn() -> None:
    torch.manual_seed(0)
    drawn = [written(taught(0.3).pairs_batch(np.array([1])))[0] for _ in range(400)]
    assert drawn.count("maga") == pytest.approx(120, abs=46)
    assert drawn.count("kca") == 400 - drawn.count("maga")


def test_the_draw_comes_from_torchs_random_state() -> None:
    """Which the trainer sets for every step, so that a resumed run draws the same."""
    rows, draws = np.arange(4), []
    for _ in range(2):
        torch.manual_seed(5)
        draws.append([written(taught(0.5).pairs_batch(rows)) for _ in range(9)])
    assert draws[0] == draws[1]
    assert len(set(map(tuple, draws[0]))) > 1


def test_the_classification_loss_by_hand() -> None:
    """Own label with 0.6, the suggestions with 0.4 by their chances; an unknown own label counts nothing."""
    sizes = Sizes(len(VOCABULARIES.words), len(VOCABULARIES.labels), 2)
    torch.manual_seed(0)
    model = build_model(Config(system="cls-max", width=8, word_width=8), sizes, ["text"]).eval()
    pairs = taught(0.4).pairs_batch(np.array([0, 1]))
    pairs.label_b[1] = 0
    log_p_bn = F.log_softmax(model(pairs.batch).logit_bn.detach().double(), -1)
    first = 0.6 * log_p_bn[0, STORM] + 0.4 * (0.75 * log_p_bn[0, STORM] + 0.25 * log_p_bn[0, KCA])
    second = 0.4 * log_p_bn[1, MAGA]
    loss = joint_loss(model, pairs, 1.0)
    assert loss.classify == pytest.approx(float(-first - second), rel=1e-5)
    assert loss.labels == 2
    assert float(loss.joint.detach()) == pytest.approx(loss.classify / 2)


def test_lessons_of_logits_by_hand() -> None:
    """`<unk>`, label 0, is never suggested, however likely."""
    found = Lessons.of(torch.tensor([[0.0, 1.0, 3.0, -torch.inf], [9.0, 0.0, -1.0, 2.5]]), 2)
    assert found.label_pk.tolist() == [[2, 1], [3, 1]]
    assert found.chance_pk[0, 1] == pytest.approx(1 / (1 + math.e**2))
    assert found.chance_pk.sum(1) == pytest.approx([1, 1])


@pytest.mark.parametrize(
    "tensors",
    [
        {"labels": torch.ones(3, 2, dtype=torch.long)},
        {"labels": torch.ones(2, 2, dtype=torch.long), "chances": torch.full((2, 2), 0.5)},
        {"labels": torch.zeros(3, 2, dtype=torch.long), "chances": torch.full((3, 2), 0.5)},
        {"labels": torch.full((3, 2), 9), "chances": torch.full((3, 2), 0.5)},
        {"labels": torch.zeros(3, 2), "chances": torch.full((3, 2), 0.5)},
        {"labels": torch.ones(3, 2, dtype=torch.long), "chances": torch.full((3, 2), torch.nan)},
        {"labels": torch.ones(3, 2, dtype=torch.long), "chances": torch.tensor([[2.0, -1.0]] * 3)},
    ],
    ids=["none", "of other posts", "the unknown label", "of other labels", "no ids", "no numbers", "no chances"],
)
def test_a_file_of_other_lessons_is_refused_by_name(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    LESSONS.write(tmp_path / "right.safetensors")
    again = Lessons.read(tmp_path / "right.safetensors", 3, 4)
    assert again.label_pk.tolist() == LESSONS.label_pk.tolist()
    assert again.chance_pk.tolist() == LESSONS.chance_pk.tolist()
    save_file(tensors, tmp_path / "lessons.safetensors")
    with pytest.raises(IntegrityError, match=r"lessons\.safetensors: not what this run wrote"):
        Lessons.read(tmp_path / "lessons.safetensors", 3, 4)


def kept_lessons(dataset: Path, config: Config, out: Path) -> Lessons:
    """What a run is taught, read when its first step begins."""

    class Seen(Exception):
        pass

    def stop(batches: list[np.ndarray], title: str) -> list[np.ndarray]:
        if Checkpoints(out).lessons.exists():
            raise Seen
        return batches

    with pytest.raises(Seen):
        train_run(config, Dataset(dataset), out, stop)
    labels = len(Vocabularies.learn(posts_of(dataset), config.vocab_size).labels)
    return Lessons.read(Checkpoints(out).lessons, 48, labels)


def posts_of(dataset: Path) -> Posts:
    return Reader(Dataset(dataset), ["ocr", "attributes"]).split("train")


def test_the_teacher_says_of_every_post_what_its_own_system_says(
    tiny_dataset: Path, tiny_config: Config, tmp_path: Path
) -> None:
    """As the finished run of `cls-recall+clues` ranks the training posts, each left out of what it remembers."""
    config = tiny_config.model_copy(update={"system": "gen-cls-m3h+taught", "taught": 0.5})
    found = kept_lessons(tiny_dataset, config, tmp_path / "pupil")
    teacher = Config(system="cls-recall+clues", batch_size=8, threads=1)
    train_run(teacher, Dataset(tiny_dataset), tmp_path / "teacher", lambda batches, title: batches)
    run, posts = open_run(tmp_path / "teacher"), posts_of(tiny_dataset)
    _, left_out = with_experience(run, posts)
    with torch.inference_mode():
        logit_pn = run.model(run.encode(posts, left_out).posts_batch(np.arange(48))).logit_bn
    expected = Lessons.of(logit_pn, 20)
    np.testing.assert_allclose(found.chance_pk, expected.chance_pk, atol=1e-5)
    clear_p = expected.chance_pk[:, 0] - expected.chance_pk[:, 1] > 1e-4  # equal chances may change places
    assert clear_p.sum() > 30
    assert found.label_pk[clear_p, 0].tolist() == expected.label_pk[clear_p, 0].tolist()


def test_lessons_are_gone_when_the_run_is_finished(tiny_dataset: Path, tiny_config: Config, tmp_path: Path) -> None:
    config = tiny_config.model_copy(update={"system": "cls-max", "taught": 0.5})
    summary = train_run(config, Dataset(tiny_dataset), tmp_path, lambda batches, title: batches)
    assert summary["test"]["posts"] == 12
    assert not Checkpoints(tmp_path).folder.exists()


def test_who_is_a_teacher_already_is_not_taught(tiny_dataset: Path, tmp_path: Path) -> None:
    config = Config(system="gen-cls-m3h+recall", taught=0.5)
    with pytest.raises(UsageError, match="taught: gen-cls-m3h\\+recall has its labels by the training posts already"):
        train_run(config, Dataset(tiny_dataset), tmp_path, lambda batches, title: batches)
