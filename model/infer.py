"""Ranked keyphrases of encoded posts, from whichever part of a system ranks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.batches import EOS_ID, UNK_ID, Batch, Encoded, by_length
from model.classifier import best_labels
from model.config import Config
from model.data import Vocabularies
from model.metrics import stem_phrase
from model.search import search
from model.unified import KeyphraseModel


def predict(model: KeyphraseModel, encoded: Encoded, vocabularies: Vocabularies, config: Config) -> list[list[str]]:
    """Up to `n_best` phrases a post, best first, in the posts' order. The model is left in evaluation mode."""
    model.eval()
    ranked: list[list[str]] = [[] for _ in encoded.sources]
    for rows in by_length(encoded.source.lengths(), config.search_batch):
        batch = encoded.posts_batch(rows)
        generates = model.decoder is not None
        phrases: Iterator[Iterable[str]] = (
            _generated(model, batch, encoded, vocabularies, config)
            if generates
            else _classified(model, batch, vocabularies, config.n_best)
        )
        for row, found in zip(rows, phrases, strict=True):
            ranked[row] = _first(found, config)
    return ranked


@torch.inference_mode()
def _classified(
    model: KeyphraseModel, batch: Batch, vocabularies: Vocabularies, n_best: int
) -> Iterator[Iterable[str]]:
    best_bk = best_labels(model(batch).logit_bn, 2 * n_best)[1]  # twice as many, for those that are equal when stemmed
    return ([vocabularies.labels.words[i] for i in ids] for ids in best_bk.tolist())


def _generated(
    model: KeyphraseModel, batch: Batch, encoded: Encoded, vocabularies: Vocabularies, config: Config
) -> Iterator[Iterable[str]]:
    found = search(model, batch, config.beam, config.n_best, config.max_steps)
    order_bn = found.score_bn.argsort(dim=-1, descending=True, stable=True).cpu().numpy()
    score_bn, words_bnt, place_bnt = (t.cpu().numpy() for t in (found.score_bn, found.words_bnt, found.place_bnt))
    for b, row in enumerate(batch.rows_b):
        kept = [n for n in order_bn[b] if np.isfinite(score_bn[b, n])]
        spell = _Speller(vocabularies.words.words, encoded.oov[row], encoded.sources[row])
        yield (spell.phrase(words_bnt[b, n].tolist(), place_bnt[b, n].tolist()) for n in kept)


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


def _first(phrases: Iterable[str], config: Config) -> list[str]:
    """The first `n_best` that have a word; of phrases equal after stemming the first, if so configured."""
    kept: dict[object, str] = {}
    for i, phrase in enumerate(filter(None, phrases)):
        kept.setdefault(stem_phrase(phrase) if config.drop_duplicates else i, phrase)
        if len(kept) == config.n_best:
            break
    return list(kept.values())
