"""A sentence encoder tuned on the training posts, and what encoders that have not seen a post say of it.

The ranker learns how far to trust the tuned encoder. It must not see it judge posts that it was tuned on, so the
training posts are cut into folds, and each is judged by an encoder that was tuned on the others (stacking, Wolpert
1992). One more is tuned on all, for new posts.

Axes: p posts, n labels, v numbers of the sentence encoder, k folds.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from m3h.model.data.encoding import batches_by_length, shuffled_batches
from m3h.model.data.label_spans import LabelSpans
from m3h.model.data.sentences import WordPieces
from m3h.model.data.text_phrases import TextPhrases
from m3h.model.networks.encoder import Bank
from m3h.model.networks.tuned_encoder import BIAS, TunedEncoder
from m3h.model.ranking.tuned_scores import IMPOSSIBLE, KEPT, FoundPhrases, TunedScores

logger = logging.getLogger(__name__)
BATCH, JUDGED = 32, 128
"""Posts of a step, and posts that are judged together."""
WARM_UP = 0.1
"""The share of steps in which the rate rises; then it falls to zero."""
LABEL_RATE, HEAD_RATE = 5e-4, 1e-3
"""The learning rates of the vectors of labels, and of biases, pointer and phrase scorer."""
PHRASE_WEIGHT = 0.5
"""What the loss of phrases counts beside that of labels."""
CLIP = 1.0
"""The norm of the gradient of a step."""
MEAN_OF = 512
"""Posts whose vectors' mean is taken away at first."""


