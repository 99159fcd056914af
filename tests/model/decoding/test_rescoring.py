"""Both parts score every phrase: by hand, and as laws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from m3h.model.config import Config
from m3h.model.data.batch import BOS_ID, EOS_ID, UNK_ID
from m3h.model.data.encoding import encode
from m3h.model.data.posts import Posts, Vocabularies
from m3h.model.decoding.predict import predict
from m3h.model.decoding.rescoring import MIN_PROBABILITY, Proposals, rescore, score_phrases
from m3h.model.networks.classifier import label_table
from m3h.model.networks.factory import Sizes, build_model
from m3h.model.networks.unified import KeyphraseModel

TEXTS = ("rain tonight", "the kca tonight", "look at zebra here today")
KEYPHRASES = [["storm hour"], ["kca", "maga"], ["flower show"]]
POSTS = Posts(["1", "2", "3"], [t.split() for t in TEXTS], KEYPHRASES, [[]] * 3, [[]] * 3, [-1] * 3)
KNOWN = replace(POSTS, tokens=[["rain", "tonight", "look", "at", "the"]] * 3)
VOCABULARIES = Vocabularies.build(KNOWN, 100)
ENCODED = encode(POSTS, VOCABULARIES)
SMALL = {"width": 8, "word_width": 8, "heads": 2, "head_width": 4, "beam": 4, "n_best": 2, "dropout": 0.0}


def model_of(name: str = "gen-m3h+wording+joint") -> KeyphraseModel:
    torch.manual_seed(3)
    sizes = Sizes(len(VOCABULARIES.words), len(VOCABULARIES.labels))
    table_nw = label_table(VOCABULARIES.labels.words, VOCABULARIES.words)
    model = build_model(Config(system=name, **SMALL), sizes, ["text"], label_words_nw=table_nw)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    model.aggregate = model.aggregation is not None
    return model.eval()


@torch.inference_mode()
def generator_probability(model: KeyphraseModel, row: int, phrase: str) -> float:
    """Word by word, from the whole distribution of each step."""
    batch = ENCODED.posts_batch(np.array([row]))
    encoding = model(batch)
    memory, state_bd = model.build_memory(batch, encoding), encoding.decoder_start()[1]
    own, words = ENCODED.oov[row], VOCABULARIES.words
    chance, last = 1.0, BOS_ID
    for word in [*phrase.split(), None]:
        u_bte = model.generator.gru_inputs(model.embed(torch.tensor([[last]])), memory)
        s_btd = model.generator.gru_states(u_bte, state_bd)
        p_x = model.generator.distribution(model.generator.step_outputs(u_bte, s_btd, memory), memory, len(own))[0, 0]
        if word is None:
            last = EOS_ID
        else:
            last = len(words) + own.index(word) if word in own else words.index.get(word, UNK_ID)
        chance, state_bd = chance * float(p_x[last]), s_btd[:, 0]
    return chance


def rescored(model: KeyphraseModel, generated: list[dict[str, float]], labels: list[list[str]], weight: float) -> list:
    batch, proposals = ENCODED.posts_batch(np.arange(3)), Proposals(generated, labels)
    scored = score_phrases(model, batch, proposals, encoded=ENCODED, vocabularies=VOCABULARIES)
    return [rescore(post, weight) for post in scored]


def test_a_score_has_the_probabilities_of_both_parts() -> None:
    """The generator proposed `kca`, at 0.25, and scores `storm hour`; `at zebra` is no label."""
    model = model_of()
    found = rescored(model, [{}, {"kca": 0.25, "at zebra": 0.5}, {}], [["maga"], ["kca", "storm hour"], []], 0.8)
    with torch.inference_mode():
        p_n = model(ENCODED.posts_batch(np.arange(3))).logit_bn.softmax(-1)[1]
    kca, storm = (float(p_n[i]) for i in VOCABULARIES.labels.encode(["kca", "storm hour"]))
    expected = {
        "kca": 0.25**0.8 * kca**0.2,
        "storm hour": max(MIN_PROBABILITY, generator_probability(model, 1, "storm hour")) ** 0.8 * storm**0.2,
        "at zebra": 0.5**0.8 * 1e-7**0.2,
    }
    assert dict(found[1]) == pytest.approx(expected, rel=1e-4)
    assert [phrase for phrase, _ in found[1]] == sorted(expected, key=lambda phrase: -expected[phrase])
    assert [phrase for phrase, _ in found[0]] == ["maga"]
    assert found[2] == []


def test_words_of_the_post_alone_are_scored_as_copies() -> None:
    """`zebra` is in no vocabulary, and no text but the third's."""
    model = model_of()
    found = [dict(post) for post in rescored(model, [{}] * 3, [[], ["zebra"], ["zebra", "at zebra"]], 1.0)]
    assert "zebra" not in VOCABULARIES.words
    assert ENCODED.oov[2] == ["zebra", "here", "today"]
    for phrase in ("zebra", "at zebra"):
        assert found[2][phrase] == pytest.approx(generator_probability(model, 2, phrase), rel=1e-4)
    assert found[1]["zebra"] == pytest.approx(generator_probability(model, 1, "zebra"), rel=1e-4)


