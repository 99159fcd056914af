"""Where a predicted phrase comes from: generated, copied from text, description or OCR words, or a label.

Eq. (11) adds up the probabilities of these sources for each word. Here the generator scores its phrases again, and each
source gets its share of the probability of each word. A phrase is attributed to the source with the largest mean share
over its words. In a combined list (`rank_fusion`, `rescoring`) a phrase is attributed to the classifier if its
probability as a label is higher than its probability by the generator.

Axes: B phrases (each with its post), T target, L source, P parts of a source, S slots.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from m3h.model.config import Config
from m3h.model.data.batch import BOS_ID, EOS_ID, Batch
from m3h.model.data.encoding import Encoded, target_ids
from m3h.model.data.posts import Vocabularies
from m3h.model.data.ragged import Ragged
from m3h.model.decoding.predict import Progress, RankedPhrase, in_silence
from m3h.model.networks.decoder import Memory, StepOutput
from m3h.model.networks.unified import KeyphraseModel
from m3h.model.systems import get_system, resolve_ranking

GENERATED, CLASSIFIER = "generated", "classifier"
"""Sources besides the parts of a text, `Encoded.parts`: text, alt, ocr, and further features with words."""
PHRASE_BATCH = 160
"""Phrases that the generator scores together."""


@dataclass(frozen=True)
class Keyphrase(RankedPhrase):
    """A predicted keyphrase and where it comes from: GENERATED, CLASSIFIER, or a part of the text.

    chance: that it is right (`scoring.calibration`); None where nobody asked.
    """

    attribution: str
    chance: float | None = None

    def fields(self) -> dict[str, object]:
        """As JSON has it: a chance only where somebody asked."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def attributed(
    model: KeyphraseModel,
    encoded: Encoded,
    vocabularies: Vocabularies,
    *,
    config: Config,
    ranked: Sequence[Sequence[RankedPhrase]],
    progress: Progress = in_silence,
) -> list[list[Keyphrase]]:
    """The phrases of every post with their sources; arguments as in `attributions`."""
    found = attributions(model, encoded, vocabularies, config=config, ranked=ranked, progress=progress)
    return [
        [Keyphrase(p.phrase, p.score, source) for p, source in zip(*post, strict=True)]
        for post in zip(ranked, found, strict=True)
    ]


@torch.inference_mode()
def attributions(
    model: KeyphraseModel,
    encoded: Encoded,
    vocabularies: Vocabularies,
    *,
    config: Config,
    ranked: Sequence[Sequence[RankedPhrase]],
    progress: Progress = in_silence,
) -> list[list[str]]:
    """The source of every phrase of every post: GENERATED, CLASSIFIER, or a part of the text.

    Args:
        model: in evaluation mode.
        encoded: the posts.
        vocabularies: of the training posts.
        config: how the phrases were ranked.
        ranked: the phrases of each post.
        progress: shows how far it is.
    """
    system = get_system(config.system)
    if not system.trainable:
        return [["text"] * len(post) for post in ranked]
    ranking = resolve_ranking(system, config)
    if ranking == "classifier":
        of_texts = encoded.evidence.phrases if encoded.evidence is not None else ()
        return [
            ["text" if phrase.phrase in own else CLASSIFIER for phrase in post]
            for post, own in zip_longest(ranked, of_texts, fillvalue=())
        ]
    sources = (GENERATED, *encoded.parts, CLASSIFIER)
    rows = np.repeat(np.arange(len(ranked)), [len(post) for post in ranked])
    posts = zip(ranked, encoded.oov, strict=True)
    targets = Ragged.from_rows([target_ids(p.phrase, vocabularies.words, oov) for post, oov in posts for p in post])
    labels = np.array(vocabularies.labels.encode(p.phrase for post in ranked for p in post), np.int64)
    found: list[list[str]] = [[] for _ in ranked]
    parts = [np.arange(start, min(start + PHRASE_BATCH, len(rows))) for start in range(0, len(rows), PHRASE_BATCH)]
    for part in progress(parts, "finding where phrases come from"):
        batch, target = encoded.posts_batch(rows[part]), targets.padded(part)
        target_bt, mask_bt = (torch.from_numpy(array).to(batch.source_bl.device) for array in target)
        parts_btp = word_contributions(model, batch, target_bt, end_bp=encoded.part_ends(rows[part]))
        best_b = _largest_share(parts_btp, mask_bt & (target_bt != EOS_ID))
        if ranking != "generator":
            generator_p_b = parts_btp.sum(-1).masked_fill(~mask_bt, 1.0).prod(-1)
            is_label_b = _label_probability(model, batch, labels[part]) > generator_p_b
            best_b = best_b.masked_fill(is_label_b, sources.index(CLASSIFIER))
        for row, best in zip(rows[part], best_b.tolist(), strict=True):
            found[row].append(sources[best])
    return found


