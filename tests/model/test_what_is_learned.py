"""Every system learns a signal planted where it looks, and cannot learn one planted where it does not."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from model.assemble import Sizes, build_model
from model.batches import Encoded, encode
from model.classifier import label_table
from model.config import Config
from model.data import Posts, Vocabularies
from model.evidence import Experience
from model.infer import phrases, predict
from model.loss import joint_loss
from model.systems import SYSTEMS, wanted_inputs

TOPICS = ("storm hour", "kca", "maga", "flower show")
WORDS = ("rain wind cloud", "film star stage", "vote crowd flag", "rose bloom stem")
CHANNELS, TEST = 12, 48
CHANCE = 1 / len(TOPICS)


@dataclass(frozen=True)
class Effort:
    """A training: posts, epochs, rate of Adam."""

    posts: int = 96
    epochs: int = 20
    rate: float = 0.01


LONGER = dict.fromkeys(("gen-m3h+wording", "gen-cls-m3h+recall"), Effort(posts=256, epochs=30, rate=0.003))
"""A generator whose encoder learns of no classifier, with a picture's words behind the text, takes 300 steps or so
before it looks past them."""
SMALL = {
    **{"word_width": 24, "width": 32, "heads": 2, "head_width": 8, "encoder_layers": 1, "dropout": 0.0},
    **{"topics": 4, "topic_width": 16, "topic_stop_words": 0, "glimpses": 2, "beam": 4, "n_best": 2},
}
PLACES = {
    "text": {"text"},
    "vision": {"vision", "objects"},
    "attributes": {"attributes"},
    "ocr": {"ocr"},
}
"""Where a signal lies -> what a system must read to see it."""
CASES = [(name, place) for name, system in SYSTEMS.items() if system.learns for place in PLACES]


def planted(place: str, count: int, rng: np.random.Generator) -> Posts:
    """Posts whose keyphrase only one input tells; the words of a picture also name it, right or wrong."""
    topics = rng.integers(len(TOPICS), size=count)
    other = rng.integers(len(TOPICS), size=count)  # what the other inputs say: nothing

    def said(where: str) -> np.ndarray:
        return topics if where == place else other

    filler = [rng.choice(["so", "look", "today", "we", "all"], 3).tolist() for _ in range(count)]
    grid = 0.3 * rng.standard_normal((count, 4, CHANNELS))
    grid[np.arange(count), rng.integers(4, size=count), said("vision")] += 4.0
    return Posts(
        ids=[str(i) for i in range(count)],
        tokens=[[*words, rng.choice(WORDS[t].split())] for words, t in zip(filler, said("text"), strict=True)],
        keyphrases=[[TOPICS[t]] for t in topics],
        ocr=[[*f"{TOPICS[t]} poster board sign".split(), *WORDS[t].split()] for t in said("ocr")],
        attributes=[[f"thing{t}"] for t in said("attributes")],
        image=list(range(count)),
        grid=torch.from_numpy(grid).half(),
    )


@dataclass(frozen=True)
class Trial:
    """A system's training and held-out posts."""

    train: Encoded
    test: Encoded
    vocabularies: Vocabularies
    config: Config


def trial(name: str, place: str) -> Trial:
    config = Config(system=name, **SMALL)
    rng = np.random.default_rng(7)
    posts, held = planted(place, LONGER.get(name, Effort()).posts, rng), planted(place, TEST, rng)
    vocabularies = Vocabularies.learn(posts, config.vocab_size)
    inputs = wanted_inputs(SYSTEMS[name], config)
    train, test = (encode(one, vocabularies, 40, 15, inputs, CHANNELS) for one in (posts, held))
    if SYSTEMS[name].recalls:
        how = (vocabularies.labels, config.recall_penalty, config.candidates, "attributes" in inputs, config.grams)
        experience, others = Experience.learn(posts, train.sources, *how)
        train = train.with_evidence(others)
        test = test.with_evidence(experience.evidence(held, test.sources))
    return Trial(train, test, vocabularies, config)


def learned(one: Trial, name: str) -> float:
    """Share of held-out posts whose first phrase is right, after a short training."""
    torch.manual_seed(1)
    words, labels = one.vocabularies.words, one.vocabularies.labels
    sizes = Sizes(len(words), len(labels), len(one.vocabularies.attributes), CHANNELS)
    inputs = wanted_inputs(SYSTEMS[name], one.config)
    model = build_model(one.config, sizes, inputs, label_table(labels.words, words))
    if model.ranker is not None and one.train.evidence is not None:
        model.ranker.measure(one.train.evidence.clue_mf)
    rng, pairs, effort = np.random.default_rng(3), len(one.train.labels), LONGER.get(name, Effort())
    optimizer = torch.optim.Adam(model.parameters(), lr=effort.rate)
    for epoch in range(effort.epochs):
        model.train()
        model.aggregate = model.aggregation is not None and epoch >= effort.epochs // 2
        for rows in np.array_split(rng.permutation(pairs), pairs // 16):
            optimizer.zero_grad()
            joint_loss(model, one.train.pairs_batch(rows), 1.0, topic_weight=0.1).joint.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
    found = phrases(predict(model, one.test, one.vocabularies, one.config))
    right = [bool(f) and f[0] == wanted[0] for f, wanted in zip(found, one.test.posts.keyphrases, strict=True)]
    return sum(right) / len(right)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "place"), CASES)
def test_a_signal_is_learned_where_it_can_be_seen_and_nowhere_else(name: str, place: str) -> None:
    share = learned(trial(name, place), name)
    if PLACES[place] & set(SYSTEMS[name].inputs):
        assert share > 2.5 * CHANCE, share
    else:
        assert share < 2 * CHANCE, share
