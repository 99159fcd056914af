"""Ranked keyphrases of encoded posts, from the part of the system that ranks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from m3h.model.config import Config
from m3h.model.data.batch import EOS_ID, UNK_ID, Batch
from m3h.model.data.encoding import Encoded, batches_by_length
from m3h.model.data.posts import Posts, Vocabularies
from m3h.model.decoding.beam_search import SearchOptions, beam_search
from m3h.model.decoding.rank_fusion import Candidate, fuse_rankings
from m3h.model.decoding.reranking import Reranker
from m3h.model.decoding.rescoring import Probabilities, Proposals, rescore, score_phrases
from m3h.model.networks.classifier import best_labels
from m3h.model.networks.unified import KeyphraseModel
from m3h.model.systems import get_system, resolve_ranking
from m3h.model.text.stemming import is_present, stem, stem_phrase

Progress = Callable[[list[np.ndarray], str], Iterable[np.ndarray]]
"""Wraps a list of batches and a title, to show how far they are."""


def in_silence(batches: list[np.ndarray], _title: str) -> list[np.ndarray]:
    """Show nothing."""
    return batches


@dataclass(frozen=True)
class RankedPhrase:
    """A predicted keyphrase.

    score: its probability, or in a combined list the score that it is ranked by. A generator ranks by the mean log P
    of the words, so the probabilities in its list need not fall.
    """

    phrase: str
    score: float


def predict(
    model: KeyphraseModel,
    encoded: Encoded,
    vocabularies: Vocabularies,
    *,
    config: Config,
    reranker: Reranker | None = None,
    progress: Progress = in_silence,
) -> list[list[RankedPhrase]]:
    """Up to `n_best` phrases a post, best first, in the order of the posts. Puts the model into evaluation mode.

    Args:
        model: of the system that `config` names.
        encoded: the posts.
        vocabularies: of the training posts.
        config: how to search and rank.
        reranker: of the run, which `ranking=reranked` needs.
        progress: shows how far it is.
    """
    if not get_system(config.system).trainable:
        return extraction_oracle(encoded.posts)
    model.eval()
    ranked: list[list[RankedPhrase]] = [[] for _ in encoded.sources]
    batches = list(batches_by_length(encoded.source.lengths(), config.search_batch))
    for rows in progress(batches, "predicting"):
        batch = encoded.posts_batch(rows)
        lists = _ranked(model, batch, encoded, vocabularies=vocabularies, config=config, reranker=reranker)
        for row, candidates in zip(rows, lists, strict=True):
            ranked[row] = _top_phrases(candidates, config)
    return ranked


def phrases(ranked: Sequence[Sequence[RankedPhrase]]) -> list[list[str]]:
    """The phrases without their scores."""
    return [[ranked_phrase.phrase for ranked_phrase in post] for post in ranked]


def extraction_oracle(posts: Posts) -> list[list[RankedPhrase]]:
    """EXT-ORACLE: the keyphrases of each post that occur in its text, as a perfect extractor would find them."""
    texts = (f" {' '.join(stem(token) for token in tokens)} " for tokens in posts.tokens)
    return [
        [RankedPhrase(phrase, 1.0) for phrase in keyphrases if is_present(stem_phrase(phrase), text)]
        for keyphrases, text in zip(posts.keyphrases, texts, strict=True)
    ]


def scored_phrases(
    model: KeyphraseModel,
    encoded: Encoded,
    vocabularies: Vocabularies,
    *,
    config: Config,
    progress: Progress = in_silence,
) -> list[dict[str, Probabilities]]:
    """Of each post, what both parts say of every phrase that either proposes; arguments as in `predict`."""
    model.eval()
    scored: list[dict[str, Probabilities]] = [{} for _ in encoded.sources]
    batches = list(batches_by_length(encoded.source.lengths(), config.search_batch))
    for rows in progress(batches, "scoring phrases"):
        found = _scored(model, encoded.posts_batch(rows), encoded, vocabularies=vocabularies, config=config)
        for row, of_post in zip(rows, found, strict=True):
            scored[row] = of_post
    return scored


def _scored(
    model: KeyphraseModel, batch: Batch, encoded: Encoded, *, vocabularies: Vocabularies, config: Config
) -> list[dict[str, Probabilities]]:
    n = config.n_best
    generated = _generated(model, batch, encoded, vocabularies=vocabularies, config=config)
    labels = _classified(model, batch, encoded, vocabularies=vocabularies, n_best=n)
    proposals = Proposals([_finished(islice(post, 2 * n)) for post in generated], [dict(post) for post in labels])
    return score_phrases(model, batch, proposals, encoded=encoded, vocabularies=vocabularies)


def _ranked(
    model: KeyphraseModel,
    batch: Batch,
    encoded: Encoded,
    *,
    vocabularies: Vocabularies,
    config: Config,
    reranker: Reranker | None,
) -> Iterator[Iterable[Candidate]]:
    """The phrases of each post, best first, by the part that ranks, or by both."""
    ranking, n, weight = resolve_ranking(get_system(config.system), config), config.n_best, config.generator_weight
    if ranking == "generator":
        return _generated(model, batch, encoded, vocabularies=vocabularies, config=config)
    if ranking == "classifier":
        return _classified(model, batch, encoded, vocabularies=vocabularies, n_best=n)
    if ranking == "rescored":
        scored = _scored(model, batch, encoded, vocabularies=vocabularies, config=config)
        return (rescore(of_post, weight) for of_post in scored)
    if ranking == "reranked":
        if reranker is None:
            raise TypeError("ranking=reranked needs a reranker.")
        scored, tokens = _scored(model, batch, encoded, vocabularies=vocabularies, config=config), encoded.posts.tokens
        return (reranker.rank(of_post, tokens[row]) for row, of_post in zip(batch.rows_b, scored, strict=True))
    lists = zip(
        _generated(model, batch, encoded, vocabularies=vocabularies, config=config),
        _classified(model, batch, encoded, vocabularies=vocabularies, n_best=n),
        strict=True,
    )
    return (fuse_rankings(list(generated), list(labels), ranking, weight=weight) for generated, labels in lists)


def _finished(candidates: Iterable[Candidate]) -> dict[str, float]:
    """Finished phrases -> P. Of two hypotheses with the same words, one of them copied as `<unk>`, the likelier counts.

    Unfinished phrases, whose P is zero here, are only there to fill up a list that is too short.
    """
    return dict(sorted(((phrase, p) for phrase, p in candidates if p), key=lambda candidate: candidate[1]))


@torch.inference_mode()
def _classified(
    model: KeyphraseModel, batch: Batch, encoded: Encoded, *, vocabularies: Vocabularies, n_best: int
) -> Iterator[Iterable[Candidate]]:
    logit_bn = model(batch).logit_bn
    best_bk = best_labels(logit_bn, 2 * n_best)[1]  # twice as many, because some are equal after stemming
    p_bk = logit_bn.softmax(-1).gather(1, best_bk)
    for row, ids, ps in zip(batch.rows_b, best_bk.tolist(), p_bk.tolist(), strict=True):
        pairs = [(_name(i, row, encoded, vocabularies), p) for i, p in zip(ids, ps, strict=True)]
        yield [(name, p) for name, p in pairs if name is not None]


def _name(i: int, row: int, encoded: Encoded, vocabularies: Vocabularies) -> str | None:
    """The label of this id, or the phrase of the post's text; None where the post has no such phrase."""
    words = vocabularies.labels.words
    return words[i] if i < len(words) or encoded.evidence is None else encoded.evidence.phrase(row, i)


