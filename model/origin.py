"""Where a predicted phrase came from: written from the vocabulary, copied from text or OCR, or from the classifier.

Eq. (11) adds these up for each word; here a generator's phrases are read back to it, and each word is divided among
them by what they added. A phrase is of the part with the largest mean share over its words. Where a list is joined of
both halves' (`merge`, `weigh`), it is the classifier's if as a label it is likelier than the generator is to write it.

Axes: B phrases (each with its post), T target, L source, S slots.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from model.batches import BOS_ID, EOS_ID, Batch, Encoded, target_of
from model.config import Config
from model.data import Vocabularies
from model.infer import Ranked
from model.ragged import Ragged
from model.systems import get_system, ranking_of
from model.unified import KeyphraseModel
from schemas.vocab import SEP

ORIGINS = ("generated", "text", "ocr", "classifier")
PHRASES = 160
"""Read back at once."""


@torch.inference_mode()
def origins(
    model: KeyphraseModel,
    encoded: Encoded,
    vocabularies: Vocabularies,
    config: Config,
    ranked: Sequence[Sequence[Ranked]],
) -> list[list[str]]:
    """One of ORIGINS for every phrase of every post."""
    system = get_system(config.system)
    if not system.learns:
        return [["text"] * len(post) for post in ranked]
    how = ranking_of(system, config)
    if how == "classifier":
        return [["classifier"] * len(post) for post in ranked]
    rows = np.repeat(np.arange(len(ranked)), [len(post) for post in ranked])
    posts = zip(ranked, encoded.oov, strict=True)
    targets = Ragged.of([target_of(one.phrase, vocabularies.words, oov) for post, oov in posts for one in post])
    labels = np.array(vocabularies.labels.encode(one.phrase for post in ranked for one in post), np.int64)
    told: list[list[str]] = [[] for _ in ranked]
    for start in range(0, len(rows), PHRASES):
        part = np.arange(start, min(start + PHRASES, len(rows)))
        batch, target = encoded.posts_batch(rows[part]), targets.padded(part)
        target_bt, mask_bt = (torch.from_numpy(array).to(batch.source_bl.device) for array in target)
        shares_btp = added(model, batch, target_bt, _text_lengths(encoded, rows[part]).to(target_bt.device))
        best_b = _best(shares_btp, mask_bt & (target_bt != EOS_ID))
        if how != "generator":
            written_b = shares_btp.sum(-1).masked_fill(~mask_bt, 1.0).prod(-1)
            likelier_b = _as_label(model, batch, labels[part]) > written_b
            best_b = best_b.masked_fill(likelier_b, ORIGINS.index("classifier"))
        for row, best in zip(rows[part], best_b.tolist(), strict=True):
            told[row].append(ORIGINS[best])
    return told


def _best(shares_btp: Tensor, word_bt: Tensor) -> Tensor:
    """(B,) the part with the largest mean share of the words."""
    shares_btp = shares_btp / shares_btp.sum(-1, keepdim=True).clamp_min(1e-12)
    return (shares_btp * word_bt[..., None]).sum(1).argmax(-1)


def _as_label(model: KeyphraseModel, batch: Batch, label_b: np.ndarray) -> Tensor:
    """(B,) P of these labels, each of its post; zero of what is none."""
    p_bn, ids_b = model(batch).logit_bn.softmax(-1), torch.from_numpy(label_b).to(batch.source_bl.device)
    return p_bn.gather(1, ids_b[:, None]).squeeze(1) * (ids_b != 0)


def added(model: KeyphraseModel, batch: Batch, target_bt: Tensor, text_b: Tensor) -> Tensor:
    """(B, T, 4) what each of ORIGINS adds to P of each target word, by Eq. (11). text_b: positions before OCR words."""
    generator, encoding = model.generator, model(batch)
    memory = model.remember(batch, encoding)
    u_bte = generator.inputs(model.embed(F.pad(target_bt[:, :-1], (1, 0), value=BOS_ID)), memory)
    emission = generator.emit(u_bte, generator.states(u_bte, encoding.start()[1]), memory)
    p_btv = generator.vocabulary(emission.hidden_btd).softmax(-1)
    known_bt = target_bt < p_btv.size(-1)
    generated_bt = emission.switch_bt * p_btv.gather(-1, (target_bt * known_bt)[..., None]).squeeze(-1) * known_bt
    match_bts = (target_bt[..., None] == memory.slot_bs[:, None]) * emission.weight_bts
    copied_bts = (1 - emission.switch_bt)[..., None] * match_bts
    place_s = torch.arange(copied_bts.size(-1), device=target_bt.device)
    of_label_s = place_s >= batch.source_bl.size(1)
    in_text_bs = place_s < text_b[:, None]
    masks = (in_text_bs, ~in_text_bs & ~of_label_s, of_label_s.expand(in_text_bs.shape))
    return torch.stack([generated_bt, *((copied_bts * mask_bs[:, None]).sum(-1) for mask_bs in masks)], -1)


def _text_lengths(encoded: Encoded, rows_b: np.ndarray) -> Tensor:
    sources = (encoded.sources[row] for row in rows_b)
    return torch.tensor([source.index(SEP) if SEP in source else len(source) for source in sources])
