"""The upper layers of a sentence encoder, trained to rank labels: by what a text means, and by words that stand in it.

logit_n = S cos(s - m) e_n + b_n + bonus_n: s is the mean state of the text's word pieces, m its mean over training
posts, and e_n a learned vector that begins as that of the label's name. A label that stands in the text has the bonus
of `LabelPointer`. This is the classifier by names of `label_names`, but what it reads is trained too, as sentence
encoders are tuned on pairs of texts (Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084).

Axes: B batch, L word pieces, K labels that stand in a text, n labels, v numbers of the sentence encoder.
"""

import copy
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.networks.encoder import Bank
from m3h.model.networks.label_names import LabelPointer
from m3h.model.networks.phrase_scorer import PhraseScorer

SCALE = 15.0
"""The factor S of a cosine."""
BIAS = 0.3
"""The first bias of a label is so many times the logarithm of how many posts have it."""
FAR = -1e4
"""What is added to the attention to padding."""


class TunedEncoder(nn.Module):
    """A copy of the last `layers` layers, and vectors of labels. The layers below are shared and never change.

    transformer: of the architecture BERT, as the library transformers builds it. name_nv: (n, v) vectors of the labels'
    names, centred. dropout: of the text's vector, and of the states that pointer and phrase scorer read. phrases:
    whether there is a phrase scorer.
    """

    def __init__(
        self, transformer: Any, layers: int, name_nv: Tensor, *, dropout: float, phrases: bool = False
    ) -> None:
        super().__init__()
        own = transformer.encoder.layer
        kept = max(0, len(own) - layers)
        self._below = (transformer.embeddings, *own[:kept])  # a tuple, whose weights are not this module's
        self.layers = nn.ModuleList(copy.deepcopy(layer) for layer in own[kept:])
        self.label_nv = nn.Parameter(name_nv.clone())
        self.bias_n = nn.Parameter(torch.zeros(len(name_nv)))
        self.mean_v = nn.Parameter(torch.zeros(name_nv.size(1)))
        self.pointer = LabelPointer(name_nv.size(1), dropout=dropout)
        self.phrase_scorer = PhraseScorer(name_nv.size(1), dropout=dropout) if phrases else None
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, piece_bl: Tensor, mask_bl: Tensor, word_bl: Tensor, span_bk3: Tensor
    ) -> tuple[Tensor, Tensor, Bank]:
        """(B, v) vectors of the texts, of length one, (B, K) bonuses, and the states of the last layer.

        Args:
            piece_bl: (B, L) ids of word pieces.
            mask_bl: (B, L) bool, True = real.
            word_bl: (B, L) the position of each piece's word in the text, -1 where it has none.
            span_bk3: of `LabelSpans.batch`.
        """
        bank = self.states(piece_bl, mask_bl)
        vector_bv = F.normalize(bank.pooled("avg") - self.mean_v, dim=-1)
        return vector_bv, self.pointer(bank, word_bl, span_bk3), bank

    def states(self, piece_bl: Tensor, mask_bl: Tensor) -> Bank:
        """The states of the last layer, float32."""
        far_b11l = torch.zeros(mask_bl.shape).masked_fill(~mask_bl, FAR)[:, None, None]
        embeddings, *below = self._below
        with _half_where_fast(self.training):
            with torch.no_grad():
                state_blv = embeddings(input_ids=piece_bl)
                for layer in below:
                    state_blv = _state(layer(state_blv, attention_mask=far_b11l))
            for layer in self.layers:
                state_blv = _state(layer(state_blv, attention_mask=far_b11l))
        return Bank(state_blv.float(), mask_bl)

    def logits(self, vector_bv: Tensor, bonus_bk: Tensor, span_bk3: Tensor) -> Tensor:
        """(B, n) logits."""
        meaning_bn = SCALE * self.dropout(vector_bv) @ self.label_nv.mT + self.bias_n
        logit_bn: Tensor = meaning_bn.scatter_add(1, span_bk3[..., 0], bonus_bk)
        return logit_bn

    def table(self) -> tuple[Tensor, Tensor]:
        """(n, v) and (n,): what the product with a text's vector, and the sum, make of it the label's score."""
        return SCALE * self.label_nv.detach(), self.bias_n.detach()


def _state(found: Any) -> Tensor:
    """What a layer gives; earlier versions of the library wrap it."""
    state_blv: Tensor = found[0] if isinstance(found, tuple) else found
    return state_blv


def _half_where_fast(training: bool) -> AbstractContextManager[Any]:
    """bfloat16 on a processor that multiplies it, where training then takes a third of the time.

    Posts are judged in float32: what is said of one must not depend on the posts beside it, nor on the machine.
    """
    fast = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()  # earlier versions of torch do not tell
    return torch.autocast("cpu", torch.bfloat16, enabled=training and fast)
