"""Evidence for labels: scores of the training index and label features."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.model.config import Config
from m3h.model.data.evidence import Evidence, IndexOptions, TrainingIndex
from m3h.model.data.posts import Posts
from m3h.model.data.ragged import Ragged
from m3h.model.networks.ranker import Ranker
from m3h.model.ranking.label_clues import LABEL_CLUES, TUNED_CLUES
from m3h.model.ranking.label_features import LABEL_FEATURES, LabelMatcher
from m3h.model.ranking.phrase_clues import PHRASE_CLUES
from m3h.model.ranking.tuned_scores import FoundPhrases, TunedScores
from m3h.model.runs.evaluate import open_run
from m3h.model.runs.experiment import train_run
from m3h.schemas.dataset import Dataset
from m3h.schemas.vocab import Vocabulary

NAMES = ["<unk>", "storm hour", "storms", "kca", "not here"]
WEIGHTS = {"storm": 2.0, "hour": 1.0, "storms": 3.0}
SCORE = np.array([0.0, 0.04, -0.25, 0.1, 0.2], np.float32)
COUNT = np.array([0, 3, 0, 1, 2])


def features_of(text: str, ocr: str = "", top: int = 0) -> dict[str, dict[str, float]]:
    """Label -> its features that are not zero."""
    matcher = LabelMatcher(NAMES, lambda word: WEIGHTS.get(word, 4.0))
    ids, features = matcher.features(text.split(), ocr.split(), SCORE, count_n=COUNT, top=top)
    named = [{name: round(float(v), 5) for name, v in zip(LABEL_FEATURES, row, strict=True) if v} for row in features]
    return dict(zip((NAMES[i] for i in ids), named, strict=True))


def test_label_features_by_hand() -> None:
    assert features_of("a storm hour ! the storm") == {
        "storm hour": {
            **{"score": 0.04, "signed sqrt score": 0.2, "log frequency": round(math.log(3.3), 5), "two words": 1.0},
            **{"in text": 1.0, "exact": 1.0, "relative position": 0.16667, "before non-word": 1.0},
            **{"min idf": 1.0, "max idf": 2.0},
        },
        "storms": {  # by its stem, first at the second word
            **{"score": -0.25, "signed sqrt score": -0.5, "log frequency": round(math.log(0.3), 5), "unseen": 1.0},
            **{"one word": 1.0, "in text": 1.0, "relative position": 0.16667, "min idf": 3.0, "max idf": 3.0},
        },
    }


def test_features_of_the_position_by_hand() -> None:
    assert {"at start", "at end", "exact"} <= set(features_of("kca")["kca"])
    assert {"at end", "after non-word"} <= set(features_of("so | kca")["kca"])
    assert set(features_of("nothing", "kca")["kca"]) == {
        *("score", "signed sqrt score", "log frequency", "one word", "in ocr")
    }


def test_the_best_scores_are_candidates_wherever_they_occur_but_not_the_unknown_label() -> None:
    assert list(features_of("nothing", top=2)) == ["kca", "not here"]
    assert list(features_of("nothing", top=9)) == NAMES[1:]


def posts_of(texts: list[str], keyphrases: list[list[str]]) -> Posts:
    n = len(texts)
    return Posts([str(i) for i in range(n)], [t.split() for t in texts], keyphrases, [[]] * n, [["man"]] * n, [-1] * n)


def index_of(posts: Posts, attributes: bool = False) -> tuple[TrainingIndex, Evidence]:
    options = IndexOptions(0.3, 2, ["words", "bigrams"], labels=["attributes"] if attributes else [])
    return TrainingIndex.build(posts, posts.tokens, Vocabulary(NAMES), options=options)


TRAINING = posts_of(
    ["a storm hour tonight", "storm hour over the sea", "the kca tonight", "storm at sea"],
    [["storm hour"], ["storm hour", "storms"], ["kca"], ["storms"]],
)


def test_a_training_post_does_not_count_itself() -> None:
    """By the others: storm hour once, and no kca at all."""
    _, evidence = index_of(TRAINING)
    frequency = LABEL_FEATURES.index("log frequency")
    found = {
        (row, NAMES[label]): evidence.feature_mf[index, frequency]
        for row in range(4)
        for index in evidence.candidates.value_indices(np.array([row]))
        for label in [evidence.candidates.values[index]]
    }
    assert found[0, "storm hour"] == pytest.approx(math.log(1.3))
    assert found[3, "storms"] == pytest.approx(math.log(1.3))
    assert found[2, "kca"] == pytest.approx(math.log(0.3))


def test_attributes_are_read_only_if_the_options_say_so() -> None:
    unrelated = Posts(["x"], [["unheard"]], [[]], [[]], [["man"]], [-1])
    for attributes in (False, True):
        index, _ = index_of(TRAINING, attributes)
        assert bool(np.any(index.evidence(unrelated, unrelated.tokens).batch(np.array([0]))["score_bn"])) is attributes


def test_a_post_has_the_same_evidence_alone_and_among_others() -> None:
    index, _ = index_of(TRAINING)
    posts = posts_of(["the storm hour", "sea", "kca kca kca at sea tonight"], [[], [], []])
    together = index.evidence(posts, posts.tokens).batch(np.arange(3))
    for i in range(3):
        lone = index.evidence(posts[i : i + 1], posts.tokens[i : i + 1]).batch(np.array([0]))
        real = int(lone["candidate_mask_bc"].sum())
        np.testing.assert_array_equal(lone["candidate_bc"][0], together["candidate_bc"][i, :real])
        np.testing.assert_allclose(lone["label_feature_bcf"][0], together["label_feature_bcf"][i, :real], atol=1e-6)
        np.testing.assert_allclose(lone["score_bn"][0], together["score_bn"][i], atol=1e-6)
        assert not together["candidate_mask_bc"][i, real:].any()


def test_scores_of_candidates_are_those_of_all_labels() -> None:
    """A system that ranks candidates alone does not keep the scores of other labels."""
    options = IndexOptions(0.3, 1, ["words"])
    every, few = (
        TrainingIndex.build(TRAINING, TRAINING.tokens, Vocabulary(NAMES), options=replace(options, all_scores=kept))[1]
        for kept in (True, False)
    )
    whole, part = every.batch(np.arange(4)), few.batch(np.arange(4))
    candidate = np.zeros_like(whole["score_bn"], bool)
    np.put_along_axis(candidate, whole["candidate_bc"], whole["candidate_mask_bc"], 1)
    candidate[:, 0] = False  # where a post has fewer candidates than others, its last ones are 0
    assert (whole["score_bn"][~candidate] != 0).any()
    np.testing.assert_array_equal(part["score_bn"], np.where(candidate, whole["score_bn"], 0))


def test_pairs_whose_label_is_no_candidate_become_unknown() -> None:
    candidates = Ragged.from_rows([[1, 4], [2], []])
    evidence = Evidence(5, candidates, np.zeros((3, len(LABEL_FEATURES)), np.float32))
    found = evidence.target_ids(np.array([0, 0, 0, 1, 2]), list("abcde"), np.array([4, 2, 1, 2, 3]))
    assert found.tolist() == [4, 0, 1, 2, 0]


def test_pairs_whose_keyphrase_is_a_phrase_of_the_text_have_its_id() -> None:
    candidates = Ragged.from_rows([[1, 5, 6], [2, 5]])
    features = np.zeros((5, len(LABEL_FEATURES)), np.float32)
    phrases = [["big storms", "kca"], ["sea"]]
    evidence = Evidence(5, candidates, features, phrases=phrases, most_phrases=2)
    keyphrases = ["big storm", "not here", "x", "kca", "kca"]
    found = evidence.target_ids(np.array([0, 0, 0, 0, 1]), keyphrases, np.array([0, 0, 1, 4, 0]))
    assert found.tolist() == [5, 0, 1, 6, 0]
    assert [evidence.phrase(1, i) for i in (5, 6)] == ["sea", None]
    batch = evidence.batch(np.array([1, 0]))
    assert batch["score_bn"].shape == (2, 7)
    assert batch["candidate_bc"].tolist() == [[2, 5, 0], [1, 5, 6]]


def test_a_candidate_s_logit_by_hand_and_minus_infinity_for_the_rest() -> None:
    ranker = Ranker(hidden=2, dropout=0.0)
    for weight in ranker.net.parameters():
        torch.nn.init.zeros_(weight)
    torch.nn.init.ones_(ranker.linear.weight)
    ranker.fit_normalization(
        np.stack([np.zeros(len(LABEL_FEATURES)), np.full(len(LABEL_FEATURES), 2.0)]).astype(np.float32)
    )  # mean 1, deviation 1
    feature_bcf = torch.ones(1, 2, len(LABEL_FEATURES))
    feature_bcf[0, 0, 3] = 2.001
    logit = ranker(
        torch.tensor([[0.0, 0.5, 0.1]]), torch.tensor([[1, 0]]), torch.tensor([[True, False]]), feature_bcf=feature_bcf
    )
    assert logit.tolist() == [[-math.inf, pytest.approx(8 * 0.5 + 1.0), -math.inf]]


def test_a_finished_run_predicts_as_when_it_was_trained(tiny_dataset: Path, tmp_path: Path) -> None:
    config = Config(system="cls-krr+features", epochs=2, batch_size=8, threads=1)
    train_run(config, Dataset(tiny_dataset), tmp_path / "run", progress=lambda batches, title: batches)
    run = open_run(tmp_path / "run")
    posts = run.reader(Dataset(tiny_dataset)).split("test")
    batch = run.encode(posts).posts_batch(np.arange(len(posts)))
    assert run.training_index is not None
    assert batch.score_bn is not None
    best = run.model(batch).logit_bn.argmax(-1)
    names = [run.vocabularies.labels.words[i] for i in best]
    lines = (tmp_path / "run" / "predictions" / "test.jsonl").read_text().splitlines()
    assert [f'"phrase": "{name}"' in line for name, line in zip(names, lines, strict=True)] == [True] * len(posts)


WORDS = st.lists(
    st.sampled_from(["storm", "hour", "kca", "at", "sea", "tonight", "not", "here"]), min_size=1, max_size=6
)
GIVEN = st.lists(st.sampled_from(NAMES[1:]), min_size=1, max_size=2, unique=True)


def random_scores(posts: int, seed: int, words: Sequence[int] = ()) -> TunedScores:
    """Of two tuned encoders. Every post has a label in its text. words: of each text, whose phrases are scored."""
    torch.manual_seed(seed)
    bonuses = [(torch.tensor([1 + row % 4]), torch.randn(1)) for row in range(posts)]
    fold_p = torch.arange(posts) % 2
    tables = torch.randn(posts, 3), torch.randn(2, len(NAMES), 3), torch.randn(2, len(NAMES))
    phrases = []
    for count in words:
        spans = [(0, count), *((place, place + 1) for place in range(count))][: count + (count > 1)]
        phrases.append(FoundPhrases(-1.0, spans, torch.randn(len(spans)).sort(descending=True).values.tolist()))
    return TunedScores(*tables, fold_p, bonuses, phrases)


def test_the_best_labels_of_a_tuned_encoder_are_candidates_but_not_those_that_only_the_post_has() -> None:
    """`kca` is of post 2 alone: there it is no candidate, and no share of the probability goes to it."""
    table = torch.zeros(1, len(NAMES), 1)
    table[0, 3] = 5.0
    scores = TunedScores(
        torch.ones(4, 1),
        table,
        torch.zeros(1, len(NAMES)),
        torch.zeros(4).long(),
        [(torch.tensor([1]), torch.tensor([1.0]))] * 4,
    )
    options = IndexOptions(0.3, 1, ["words"], clues=True, tuned=True)
    _, evidence = TrainingIndex.build(TRAINING, TRAINING.tokens, Vocabulary(NAMES), options=options, tuned=scores)
    found = [set(evidence.candidates.padded(np.array([row]))[0][0].tolist()) for row in range(4)]
    assert [3 in ids for ids in found] == [True, True, False, True]
    first = evidence.feature_mf[evidence.candidates.value_indices(np.array([2]))[0]]
    chances = 1 / (1 + math.exp(-1))  # of the labels 1 and 2, of which label 1 has a bonus of 1
    assert first[-len(TUNED_CLUES) + 1] == pytest.approx(chances)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(WORDS, GIVEN), min_size=3, max_size=6),
    GIVEN,
    st.integers(0, 10**6),
    st.sampled_from(["dense", "tiled"]),
)
def test_a_training_post_s_own_keyphrases_never_reach_its_evidence(
    rows: list[tuple[list[str], list[str]]], others: list[str], seed: int, solver: str
) -> None:
    """Whatever its keyphrases are, the evidence of the first post is the same: that of the other posts."""
    texts, given = [" ".join(words) for words, _ in rows], [phrases for _, phrases in rows]
    torch.manual_seed(seed)
    name_nv = torch.randn(len(NAMES), 3)
    tuned = random_scores(len(rows), seed, [len(words) for words, _ in rows])
    options = IndexOptions(0.3, 9, ["words", "bigrams"], clues=True, tuned=True, phrases=3, solver=solver)
    found = [
        TrainingIndex.build(
            *(posts, posts.tokens, Vocabulary(NAMES)),
            options=options,
            name_nv=name_nv,
            tuned=tuned,
        )[1].batch(np.array([0]))
        for posts in (posts_of(texts, given), posts_of(texts, [others, *given[1:]]))
    ]
    assert found[0]["candidate_bc"].tolist() == found[1]["candidate_bc"].tolist()
    np.testing.assert_allclose(found[0]["score_bn"], found[1]["score_bn"], atol=1e-4)
    names = (*LABEL_FEATURES, *LABEL_CLUES, *TUNED_CLUES, *PHRASE_CLUES)
    exact = [i for i, name in enumerate(names) if "log rank" not in name]
    first, second = (one["label_feature_bcf"][..., exact] for one in found)  # ranks of equal scores hang on rounding
    np.testing.assert_allclose(first, second, atol=1e-2)


def test_an_index_with_clues_is_read_as_it_was_written(tmp_path: Path) -> None:
    options = IndexOptions(0.3, 2, ["words", "bigrams"], clues=True)
    torch.manual_seed(0)
    names = torch.randn(len(NAMES), 4)
    index, _ = TrainingIndex.build(TRAINING, TRAINING.tokens, Vocabulary(NAMES), options=options, name_nv=names)
    index.write(tmp_path)
    read = TrainingIndex.read(tmp_path, Vocabulary(NAMES), options)
    posts = posts_of(["the storm hour", "kca at sea"], [[], []])
    found, again = (one.evidence(posts, posts.tokens).batch(np.arange(2)) for one in (index, read))
    for name, values in found.items():
        np.testing.assert_array_equal(values, again[name])
    assert found["label_feature_bcf"].shape[2] == len(LABEL_FEATURES) + len(LABEL_CLUES)
