"""What the training posts and a post's own words say of its labels."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from model.clues import CLUES, Labels
from model.config import Config
from model.data import Posts
from model.evaluate import open_run
from model.evidence import Evidence, Experience
from model.experiment import train_run
from model.ragged import Ragged
from model.ranker import Ranker
from schemas.dataset import Dataset
from schemas.vocab import Vocabulary

NAMES = ["<unk>", "storm hour", "storms", "kca", "not here"]
WEIGHTS = {"storm": 2.0, "hour": 1.0, "storms": 3.0}
SCORE = np.array([0.0, 0.04, -0.25, 0.1, 0.2], np.float32)
SEEN = np.array([0, 3, 0, 1, 2])


def look(text: str, ocr: str = "", best: int = 0) -> dict[str, dict[str, float]]:
    """Label -> the clues that are not zero."""
    labels = Labels(NAMES, lambda word: WEIGHTS.get(word, 4.0))
    ids, clues = labels.look(text.split(), ocr.split(), SCORE, SEEN, best)
    named = [{name: round(float(v), 5) for name, v in zip(CLUES, row, strict=True) if v} for row in clues]
    return dict(zip((NAMES[i] for i in ids), named, strict=True))


def test_clues_by_hand() -> None:
    told = look("a storm hour ! the storm")
    assert told == {
        "storm hour": {
            **{"score": 0.04, "root": 0.2, "frequency": round(math.log(3.3), 5), "two words": 1.0},
            **{"text": 1.0, "exact": 1.0, "place": 0.16667, "before a mark": 1.0, "commonest": 1.0, "rarest": 2.0},
        },
        "storms": {  # by its stem, first at the second word
            **{"score": -0.25, "root": -0.5, "frequency": round(math.log(0.3), 5), "unseen": 1.0, "one word": 1.0},
            **{"text": 1.0, "place": 0.16667, "commonest": 3.0, "rarest": 3.0},
        },
    }


def test_where_a_label_stands_by_hand() -> None:
    assert {"first", "last", "exact"} <= set(look("kca")["kca"])
    assert {"last", "after a mark"} <= set(look("so | kca")["kca"])
    assert set(look("nothing", "kca")["kca"]) == {"score", "root", "frequency", "one word", "ocr"}


def test_the_best_scores_are_candidates_wherever_they_stand_but_for_the_unknown_label() -> None:
    assert list(look("nothing", best=2)) == ["kca", "not here"]
    assert list(look("nothing", best=9)) == NAMES[1:]


def posts_of(texts: list[str], keyphrases: list[list[str]]) -> Posts:
    n = len(texts)
    return Posts([str(i) for i in range(n)], [t.split() for t in texts], keyphrases, [[]] * n, [["man"]] * n, [-1] * n)


def experience_of(posts: Posts, attributes: bool = False) -> tuple[Experience, Evidence]:
    return Experience.learn(posts, posts.tokens, Vocabulary(NAMES), 0.3, 2, attributes, ["words", "pairs"])


TRAINING = posts_of(
    ["a storm hour tonight", "storm hour over the sea", "the kca tonight", "storm at sea"],
    [["storm hour"], ["storm hour", "storms"], ["kca"], ["storms"]],
)


def test_a_training_post_does_not_count_itself() -> None:
    """By the others: storm hour once, and no kca at all."""
    _, evidence = experience_of(TRAINING)
    frequency = CLUES.index("frequency")
    told = {
        (row, NAMES[label]): evidence.clue_mf[place, frequency]
        for row in range(4)
        for place in evidence.candidates.places(np.array([row]))
        for label in [evidence.candidates.values[place]]
    }
    assert told[0, "storm hour"] == pytest.approx(math.log(1.3))
    assert told[3, "storms"] == pytest.approx(math.log(1.3))
    assert told[2, "kca"] == pytest.approx(math.log(0.3))


def test_attributes_are_read_only_where_they_shall_be() -> None:
    other = Posts(["x"], [["unheard"]], [[]], [[]], [["man"]], [-1])
    for attributes in (False, True):
        experience, _ = experience_of(TRAINING, attributes)
        assert bool(np.any(experience.evidence(other, other.tokens).score_pn)) is attributes


def test_evidence_of_a_lone_post_is_that_among_others() -> None:
    experience, _ = experience_of(TRAINING)
    posts = posts_of(["the storm hour", "sea", "kca kca kca at sea tonight"], [[], [], []])
    together = experience.evidence(posts, posts.tokens).batch(np.arange(3))
    for i in range(3):
        one = experience.evidence(posts[i : i + 1], posts.tokens[i : i + 1]).batch(np.array([0]))
        real = int(one["candidate_mask_bc"].sum())
        np.testing.assert_array_equal(one["candidate_bc"][0], together["candidate_bc"][i, :real])
        np.testing.assert_allclose(one["clue_bcf"][0], together["clue_bcf"][i, :real], atol=1e-6)
        np.testing.assert_allclose(one["score_bn"][0], together["score_bn"][i], atol=1e-6)
        assert not together["candidate_mask_bc"][i, real:].any()


def test_pairs_whose_label_is_no_candidate_become_unknown() -> None:
    candidates = Ragged.of([[1, 4], [2], []])
    evidence = Evidence(np.zeros((3, 5), np.float32), candidates, np.zeros((3, len(CLUES)), np.float32))
    within = evidence.within(np.array([0, 0, 0, 1, 2]), np.array([4, 2, 1, 2, 3]))
    assert within.tolist() == [4, 0, 1, 2, 0]


def test_a_candidate_s_logit_by_hand_and_minus_infinity_for_the_rest() -> None:
    ranker = Ranker(hidden=2, dropout=0.0)
    for weight in ranker.net.parameters():
        torch.nn.init.zeros_(weight)
    torch.nn.init.ones_(ranker.linear.weight)
    ranker.measure(np.stack([np.zeros(len(CLUES)), np.full(len(CLUES), 2.0)]).astype(np.float32))  # mean 1, deviation 1
    clue_bcf = torch.ones(1, 2, len(CLUES))
    clue_bcf[0, 0, 3] = 2.001
    logit = ranker(torch.tensor([[0.0, 0.5, 0.1]]), torch.tensor([[1, 0]]), torch.tensor([[True, False]]), clue_bcf)
    assert logit.tolist() == [[-math.inf, pytest.approx(8 * 0.5 + 1.0), -math.inf]]


def test_a_finished_run_predicts_as_when_it_was_trained(tiny_dataset: Path, tmp_path: Path) -> None:
    config = Config(system="cls-recall+clues", epochs=2, batch_size=8, threads=1)
    train_run(config, Dataset(tiny_dataset), tmp_path / "run", lambda batches, title: batches)
    run = open_run(tmp_path / "run")
    posts = run.reader(Dataset(tiny_dataset)).split("test")
    batch = run.encode(posts).posts_batch(np.arange(len(posts)))
    assert run.experience is not None
    assert batch.score_bn is not None
    best = run.model(batch).logit_bn.argmax(-1)
    names = [run.vocabularies.labels.words[i] for i in best]
    lines = (tmp_path / "run" / "predictions" / "test.jsonl").read_text().splitlines()
    assert [f'"phrase": "{name}"' in line for name, line in zip(names, lines, strict=True)] == [True] * len(posts)
