"""Every system learns a signal planted where it looks, and cannot learn one planted where it does not."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from m3h.model.config import Config
from m3h.model.data.encoding import Encoded, encode
from m3h.model.data.evidence import IndexOptions, TrainingIndex
from m3h.model.data.pictures import Cells, Pictures
from m3h.model.data.posts import Posts, Vocabularies
from m3h.model.decoding.predict import phrases, predict
from m3h.model.networks.classifier import label_table
from m3h.model.networks.factory import Sizes, build_model
from m3h.model.runs.run import compared_weights
from m3h.model.systems import SYSTEMS, resolve_inputs
from m3h.model.training.loss import joint_loss

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


LONGER = dict.fromkeys(("gen-m3h+wording", "gen-cls-m3h+krr"), Effort(posts=256, epochs=30, rate=0.003))
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


def cases() -> list[tuple[str, str]]:
    """Each system with each place where it can see a signal, and with one where it cannot."""
    found = []
    for name, system in SYSTEMS.items():
        if system.trainable:
            read = [place for place, inputs in PLACES.items() if inputs & set(system.inputs)]
            found += [(name, place) for place in [*read, *[other for other in PLACES if other not in read][:1]]]
    return found


def planted(place: str, count: int, rng: np.random.Generator) -> Posts:
    """Posts whose keyphrase can be found in one input only; OCR words name a keyphrase too, right or wrong."""
    topics = rng.integers(len(TOPICS), size=count)
    unrelated = rng.integers(len(TOPICS), size=count)  # in all other inputs

    def said(where: str) -> np.ndarray:
        return topics if where == place else unrelated

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
        alt=[["a", "picture", "of", *WORDS[t].split()] for t in topics] if place == "alt" else [],
        pictures=Pictures({name: Cells(torch.from_numpy(grid).half()) for name in ("vision", "objects")}),
    )


@dataclass(frozen=True)
class Trial:
    """A system's training and held-out posts."""

    train: Encoded
    test: Encoded
    vocabularies: Vocabularies
    config: Config


def make_trial(name: str, place: str, *added: str) -> Trial:
    config = Config(system=name, add_inputs=added, **SMALL)
    rng = np.random.default_rng(7)
    posts, held = planted(place, LONGER.get(name, Effort()).posts, rng), planted(place, TEST, rng)
    vocabularies = Vocabularies.build(posts, config.vocab_size)
    inputs = resolve_inputs(SYSTEMS[name], config)
    train, test = (encode(part, vocabularies, 40, inputs=inputs) for part in (posts, held))
    if SYSTEMS[name].uses_training_index:
        labels, vision = (
            [name for name in names if name in inputs] for names in (("attributes",), ("vision", "objects"))
        )
        options = IndexOptions(
            *(config.ridge_penalty, config.candidates, config.tfidf_terms),
            labels=labels,
            weights=compared_weights(config, vision),
            clues=config.label_features == "all",
            tuned=config.tunes_sentences,
            phrases=config.phrase_candidates,
        )
        index, leave_one_out = TrainingIndex.build(posts, train.sources, vocabularies.labels, options=options)
        train = train.with_evidence(leave_one_out)
        test = test.with_evidence(index.evidence(held, test.sources))
    return Trial(train, test, vocabularies, config)


def learned(trial: Trial, name: str) -> float:
    """Share of held-out posts whose first phrase is right, after a short training."""
    torch.manual_seed(1)
    words, labels = trial.vocabularies.words, trial.vocabularies.labels
    channels = dict.fromkeys(("vision", "objects"), CHANNELS)
    sizes = Sizes(len(words), len(labels), {"attributes": len(trial.vocabularies.attributes)}, channels)
    inputs = resolve_inputs(SYSTEMS[name], trial.config)
    model = build_model(trial.config, sizes, inputs, label_words_nw=label_table(labels.words, words))
    if model.ranker is not None and trial.train.evidence is not None:
        model.ranker.fit_normalization(trial.train.evidence.feature_mf)
    rng, pairs, effort = np.random.default_rng(3), len(trial.train.labels), LONGER.get(name, Effort())
    optimizer = torch.optim.Adam(model.parameters(), lr=effort.rate)
    for epoch in range(effort.epochs):
        model.train()
        model.aggregate = model.aggregation is not None and epoch >= effort.epochs // 2
        for rows in np.array_split(rng.permutation(pairs), pairs // 16):
            optimizer.zero_grad()
            joint_loss(model, trial.train.pairs_batch(rows), 1.0, topic_weight=0.1).joint.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
    found = phrases(predict(model, trial.test, trial.vocabularies, config=trial.config))
    right = [bool(f) and f[0] == wanted[0] for f, wanted in zip(found, trial.test.posts.keyphrases, strict=True)]
    return sum(right) / len(right)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "place"), cases())
def test_a_signal_is_learned_where_it_can_be_seen_and_nowhere_else(name: str, place: str) -> None:
    share = learned(make_trial(name, place), name)
    if PLACES[place] & set(SYSTEMS[name].inputs):
        assert share > 2.5 * CHANCE, share
    else:
        assert share < 2 * CHANCE, share


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cls-m3h", "gen-copy", "gen-cls-m3h", "cls-krr"])
def test_a_signal_in_the_descriptions_is_learned_if_they_are_read(name: str) -> None:
    assert learned(make_trial(name, "alt", "alt"), name) > 2.5 * CHANCE
    assert learned(make_trial(name, "alt"), name) < 2 * CHANCE