def _largest_share(parts_btp: Tensor, word_bt: Tensor) -> Tensor:
    """(B,) the source with the largest mean share of the words."""
    share_btp = parts_btp / parts_btp.sum(-1, keepdim=True).clamp_min(1e-12)
    return (share_btp * word_bt[..., None]).sum(1).argmax(-1)


def _label_probability(model: KeyphraseModel, batch: Batch, label_b: np.ndarray) -> Tensor:
    """(B,) P of each label in its post; zero for label 0, which is no label."""
    p_bn = model(batch).label_logits().softmax(-1)
    ids_b = torch.from_numpy(label_b).to(batch.source_bl.device)
    label_p_b: Tensor = p_bn.gather(1, ids_b[:, None]).squeeze(1) * (ids_b != 0)
    return label_p_b


def word_contributions(model: KeyphraseModel, batch: Batch, target_bt: Tensor, *, end_bp: Tensor) -> Tensor:
    """(B, T, 1 + P + 1) what generating, each part of the source and the classifier add to P of each word, Eq. (11).

    Args:
        model: with a generator.
        batch: one post a target.
        target_bt: (B, T) extended ids.
        end_bp: (B, P - 1) where each part of the source but the last one ends, see `Encoded.part_ends`.
    """
    output, memory = forced_steps(model, batch, target_bt)
    p_btv = model.generator.vocabulary(output.hidden_btd).softmax(-1)
    known_bt = target_bt < p_btv.size(-1)
    generated_bt = output.switch_bt * p_btv.gather(-1, (target_bt * known_bt)[..., None]).squeeze(-1) * known_bt
    match_bts = (target_bt[..., None] == memory.slot_bs[:, None]) * output.weight_bts
    copied_bts = (1 - output.switch_bt)[..., None] * match_bts
    slot_s = torch.arange(copied_bts.size(-1), device=target_bt.device)
    of_label_s = slot_s >= batch.source_bl.size(1)
    before = [slot_s < end_b[:, None] for end_b in end_bp.unbind(1)] + [~of_label_s.expand(len(end_bp), -1)]
    after = [torch.zeros_like(before[0]), *before[:-1]]
    masks = (*(now & ~earlier for now, earlier in zip(before, after, strict=True)), ~before[-1])
    return torch.stack([generated_bt, *((copied_bts * mask_bs[:, None]).sum(-1) for mask_bs in masks)], -1)


def forced_steps(model: KeyphraseModel, batch: Batch, target_bt: Tensor) -> tuple[StepOutput, Memory]:
    """The output of every step while the generator writes these words, and the memory that it reads.

    Args:
        model: with a generator.
        batch: one post a target.
        target_bt: (B, T) extended ids.
    """
    generator, encoding = model.generator, model(batch)
    memory = model.build_memory(batch, encoding)
    u_bte = generator.gru_inputs(model.embed(F.pad(target_bt[:, :-1], (1, 0), value=BOS_ID)), memory)
    s_btd = generator.gru_states(u_bte, encoding.decoder_start()[1])
    return generator.step_outputs(u_bte, s_btd, memory), memory
