"""What both halves of a model say of every phrase that either of them proposes.

Each half's own list leaves out what the other one may have found: a merged list has to guess there. Here the generator
reads back the labels that it did not write, the classifier looks up the phrases that are labels, and a phrase is worth

    w log P(phrase by the generator) + (1 - w) log P(label)

Axes: B posts, M phrases of all posts, n labels, T words.
"""

import math
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
    phrases = [[*dict.fromkeys([*one, *other])] for one, other in zip(generated, labels, strict=True)]
    wanting = [[label for label in other if label not in one] for one, other in zip(generated, labels, strict=True)]
    read = _read_back(model, batch, encoding, wanting, encoded, vocabularies.words)
    known = [{**one, **dict(zip(w, r, strict=True))} for one, w, r in zip(generated, wanting, read, strict=True)]
    p_bn = encoding.logit_bn.softmax(-1).cpu()
    ranked: list[list[Candidate]] = []
    for listed, by_generator, p_n in zip(phrases, known, p_bn, strict=True):
        ids = vocabularies.labels.encode(listed)
        by_classifier = [float(p_n[i]) if i != vocabularies.labels.unk else 0.0 for i in ids]
        worth = [
            weight * math.log(max(by_generator[phrase], LEAST)) + (1 - weight) * math.log(max(p, LEAST))
            for phrase, p in zip(listed, by_classifier, strict=True)
        ]
        ranked.append(sorted(zip(listed, worth, strict=True), key=lambda one: -one[1]))
    return ranked


def _read_back(
    model: KeyphraseModel,
    batch: Batch,
    encoding: Encoding,
    phrases: Sequence[Sequence[str]],
    encoded: Encoded,
    words: Vocabulary,
) -> list[list[float]]:
    """P of each of these phrases of each post, `<eos>` included, by the generator."""
    memory, state_bd = model.remember(batch, encoding), encoding.start()[1]
    post_m = np.repeat(np.arange(len(phrases)), [len(listed) for listed in phrases])
    oov = (encoded.oov[row] for row in batch.rows_b)
    targets = Ragged.of([target_of(p, words, own) for listed, own in zip(phrases, oov, strict=True) for p in listed])
    told: list[list[float]] = [[] for _ in phrases]
    for start in range(0, len(post_m), AT_ONCE):
        part = np.arange(start, min(start + AT_ONCE, len(post_m)))
        rows = torch.from_numpy(post_m[part]).to(state_bd.device)
        target_bt, mask_bt = (torch.from_numpy(array).to(state_bd.device) for array in targets.padded(part))
        log_p_bt = state_bd.new_zeros(mask_bt.shape)
        log_p_bt[mask_bt] = model.follow(memory.take(rows), state_bd[rows], target_bt, mask_bt)
        for post, p in zip(post_m[part], log_p_bt.sum(1).exp().tolist(), strict=True):
            told[post].append(p)
    return told
