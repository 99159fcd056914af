"""What both halves of a model say of every phrase that either of them proposes.

Each half's own list leaves out what the other one may have found: a merged list has to guess there. Here the generator
reads back the labels that it did not write, the classifier looks up the phrases that are labels, and a phrase is worth

    P(phrase by the generator)^w P(label)^(1 - w)

Axes: B posts, M phrases of all posts, n labels, T words.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch

from model.batches import Batch, Encoded, target_of
from model.data import Vocabularies
from model.merge import Candidate
from model.ragged import Ragged
from model.unified import Encoding, KeyphraseModel
from schemas.vocab import Vocabulary

AT_ONCE = 128
"""Phrases that are read back together."""
LEAST = 1e-7
"""P of a phrase at least, so of one that is no label: it costs much, but not everything."""


@torch.inference_mode()
def weigh(
    model: KeyphraseModel,
    batch: Batch,
    encoded: Encoded,
    vocabularies: Vocabularies,
    generated: Sequence[Mapping[str, float]],
    labels: Sequence[Collection[str]],
    weight: float,
) -> list[list[Candidate]]:
    """The phrases of each post of `batch`, best first, each with what it is worth.

    generated: phrases that the generator wrote, with their P. labels: that the classifier proposes. weight: w.
    """
    encoding = model(batch)
    unwritten = [[label for label in listed if label not in one] for listed, one in zip(labels, generated, strict=True)]
    read = _read_back(model, batch, encoding, unwritten, encoded, vocabularies.words)
    ranked: list[list[Candidate]] = []
    for one, other, p_n in zip(generated, read, encoding.logit_bn.softmax(-1).tolist(), strict=True):
        worth = {}
        for phrase, p in {**one, **other}.items():
            label = vocabularies.labels.index.get(phrase, vocabularies.labels.unk)
            label_p = p_n[label] if label != vocabularies.labels.unk else 0.0
            worth[phrase] = max(p, LEAST) ** weight * max(label_p, LEAST) ** (1 - weight)
        ranked.append(sorted(worth.items(), key=lambda item: -item[1]))
    return ranked


def _read_back(
    model: KeyphraseModel,
    batch: Batch,
    encoding: Encoding,
    phrases: Sequence[Sequence[str]],
    encoded: Encoded,
    words: Vocabulary,
) -> list[dict[str, float]]:
    """P of each of these phrases of each post, `<eos>` included, by the generator."""
    memory, state_bd = model.remember(batch, encoding), encoding.start()[1]
    post_m = np.repeat(np.arange(len(phrases)), [len(listed) for listed in phrases])
    oov = (encoded.oov[row] for row in batch.rows_b)
    targets = Ragged.of([target_of(p, words, own) for listed, own in zip(phrases, oov, strict=True) for p in listed])
    chances: list[float] = []
    for start in range(0, len(post_m), AT_ONCE):
        part = np.arange(start, min(start + AT_ONCE, len(post_m)))
        rows = torch.from_numpy(post_m[part]).to(state_bd.device)
        target_bt, mask_bt = (torch.from_numpy(array).to(state_bd.device) for array in targets.padded(part))
        log_p_bt = state_bd.new_zeros(mask_bt.shape)
        log_p_bt[mask_bt] = model.follow(memory.take(rows), state_bd[rows], target_bt, mask_bt)
        chances += log_p_bt.sum(1).exp().tolist()
    left = iter(chances)
    return [{phrase: next(left) for phrase in listed} for listed in phrases]
