"""Both halves judge every phrase: by hand, and as laws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.assemble import Sizes, build_model
from model.batches import BOS_ID, EOS_ID, UNK_ID, encode
from model.classifier import label_table
from model.config import Config
from model.data import Posts, Vocabularies
from model.infer import predict
from model.unified import KeyphraseModel
from model.weigh import LEAST, weigh

TEXTS = ("rain tonight", "the kca tonight", "look at zebra here today")
KEYPHRASES = [["storm hour"], ["kca", "maga"], ["flower show"]]
POSTS = Posts(["1", "2", "3"], [t.split() for t in TEXTS], KEYPHRASES, [[]] * 3, [[]] * 3, [-1] * 3)
KNOWN = replace(POSTS, tokens=[["rain", "tonight", "look", "at", "the"]] * 3)
VOCABULARIES = Vocabularies.learn(KNOWN, 100)
ENCODED = encode(POSTS, VOCABULARIES)
SMALL = {"width": 8, "word_width": 8, "heads": 2, "head_width": 4, "beam": 4, "n_best": 2, "dropout": 0.0}


def model_of(name: str = "gen-m3h+wording+joint") -> KeyphraseModel:
    torch.manual_seed(3)
    sizes = Sizes(len(VOCABULARIES.words), len(VOCABULARIES.labels), 2)
    table_nw = label_table(VOCABULARIES.labels.words, VOCABULARIES.words)
    model = build_model(Config(system=name, **SMALL), sizes, ["text"], table_nw)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)
    model.aggregate = model.aggregation is not None
    return model.eval()


@torch.inference_mode()
def chance_of_writing(model: KeyphraseModel, row: int, phrase: str) -> float:
    """Word by word, from the whole distribution of each step."""
    batch = ENCODED.posts_batch(np.array([row]))
    encoding = model(batch)
    memory, state_bd = model.remember(batch, encoding), encoding.start()[1]
    own, words = ENCODED.oov[row], VOCABULARIES.words
    chance, last = 1.0, BOS_ID
    for word in [*phrase.split(), None]:
        u_bte = model.generator.inputs(model.embed(torch.tensor([[last]])), memory)
        s_btd = model.generator.states(u_bte, state_bd)
        p_x = model.generator.distribution(model.generator.emit(u_bte, s_btd, memory), memory, len(own))[0, 0]
        if word is None:
            last = EOS_ID
        else:
            last = len(words) + own.index(word) if word in own else words.index.get(word, UNK_ID)
        chance, state_bd = chance * float(p_x[last]), s_btd[:, 0]
    return chance


def weighed(model: KeyphraseModel, written: list[dict[str, float]], labels: list[list[str]], weight: float) -> list:
    return weigh(model, ENCODED.posts_batch(np.arange(3)), ENCODED, VOCABULARIES, written, labels, weight)


def test_a_phrase_is_worth_what_both_halves_say_of_it() -> None:
    """`kca` the generator wrote, at 0.25; `storm hour` it reads back; `at zebra` is no label."""
    model = model_of()
    found = weighed(model, [{}, {"kca": 0.25, "at zebra": 0.5}, {}], [["maga"], ["kca", "storm hour"], []], 0.8)
    with torch.inference_mode():
        p_n = model(ENCODED.posts_batch(np.arange(3))).logit_bn.softmax(-1)[1]
    kca, storm = (float(p_n[i]) for i in VOCABULARIES.labels.encode(["kca", "storm hour"]))
    expected = {
        "kca": 0.25**0.8 * kca**0.2,
        "storm hour": max(LEAST, chance_of_writing(model, 1, "storm hour")) ** 0.8 * storm**0.2,
        "at zebra": 0.5**0.8 * 1e-7**0.2,
    }
    assert dict(found[1]) == pytest.approx(expected, rel=1e-4)
    assert [phrase for phrase, _ in found[1]] == sorted(expected, key=lambda phrase: -expected[phrase])
    assert [phrase for phrase, _ in found[0]] == ["maga"]
    assert found[2] == []


def test_a_post_s_own_words_are_read_back_as_copies() -> None:
    """`zebra` is in no vocabulary, and no text but the third's."""
    model = model_of()
    found = [dict(post) for post in weighed(model, [{}] * 3, [[], ["zebra"], ["zebra", "at zebra"]], 1.0)]
    assert "zebra" not in VOCABULARIES.words
    assert ENCODED.oov[2] == ["zebra", "here", "today"]
    for phrase in ("zebra", "at zebra"):
        assert found[2][phrase] == pytest.approx(chance_of_writing(model, 2, phrase), rel=1e-4)
    assert found[1]["zebra"] == pytest.approx(chance_of_writing(model, 1, "zebra"), rel=1e-4)


@pytest.mark.parametrize("name", ["gen-m3h+wording+joint", "gen-cls-m3h"])
def test_one_half_alone_ranks_as_it_does_itself(name: str) -> None:
    """All weight on the classifier gives its list; on the generator, its phrases by their chance."""
    model = model_of(name)
    lists = {
        (how, weight): predict(
            model, ENCODED, VOCABULARIES, Config(system=name, **SMALL, ranking=how, generator_weight=weight)
        )
        for how, weight in (("classifier", 0.5), ("product", 0.0), ("generator", 0.5), ("product", 1.0))
    }
    by_label = [[one.phrase for one in post] for post in lists["classifier", 0.5]]
    assert [[one.phrase for one in post] for post in lists["product", 0.0]] == by_label
    for row, post in enumerate(lists["product", 1.0]):
        scores = [one.score for one in post]
        assert scores == sorted(scores, reverse=True)
        for one in post:
            assert one.score == pytest.approx(max(LEAST, chance_of_writing(model, row, one.phrase)), rel=1e-3)
        assert scores[0] >= max(one.score for one in lists["generator", 0.5][row]) - 1e-5


def test_a_label_cut_short_by_the_search_is_read_back() -> None:
    """Of one step a search finishes nothing: what it has written is no proposal, though it may spell a label."""
    model = model_of()
    with torch.no_grad():
        model.generator.vocabulary.bias[VOCABULARIES.words.index["kca"]] = 9.0
        model.generator.switch.bias.fill_(9.0)
    config = Config(system="gen-m3h+wording+joint", **SMALL, max_steps=1, ranking="product", generator_weight=1.0)
    found = predict(model, ENCODED, VOCABULARIES, config)
    for row, post in enumerate(found):
        told = {one.phrase: one.score for one in post}
        assert told["kca"] == pytest.approx(chance_of_writing(model, row, "kca"), rel=1e-3)
        assert told["kca"] > 100 * LEAST


def test_a_list_does_not_depend_on_the_other_posts() -> None:
    model, config = model_of(), Config(system="gen-m3h+wording+joint", **SMALL, ranking="product")
    together = predict(model, ENCODED, VOCABULARIES, config)
    for row in range(3):
        alone = predict(model, encode(POSTS[row : row + 1], VOCABULARIES), VOCABULARIES, config)[0]
        assert [one.phrase for one in alone] == [one.phrase for one in together[row]]
        assert [one.score for one in alone] == pytest.approx([one.score for one in together[row]], abs=1e-5)