@pytest.mark.parametrize("name", ["gen-m3h+wording+joint", "gen-cls-m3h"])
def test_with_all_weight_on_one_part_the_list_is_its_own(name: str) -> None:
    """All weight on the classifier gives its list; on the generator, its phrases by their probability."""
    model = model_of(name)
    lists = {
        (how, weight): predict(
            model, ENCODED, VOCABULARIES, config=Config(system=name, **SMALL, ranking=how, generator_weight=weight)
        )
        for how, weight in (("classifier", 0.5), ("rescored", 0.0), ("generator", 0.5), ("rescored", 1.0))
    }
    by_label = [[ranked.phrase for ranked in post] for post in lists["classifier", 0.5]]
    assert [[ranked.phrase for ranked in post] for post in lists["rescored", 0.0]] == by_label
    for row, post in enumerate(lists["rescored", 1.0]):
        scores = [ranked.score for ranked in post]
        assert scores == sorted(scores, reverse=True)
        for ranked in post:
            assert ranked.score == pytest.approx(
                max(MIN_PROBABILITY, generator_probability(model, row, ranked.phrase)), rel=1e-3
            )
        assert scores[0] >= max(ranked.score for ranked in lists["generator", 0.5][row]) - 1e-5


def test_a_label_that_the_search_left_unfinished_is_scored() -> None:
    """A search of one step finishes nothing: its unfinished phrases are no proposals, even if they are labels."""
    model = model_of()
    with torch.no_grad():
        model.generator.vocabulary.bias[VOCABULARIES.words.index["kca"]] = 9.0
        model.generator.switch.bias.fill_(9.0)
    config = Config(system="gen-m3h+wording+joint", **SMALL, max_steps=1, ranking="rescored", generator_weight=1.0)
    found = predict(model, ENCODED, VOCABULARIES, config=config)
    for row, post in enumerate(found):
        scores = {ranked.phrase: ranked.score for ranked in post}
        assert scores["kca"] == pytest.approx(generator_probability(model, row, "kca"), rel=1e-3)
        assert scores["kca"] > 100 * MIN_PROBABILITY


def test_a_list_does_not_depend_on_the_other_posts() -> None:
    model, config = model_of(), Config(system="gen-m3h+wording+joint", **SMALL, ranking="rescored")
    together = predict(model, ENCODED, VOCABULARIES, config=config)
    for row in range(3):
        alone = predict(model, encode(POSTS[row : row + 1], VOCABULARIES), VOCABULARIES, config=config)[0]
        assert [ranked.phrase for ranked in alone] == [ranked.phrase for ranked in together[row]]
        assert [ranked.score for ranked in alone] == pytest.approx([ranked.score for ranked in together[row]], abs=1e-5)


def test_a_prediction_shows_how_far_it_is() -> None:
    shown: list[tuple[str, list[int]]] = []

    def progress(batches: list[np.ndarray], title: str) -> list[np.ndarray]:
        shown.append((title, [len(rows) for rows in batches]))
        return batches

    model, config = model_of(), Config(system="gen-m3h+wording+joint", **SMALL).model_copy(update={"search_batch": 2})
    predict(model, ENCODED, VOCABULARIES, config=config, progress=progress)
    assert shown == [("predicting", [2, 1])]