@dataclass(frozen=True)
class TuningPosts:
    """Posts as the tuned encoder reads them.

    pieces: of their words. spans: the labels that stand in their texts. phrases: of their texts, None where they are
    not scored; of training posts with those that are keyphrases.
    """

    pieces: WordPieces
    spans: LabelSpans
    phrases: TextPhrases | None = None

    def batch(self, rows_b: np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The arguments of `TunedEncoder.forward`."""
        piece_bl, mask_bl = self.pieces.ids.padded(rows_b)
        word_bl, _ = self.pieces.words.padded(rows_b)
        arrays = (piece_bl, mask_bl, word_bl, self.spans.batch(rows_b))
        piece, mask, word, span = (torch.from_numpy(array) for array in arrays)
        return piece, mask, word, span


@dataclass(frozen=True)
class TuningOptions:
    """How it is tuned. epochs: over the posts. rate: of the layers. folds: at least 2. seed: of order and dropout."""

    epochs: int
    rate: float
    folds: int
    seed: int


def out_of_fold(
    new: Callable[[], TunedEncoder], posts: TuningPosts, labels: Sequence[Sequence[int]], options: TuningOptions
) -> tuple[TunedEncoder, TunedScores]:
    """An encoder that is tuned on all posts, and what the encoders of the folds say of them.

    Args:
        new: gives an encoder that is not tuned.
        posts: the training posts.
        labels: of each post; id 0, `<unk>`, is ignored.
        options: how it is tuned.
    """
    fold_p = np.random.default_rng(options.seed).permutation(len(labels)) % options.folds
    judged: list[tuple[np.ndarray, TunedScores]] = []
    for k in range(options.folds):
        encoder = tune(new(), posts, labels, rows=np.flatnonzero(fold_p != k), options=options)
        rows = np.flatnonzero(fold_p == k)
        judged.append((rows, scores_of(encoder, posts, rows)))
        logger.info(f"the sentence encoder is tuned: {k + 1} of {options.folds + 1}")
    whole = tune(new(), posts, labels, rows=np.arange(len(labels)), options=options)
    return whole, _in_order(judged, torch.from_numpy(fold_p))


def _in_order(judged: Sequence[tuple[np.ndarray, TunedScores]], fold_p: Tensor) -> TunedScores:
    """The scores of all posts, from the rows of each fold and what its encoder says of them."""
    order = np.argsort(np.concatenate([rows for rows, _ in judged]))
    bonuses = [bonus for _, scores in judged for bonus in scores.bonuses]
    phrases = [found for _, scores in judged for found in scores.phrases]
    return TunedScores(
        torch.cat([scores.vector_pv for _, scores in judged])[torch.from_numpy(order)],
        torch.cat([scores.table_knv for _, scores in judged]),
        torch.cat([scores.bias_kn for _, scores in judged]),
        fold_p,
        [bonuses[place] for place in order],
        [phrases[place] for place in order] if phrases else (),
    )


def tune(
    encoder: TunedEncoder,
    posts: TuningPosts,
    labels: Sequence[Sequence[int]],
    *,
    rows: np.ndarray,
    options: TuningOptions,
) -> TunedEncoder:
    """The encoder, tuned in place on the posts `rows`: the cross entropy of their labels among those that they have.

    A label that none of them has is neither right nor wrong, and keeps the vector of its name.
    """
    known = [np.array([i for i in ids if i], np.int64) for ids in labels]
    count_n = np.bincount(
        np.concatenate([known[row] for row in rows] or [[]]).astype(int), minlength=len(encoder.bias_n)
    )
    unknown_n = torch.from_numpy(count_n == 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        encoder.bias_n.data = BIAS * torch.from_numpy(np.log(count_n + 0.3)).float()
        _take_mean(encoder, posts, rows[:MEAN_OF])
        rows = np.array([row for row in rows if len(known[row])], np.int64)
        optimizer = _optimizer(encoder, options.rate)
        rates = [group["lr"] for group in optimizer.param_groups]
        steps = list(_steps(posts.pieces.ids.lengths(), rows, options))
        encoder.train()
        for number, rows_b in enumerate(steps):
            share = min(1.0, (number + 1) / (WARM_UP * len(steps))) * (1 - number / len(steps))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = share * rate
            share_bn = _shares([known[row] for row in rows_b], len(unknown_n))
            loss = _loss(encoder, posts, rows_b, share_bn=share_bn, unknown_n=unknown_n)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(encoder.parameters(), CLIP)
            optimizer.step()
    return encoder.eval()


def _loss(
    encoder: TunedEncoder, posts: TuningPosts, rows_b: np.ndarray, *, share_bn: Tensor, unknown_n: Tensor
) -> Tensor:
    """The cross entropy of labels, and of phrases where they are scored."""
    *batch, word_bl, span_bk3 = posts.batch(rows_b)
    vector_bv, bonus_bk, states = encoder(*batch, word_bl, span_bk3)
    logit_bn = encoder.logits(vector_bv, bonus_bk, span_bk3).masked_fill(unknown_n, IMPOSSIBLE)
    loss = -(logit_bn.log_softmax(-1) * share_bn).sum(-1).mean()
    log_p_bk = _phrase_log_p(encoder, posts, rows_b, states=states, word_bl=word_bl)
    if log_p_bk is None or posts.phrases is None:
        return loss
    return loss - PHRASE_WEIGHT * (log_p_bk * torch.from_numpy(posts.phrases.shares(rows_b))).sum(-1).mean()


def _phrase_log_p(
    encoder: TunedEncoder, posts: TuningPosts, rows_b: np.ndarray, *, states: Bank, word_bl: Tensor
) -> Tensor | None:
    """(B, 1 + K) log P of none and of each phrase, or None where they are not scored."""
    if encoder.phrase_scorer is None or posts.phrases is None:
        return None
    log_p_bk: Tensor = encoder.phrase_scorer(states, word_bl, *map(torch.from_numpy, posts.phrases.batch(rows_b)))
    return log_p_bk


@torch.no_grad()
def scores_of(encoder: TunedEncoder, posts: TuningPosts, rows: np.ndarray) -> TunedScores:
    """What one encoder says of the posts `rows`, in their order."""
    encoder.eval()
    table_nv, bias_n = encoder.table()
    vector_pv = torch.zeros(len(rows), table_nv.size(1))
    bonuses: list[tuple[Tensor, Tensor]] = [(torch.zeros(0, dtype=torch.long), torch.zeros(0))] * len(rows)
    phrases: dict[int, FoundPhrases] = {}
    for places in batches_by_length(posts.pieces.ids.lengths()[rows], JUDGED):
        *batch, word_bl, span_bk3 = posts.batch(rows[places])
        vector_pv[places], bonus_bk, states = encoder(*batch, word_bl, span_bk3)
        for place, label_k, bonus_k in zip(places.tolist(), span_bk3[..., 0], bonus_bk, strict=True):
            bonuses[place] = (label_k[label_k > 0], bonus_k[label_k > 0])
        log_p_bk = _phrase_log_p(encoder, posts, rows[places], states=states, word_bl=word_bl)
        if log_p_bk is not None and posts.phrases is not None:
            for place, log_p_k in zip(places.tolist(), log_p_bk.numpy(), strict=True):
                phrases[place] = _likeliest(posts.phrases.spans[rows[place]], log_p_k)
    found = [phrases[place] for place in range(len(rows))] if phrases else ()
    encoder_p = torch.zeros(len(rows), dtype=torch.long)
    return TunedScores(vector_pv, table_nv[None], bias_n[None], encoder_p, bonuses, found)


def _likeliest(span_k2: np.ndarray, log_p_k: np.ndarray) -> FoundPhrases:
    """The KEPT likeliest phrases. log_p_k: that of none, those of the phrases, and padding."""
    none, own_k = log_p_k[0], log_p_k[1 : 1 + len(span_k2)]
    best = np.argsort(-own_k, kind="stable")[:KEPT]
    spans = [(int(start), int(end)) for start, end in span_k2[best]]
    return FoundPhrases(float(none), spans, own_k[best].astype(float).tolist())


@torch.no_grad()
def _take_mean(encoder: TunedEncoder, posts: TuningPosts, rows: np.ndarray) -> None:
    """Set the mean of the vectors of these posts; zero stays where there are none."""
    encoder.eval()
    if not len(rows):  # the one training post is judged by an encoder that has seen no post
        return
    sums = [
        encoder.states(*posts.batch(part)[:2]).pooled("avg").sum(0)
        for part in np.split(rows, range(BATCH, len(rows), BATCH))
    ]
    encoder.mean_v.copy_(torch.stack(sums).sum(0) / len(rows))


def _optimizer(encoder: TunedEncoder, rate: float) -> torch.optim.Optimizer:
    phrases = encoder.phrase_scorer.parameters() if encoder.phrase_scorer is not None else ()
    head = [encoder.bias_n, *encoder.pointer.parameters(), *phrases]
    groups = (
        ([*encoder.layers.parameters(), encoder.mean_v], rate),
        ([encoder.label_nv], LABEL_RATE),
        (head, HEAD_RATE),
    )
    return torch.optim.AdamW([{"params": weights, "lr": of} for weights, of in groups], weight_decay=0.0)


def _steps(length_p: np.ndarray, rows: np.ndarray, options: TuningOptions) -> Iterator[np.ndarray]:
    """The rows of every step of all epochs."""
    for epoch in range(options.epochs):
        rng = np.random.default_rng([options.seed, epoch])
        yield from (rows[places] for places in shuffled_batches(length_p[rows], BATCH, rng))


def _shares(labels: Sequence[np.ndarray], n: int) -> Tensor:
    """(B, n) the labels of each post, alike."""
    share_bn = torch.zeros(len(labels), n)
    for row, ids in enumerate(labels):
        share_bn[row, ids] = 1 / len(ids)
    return share_bn