def _generated(
    model: KeyphraseModel, batch: Batch, encoded: Encoded, *, vocabularies: Vocabularies, config: Config
) -> Iterator[Iterable[Candidate]]:
    options = SearchOptions(
        config.beam, config.n_best, config.max_steps, config.length_power, released=config.search == "released"
    )
    found = beam_search(model, batch, options)
    order_bn = found.score_bn.argsort(dim=-1, descending=True, stable=True).cpu().numpy()
    score_bn, p_bn, words_bnt, position_bnt = (
        t.cpu().numpy() for t in (found.score_bn, found.sum_bn.exp(), found.words_bnt, found.position_bnt)
    )
    for b, row in enumerate(batch.rows_b):
        kept = [n for n in order_bn[b] if np.isfinite(score_bn[b, n])]
        if config.search == "released":
            kept = kept[: config.n_best]  # before duplicates are dropped
        to_words = _Detokenizer(vocabularies.words.words, encoded.oov[row], encoded.sources[row])
        yield (
            (phrase, float(p_bn[b, n]))
            for n in kept
            if (phrase := to_words.phrase(words_bnt[b, n].tolist(), position_bnt[b, n].tolist()))
        )


@dataclass(frozen=True)
class _Detokenizer:
    """Extended ids of one post back to words. words: of the vocabulary. oov, source: of the post."""

    words: Sequence[str]
    oov: Sequence[str]
    source: Sequence[str]

    def phrase(self, words_t: Sequence[int], position_t: Sequence[int]) -> str:
        """The words before `<eos>`. `<unk>` becomes the source token with the highest attention."""
        length = words_t.index(EOS_ID) if EOS_ID in words_t else len(words_t)
        pairs = zip(words_t[:length], position_t[:length], strict=True)
        return " ".join(self.source[position] if word == UNK_ID else self._word(word) for word, position in pairs)

    def _word(self, word: int) -> str:
        return self.words[word] if word < len(self.words) else self.oov[word - len(self.words)]


def _top_phrases(candidates: Iterable[Candidate], config: Config) -> list[RankedPhrase]:
    """The first `n_best`. If so configured, only the first of phrases that are equal after stemming."""
    kept: dict[object, RankedPhrase] = {}
    for i, (phrase, score) in enumerate(candidates):
        kept.setdefault(stem_phrase(phrase) if config.drop_duplicates else i, RankedPhrase(phrase, score))
        if len(kept) == config.n_best:
            break
    return list(kept.values())
