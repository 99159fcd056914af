"""A sentence encoder tuned out of fold: what it learns, what it leaves alone, and that no post is judged by itself."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from m3h.model.data.label_spans import LabelSpans
from m3h.model.data.ragged import Ragged
from m3h.model.data.sentences import WordPieces
from m3h.model.data.text_phrases import TextPhrases
from m3h.model.networks.tuned_encoder import TunedEncoder
from m3h.model.training.tuning import TuningOptions, TuningPosts, out_of_fold, scores_of, tune
from m3h.schemas.vocab import Vocabulary

WORDS = ["so", "rain", "film", "cloud", "star", "wet", "stage", "storm"]
LABELS = Vocabulary(["<unk>", "weather", "cinema", "storm", "nobody"])
WEATHER, CINEMA, STORM, NOBODY = 1, 2, 3, 4
V = 16
TEXTS = ["so rain", "film so", "cloud so", "so star", "rain cloud", "star film", "so cloud rain", "star so film"]
GIVEN = [[WEATHER] if {"rain", "cloud"} & set(text.split()) else [CINEMA] for text in TEXTS]
OPTIONS = TuningOptions(epochs=30, rate=0.01, folds=4, seed=23)


def posts_of(texts: Sequence[str], keyphrases: Sequence[Sequence[str]] = ()) -> TuningPosts:
    """A piece a word, between two pieces that are of none. keyphrases: of training posts whose phrases are learned."""
    rows = [[9, *(WORDS.index(word) for word in text.split()), 9] for text in texts]
    words = [[-1, *range(len(row) - 2), -1] for row in rows]
    pieces = WordPieces(Ragged.from_rows(rows), Ragged.from_rows(words))
    tokens = [text.split() for text in texts]
    phrases = TextPhrases.find(tokens, list(map(len, tokens)), keyphrases or None)
    return TuningPosts(pieces, LabelSpans.find(tokens, LABELS), phrases)


@pytest.fixture(scope="module")
def bert() -> BertModel:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=10, hidden_size=V, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32)
    return BertModel(config).eval()


@pytest.fixture
def new(bert: BertModel) -> Callable[[], TunedEncoder]:
    def make() -> TunedEncoder:
        torch.manual_seed(1)
        return TunedEncoder(bert, 2, torch.nn.functional.normalize(torch.randn(len(LABELS), V), dim=-1), dropout=0.1)

    return make


@pytest.fixture
def new_with_phrases(bert: BertModel) -> Callable[[], TunedEncoder]:
    def make() -> TunedEncoder:
        torch.manual_seed(1)
        return TunedEncoder(bert, 2, torch.randn(len(LABELS), V), dropout=0.1, phrases=True)

    return make


def best(encoder: TunedEncoder, texts: Sequence[str]) -> list[int]:
    """Of the labels that a training post has; nothing was learned of NOBODY."""
    meaning, bonus = scores_of(encoder, posts_of(texts), np.arange(len(texts))).part(slice(0, len(texts)))
    return (meaning + bonus)[:, :NOBODY].argmax(-1).tolist()


def test_what_texts_mean_is_learned_and_holds_for_new_texts(new: Callable[[], TunedEncoder]) -> None:
    encoder = tune(new(), posts_of(TEXTS), GIVEN, rows=np.arange(len(TEXTS)), options=OPTIONS)
    assert best(encoder, ["rain so", "so film star", "cloud rain so"]) == [WEATHER, CINEMA, WEATHER]


def test_which_words_of_a_text_are_its_keyphrase_is_learned(new: Callable[[], TunedEncoder]) -> None:
    texts, given = [*TEXTS, "so storm rain", "storm film"], [*GIVEN, [STORM], [STORM]]
    untuned = new().pointer.output.weight
    encoder = tune(new(), posts_of(texts), given, rows=np.arange(len(texts)), options=OPTIONS)
    assert best(encoder, ["film storm so", "film so so"]) == [STORM, CINEMA]
    assert not torch.equal(encoder.pointer.output.weight, untuned)
    _, bonus = scores_of(encoder, posts_of(["storm", "film"]), np.arange(2)).part(slice(0, 2))
    assert bonus[0].nonzero().flatten().tolist() == [STORM]
    assert not bonus[1].any()


def test_only_the_copies_of_the_last_layers_change(bert: BertModel, new: Callable[[], TunedEncoder]) -> None:
    before = {name: weight.clone() for name, weight in bert.state_dict().items()}
    encoder, untuned = new(), new()
    tune(encoder, posts_of(TEXTS), GIVEN, rows=np.arange(len(TEXTS)), options=OPTIONS)
    assert all(torch.equal(before[name], weight) for name, weight in bert.state_dict().items())
    assert not any(name.startswith(("_below", "embeddings")) for name in encoder.state_dict())
    changed = {n for n, weight in encoder.state_dict().items() if not torch.equal(weight, untuned.state_dict()[n])}
    assert {name.split(".")[0] for name in changed} == {"layers", "label_nv", "bias_n", "mean_v"}  # no label in a text
    assert torch.equal(encoder.label_nv[NOBODY], untuned.label_nv[NOBODY])


def test_padding_changes_nothing(new: Callable[[], TunedEncoder]) -> None:
    encoder, texts = new().eval(), ["storm", "so rain cloud film star storm"]
    together = scores_of(encoder, posts_of(texts), np.arange(2)).part(slice(0, 2))
    for row in (0, 1):
        alone = scores_of(encoder, posts_of(texts), np.array([row])).part(slice(0, 1))
        for found, part in zip(alone, together, strict=True):
            torch.testing.assert_close(found[0], part[row], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("row", range(3))
def test_no_post_is_judged_by_what_its_own_keyphrases_are(new: Callable[[], TunedEncoder], row: int) -> None:
    posts, options = posts_of(TEXTS), TuningOptions(epochs=2, rate=0.01, folds=4, seed=5)
    others = [[NOBODY] if i == row else ids for i, ids in enumerate(GIVEN)]
    found, changed = (out_of_fold(new, posts, labels, options)[1] for labels in (GIVEN, others))
    part = slice(row, row + 1)
    for one, other in zip(found.part(part), changed.part(part), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(torch.cat(found.part(slice(0, 8))), torch.cat(changed.part(slice(0, 8))))


def test_posts_that_know_no_label_tune_nothing(new: Callable[[], TunedEncoder]) -> None:
    encoder, scores = out_of_fold(new, posts_of(TEXTS[:2]), [[0], []], TuningOptions(2, 0.01, folds=2, seed=1))
    assert torch.equal(encoder.label_nv, new().label_nv)
    assert torch.isfinite(torch.cat(scores.part(slice(0, 2)))).all()


def test_a_single_training_post_is_judged_by_an_encoder_that_has_learned_nothing(
    new_with_phrases: Callable[[], TunedEncoder],
) -> None:
    posts, options = posts_of(["so rain"], [["rain"]]), TuningOptions(epochs=2, rate=0.01, folds=2, seed=1)
    encoder, scores = out_of_fold(new_with_phrases, posts, [[WEATHER]], options)
    assert torch.equal(scores.table_knv[0], new_with_phrases().table()[0])
    assert not torch.equal(encoder.mean_v, new_with_phrases().mean_v)
    assert torch.isfinite(torch.cat(scores.part(slice(0, 1)))).all()
    assert len(scores.phrases) == 1


AFTER_SO = [f"{first} so {word}" for first in ("film", "rain", "star") for word in ("wet", "stage", "cloud", "film")]
NOTHING = ["film rain", "wet cloud star", "stage film", "cloud rain wet"]


def likeliest(encoder: TunedEncoder, texts: Sequence[str]) -> list[str]:
    """The likeliest phrase of each text, or none."""
    found = scores_of(encoder, posts_of(texts), np.arange(len(texts))).phrases
    words = [text.split() for text in texts]
    return [
        " ".join(text[slice(*one.spans[0])]) if one.log_p[0] > one.none else "none"
        for text, one in zip(words, found, strict=True)
    ]


def test_where_keyphrases_stand_is_learned_and_holds_for_words_that_never_were_one(
    new_with_phrases: Callable[[], TunedEncoder],
) -> None:
    texts = AFTER_SO + NOTHING
    keyphrases = [[text.split()[-1]] for text in AFTER_SO] + [["weather"]] * len(NOTHING)
    posts, labels = posts_of(texts, keyphrases), [[WEATHER]] * len(texts)
    encoder = tune(new_with_phrases(), posts, labels, rows=np.arange(len(texts)), options=OPTIONS)
    assert likeliest(encoder, ["wet so storm", "cloud so storm", "star rain"]) == ["storm", "storm", "none"]


def test_phrases_are_in_the_order_of_the_posts_and_sum_to_one_with_none(
    new_with_phrases: Callable[[], TunedEncoder],
) -> None:
    texts = ["rain", "so film wet", "cloud", "star star", "so so storm"]
    keyphrases, labels = [["rain"], ["wet"], ["x"], ["star"], ["storm"]], [[WEATHER]] * 5
    options = TuningOptions(epochs=1, rate=0.01, folds=3, seed=2)
    whole, scores = out_of_fold(new_with_phrases, posts_of(texts, keyphrases), labels, options)
    for found in (scores.phrases, scores_of(whole, posts_of(texts), np.arange(5)).phrases):
        assert [max(end for _, end in one.spans) for one in found] == [len(text.split()) for text in texts]
        for one in found:
            assert np.exp([one.none, *one.log_p]).sum() == pytest.approx(1.0, abs=1e-5)
            assert list(one.log_p) == sorted(one.log_p, reverse=True)
