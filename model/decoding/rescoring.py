"""Both parts of a model score every phrase that either of them proposes.

Each part's own list lacks phrases that the other part proposes, so rank fusion must guess their scores. Here the
generator scores the labels that it did not generate, and the classifier gives the probability of each phrase that is a
label. The score of a phrase is

    P(phrase by the generator)^w P(label)^(1 - w)

Axes: B posts, M phrases of all posts, n labels, T words.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from m3h.model.data.batch import Batch
from m3h.model.data.encoding import Encoded, target_ids
from m3h.model.data.posts import Vocabularies
from m3h.model.data.ragged import Ragged
from m3h.model.decoding.rank_fusion import Candidate
from m3h.model.networks.unified import Encoding, KeyphraseModel
from m3h.schemas.vocab import Vocabulary

PHRASE_BATCH = 128
"""Phrases that the generator scores together."""
MIN_PROBABILITY = 1e-7
"""Lower bound of both probabilities, also for a phrase that is no label: a large but finite cost."""
Probabilities = tuple[float, float]
"""P of a phrase by the generator, `<eos>` included, and P of the label; 0 for a phrase that is no label."""


@dataclass(frozen=True)
class Proposals:
    """What both parts propose for the posts of a batch.

    generated: of each post, phrase -> P by the generator. labels: of each post, labels that the classifier proposes.
    """

    generated: Sequence[Mapping[str, float]]
    labels: Sequence[Collection[str]]


@torch.inference_mode()
def score_phrases(
    model: KeyphraseModel, batch: Batch, proposals: Proposals, *, encoded: Encoded, vocabularies: Vocabularies
) -> list[dict[str, Probabilities]]:
    """What both parts say of the proposed phrases of each post; first those that the generator proposed.

    Args:
        model: with a classifier and a generator, in evaluation mode.
        batch: the posts.
        proposals: of the same posts.
        encoded: what the batch was taken from.
        vocabularies: of the training posts.
    """
    encoding = model(batch)
    not_generated = [
        [label for label in labels if label not in generated]
        for labels, generated in zip(proposals.labels, proposals.generated, strict=True)
    ]
    generator_p = _phrase_probabilities(
        model, batch, encoding, phrases=not_generated, encoded=encoded, words=vocabularies.words
    )
    labels, p_bn = vocabularies.labels, encoding.label_logits().softmax(-1).tolist()
    return [
        {
            phrase: (p, p_n[labels.index[phrase]] if labels.index.get(phrase, labels.unk) != labels.unk else 0.0)
            for phrase, p in {**generated, **scored}.items()
        }
        for generated, scored, p_n in zip(proposals.generated, generator_p, p_bn, strict=True)
    ]


def rescore(scored: Mapping[str, Probabilities], weight: float) -> list[Candidate]:
    """The phrases of a post with their scores, best first.

    Args:
        scored: what both parts say of each phrase.
        weight: w, the generator's share, 0 to 1.
    """
    scores = {
        phrase: max(p, MIN_PROBABILITY) ** weight * max(label_p, MIN_PROBABILITY) ** (1 - weight)
        for phrase, (p, label_p) in scored.items()
    }
    return sorted(scores.items(), key=lambda item: -item[1])


def _phrase_probabilities(
    model: KeyphraseModel,
    batch: Batch,
    encoding: Encoding,
    *,
    phrases: Sequence[Sequence[str]],
    encoded: Encoded,
    words: Vocabulary,
) -> list[dict[str, float]]:
    """Of each post, phrase -> P by the generator, `<eos>` included."""
    memory, (_, state_bd) = model.build_memory(batch, encoding), encoding.decoder_start()
    post_m = np.repeat(np.arange(len(phrases)), [len(of_post) for of_post in phrases])
    oov = (encoded.oov[row] for row in batch.rows_b)
    targets = Ragged.from_rows(
        [target_ids(phrase, words, own) for of_post, own in zip(phrases, oov, strict=True) for phrase in of_post]
    )
    probabilities: list[float] = []
    for start in range(0, len(post_m), PHRASE_BATCH):
        part = np.arange(start, min(start + PHRASE_BATCH, len(post_m)))
        rows = torch.from_numpy(post_m[part]).to(state_bd.device)
        target_bt, mask_bt = (torch.from_numpy(array).to(state_bd.device) for array in targets.padded(part))
        log_p_bt = state_bd.new_zeros(mask_bt.shape)
        log_p_bt[mask_bt] = model.target_log_likelihood(memory.select(rows), state_bd[rows], target_bt, mask_bt=mask_bt)
        probabilities += log_p_bt.sum(1).exp().tolist()
    in_order = iter(probabilities)
    return [{phrase: next(in_order) for phrase in of_post} for of_post in phrases]
