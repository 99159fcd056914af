"""Ranked keyphrases of encoded posts, from whichever part of a system ranks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from model.batches import EOS_ID, UNK_ID, Batch, Encoded, by_length
from model.classifier import best_labels
from model.config import Config
from model.data import Posts, Vocabularies
from model.merge import Candidate, merge
from model.metrics import is_present, stem, stem_phrase
from model.search import Rules, search
from model.systems import get_system, ranking_of
from model.unified import KeyphraseModel
from model.weigh import weigh


@dataclass(frozen=True)
class Ranked:
    """A predicted keyphrase.

    score: its probability; of joined lists what `merge` or `weigh` ranks by. A generator ranks by the mean log P of
    the words, so its scores need not fall.
    """

    phrase: str
    score: float


def predict(model: KeyphraseModel, encoded: Encoded, vocabularies: Vocabularies, config: Config) -> list[list[Ranked]]:
    """Up to `n_best` phrases a post, best first, in the posts' order. The model is left in evaluation mode."""
    if not get_system(config.system).learns:
        return oracle(encoded.posts)
    model.eval()
    ranked: list[list[Ranked]] = [[] for _ in encoded.sources]
    for rows in by_length(encoded.source.lengths(), config.search_batch):
        batch = encoded.posts_batch(rows)
        for row, found in zip(rows, _ranked(model, batch, encoded, vocabularies, config), strict=True):
            ranked[row] = _first(found, config)
    return ranked


def phrases(ranked: Sequence[Sequence[Ranked]]) -> list[list[str]]:
    """Without their scores."""
    return [[one.phrase for one in post] for post in ranked]


def oracle(posts: Posts) -> list[list[Ranked]]:
    """EXT-ORACLE: of each post the keyphrases that stand in its text, as an extractor without fault would find."""
    texts = (f" {' '.join(stem(token) for token in tokens)} " for tokens in posts.tokens)
    return [
        [Ranked(phrase, 1.0) for phrase in wanted if is_present(stem_phrase(phrase), text)]
        for wanted, text in zip(posts.keyphrases, texts, strict=True)
    ]


def _ranked(
    model: KeyphraseModel, batch: Batch, encoded: Encoded, vocabularies: Vocabularies, config: Config
) -> Iterator[Iterable[Candidate]]:
    """The phrases of each post, best first, by the part that ranks, or by both."""
    how, n = ranking_of(get_system(config.system), config), config.n_best
    if how == "generator":
        return _generated(model, batch, encoded, vocabularies, config)
    if how == "classifier":
        return _classified(model, batch, vocabularies, n)
    both = zip(
        _generated(model, batch, encoded, vocabularies, config),
        _classified(model, batch, vocabularies, n),
        strict=True,
    )
    if how == "product":
        lists = [(_likeliest(islice(one, 2 * n)), dict(other)) for one, other in both]
        generated, labels = [one for one, _ in lists], [other for _, other in lists]
        return iter(weigh(model, batch, encoded, vocabularies, generated, labels, config.generator_weight))
    return (merge(list(one), list(other), how, config.generator_weight) for one, other in both)


def _likeliest(candidates: Iterable[Candidate]) -> dict[str, float]:
    """Each finished phrase once; two hypotheses may have the same words, one of them copied as `<unk>`.

    An unfinished one, whose P is zero here, only fills up a list that is too short.
    """
    return dict(sorted(((phrase, p) for phrase, p in candidates if p), key=lambda one: one[1]))


@torch.inference_mode()
def _classified(
    model: KeyphraseModel, batch: Batch, vocabularies: Vocabularies, n_best: int
) -> Iterator[Iterable[Candidate]]:
    logit_bn = model(batch).logit_bn
    best_bk = best_labels(logit_bn, 2 * n_best)[1]  # twice as many, for those that are equal when stemmed
    p_bk = logit_bn.softmax(-1).gather(1, best_bk)
    words = vocabularies.labels.words
    return (
        [(words[i], p) for i, p in zip(ids, ps, strict=True)]
        for ids, ps in zip(best_bk.tolist(), p_bk.tolist(), strict=True)
    )


def _generated(
    model: KeyphraseModel, batch: Batch, encoded: Encoded, vocabularies: Vocabularies, config: Config
) -> Iterator[Iterable[Candidate]]:
    rules = Rules(config.beam, config.n_best, config.max_steps, config.length_power, config.search == "released")
    found = search(model, batch, rules)
    order_bn = found.score_bn.argsort(dim=-1, descending=True, stable=True).cpu().numpy()
    score_bn, p_bn, words_bnt, place_bnt = (
        t.cpu().numpy() for t in (found.score_bn, found.sum_bn.exp(), found.words_bnt, found.place_bnt)
    )
    for b, row in enumerate(batch.rows_b):
        kept = [n for n in order_bn[b] if np.isfinite(score_bn[b, n])]
        if config.search == "released":
            kept = kept[: config.n_best]  # before duplicates go
        spell = _Speller(vocabularies.words.words, encoded.oov[row], encoded.sources[row])
        yield (
            (phrase, float(p_bn[b, n]))
            for n in kept
            if (phrase := spell.phrase(words_bnt[b, n].tolist(), place_bnt[b, n].tolist()))
        )


@dataclass(frozen=True)
class _Speller:
    """Extended ids of one post back to words. words: of the vocabulary; oov, source: of the post."""

    words: Sequence[str]
    oov: Sequence[str]
    source: Sequence[str]

    def phrase(self, words_t: Sequence[int], place_t: Sequence[int]) -> str:
        """The words before `<eos>`; `<unk>` becomes the source token the decoder was looking at."""
        length = words_t.index(EOS_ID) if EOS_ID in words_t else len(words_t)
        pairs = zip(words_t[:length], place_t[:length], strict=True)
        return " ".join(self.source[place] if word == UNK_ID else self._word(word) for word, place in pairs)

    def _word(self, word: int) -> str:
        return self.words[word] if word < len(self.words) else self.oov[word - len(self.words)]


def _first(candidates: Iterable[Candidate], config: Config) -> list[Ranked]:
    """The first `n_best`; of phrases equal after stemming the first, if so configured."""
    kept: dict[object, Ranked] = {}
    for i, (phrase, score) in enumerate(candidates):
        kept.setdefault(stem_phrase(phrase) if config.drop_duplicates else i, Ranked(phrase, score))
        if len(kept) == config.n_best:
            break
    return list(kept.values())
