"""Labels scored by the meaning of their names: the output embedding of a label is the vector of its name.

A label of Eq. (6) has d weights of its own, which a label of two or three posts can only memorize. Here the vectors of
names come from a frozen sentence encoder, and only what is compared with them is learned, by the posts of all labels.

Axes: B batch, L word pieces, K labels that stand in a text, d model, n labels, v numbers of the sentence encoder.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.networks.encoder import Bank

INITIAL_SCALE = 10.0
"""Initial factor of a cosine. Between -1 and 1 a softmax over thousands of labels would be nearly flat."""


POINTER_HIDDEN, POINTER_DROPOUT = 64, 0.3
"""Hidden units of the pointer, and what of them is dropped; beside the pointer's 768 inputs posts are few."""
INITIAL_BONUS = 2.0
"""What a label that stands in the text has at first, beside cosines of up to INITIAL_SCALE."""


class LabelPointer(nn.Module):
    """bonus_k = b + f(m_k, s): of a label that stands in the text, from the mean state m_k of its words there, and s.

    f is a network of one hidden layer that starts at zero. The same function for all labels, it learns which words of
    a text, in their contexts, are the post's subject.
    """

    def __init__(self, v: int, *, dropout: float) -> None:
        super().__init__()
        self.bonus = nn.Parameter(torch.tensor(INITIAL_BONUS))
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Sequential(nn.Linear(2 * v, POINTER_HIDDEN), nn.ReLU(), nn.Dropout(POINTER_DROPOUT))
        self.output = nn.Linear(POINTER_HIDDEN, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, states: Bank, word_bl: Tensor, span_bk3: Tensor) -> Tensor:
        """(B, K) bonuses, zero for padding.

        Args:
            states: (B, L, v) of word pieces.
            word_bl: (B, L) the position of each piece's word, -1 where it has none.
            span_bk3: of `LabelSpans.batch`.
        """
        label_bk, start_bk, end_bk = span_bk3.unbind(-1)
        word_b1l = word_bl[:, None]
        inside_bkl = (word_b1l >= start_bk[..., None]) & (word_b1l < end_bk[..., None]) & states.mask_bl[:, None]
        share_bkl = inside_bkl / inside_bkl.sum(-1, keepdim=True).clamp_min(1)
        here_bkv = self.dropout(share_bkl @ states.memory_bld)
        text_bkv = states.pooled("avg")[:, None].expand_as(here_bkv)
        bonus_bk: Tensor = self.bonus + self.output(self.hidden(torch.cat([here_bkv, text_bkv], -1))).squeeze(-1)
        return bonus_bk * (label_bk > 0)


class NameClassifier(nn.Module):
    """logit_n = scale cos(W_s s + W_c c_fuse, e_n) + b_n: s the mean state of the text, e_n the name's vector.

    At first W_s is the identity and W_c is zero, so that labels are ranked by how near their names are to the text.
    `<unk>`, label 0, has the vector of zeros. With a pointer, labels that stand in the text have its bonus besides.
    """

    name_nv: Tensor

    def __init__(self, d: int, labels: int, v: int, *, dropout: float, pointer: bool = False) -> None:
        super().__init__()
        self.pointer = LabelPointer(v, dropout=dropout) if pointer else None
        self.W_s, self.W_c = nn.Linear(v, v), nn.Linear(d, v, bias=False)
        nn.init.eye_(self.W_s.weight)
        nn.init.zeros_(self.W_s.bias)
        nn.init.zeros_(self.W_c.weight)
        self.scale = nn.Parameter(torch.tensor(INITIAL_SCALE))
        self.bias_n = nn.Parameter(torch.zeros(labels))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("name_nv", torch.zeros(labels, v))

    def fit(self, name_nv: Tensor) -> None:
        """Set the vectors of the names, (n, v). What all names share is taken away: it tells no label from another."""
        centred_nv = name_nv[1:] - name_nv[1:].mean(0)
        self.name_nv.copy_(F.pad(F.normalize(centred_nv, dim=-1), (0, 0, 1, 0)))

    def forward(
        self, c_fuse_bd: Tensor, states: Bank, *, word_bl: Tensor | None = None, span_bk3: Tensor | None = None
    ) -> Tensor:
        """(B, n) logits.

        Args:
            c_fuse_bd: (B, d).
            states: (B, L, v) of the word pieces of each text, in any precision.
            word_bl: of the pointer.
            span_bk3: of the pointer.
        """
        states = Bank(states.memory_bld.to(self.name_nv.dtype), states.mask_bl)
        query_bv = self.W_s(self.dropout(states.pooled("avg"))) + self.W_c(c_fuse_bd)
        logit_bn: Tensor = self.scale * F.normalize(query_bv, dim=-1) @ self.name_nv.mT + self.bias_n
        if self.pointer is None or word_bl is None or span_bk3 is None:
            return logit_bn
        return logit_bn.scatter_add(1, span_bk3[..., 0], self.pointer(states, word_bl, span_bk3))
