"""Labels scored by the meaning of their names: the output embedding of a label is the vector of its name.

A label of Eq. (6) has d weights of its own, which a label of two or three posts can only memorize. Here the vectors of
names come from a frozen sentence encoder, and only what is compared with them is learned, by the posts of all labels.

Axes: B batch, L word pieces, d model, n labels, v numbers of the sentence encoder.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.networks.encoder import Bank

INITIAL_SCALE = 10.0
"""Initial factor of a cosine. Between -1 and 1 a softmax over thousands of labels would be nearly flat."""


class NameClassifier(nn.Module):
    """logit_n = scale cos(W_s s + W_c c_fuse, e_n) + b_n: s the mean state of the text, e_n the name's vector.

    At first W_s is the identity and W_c is zero, so that labels are ranked by how near their names are to the text.
    `<unk>`, label 0, has the vector of zeros.
    """

    name_nv: Tensor

    def __init__(self, d: int, labels: int, v: int, *, dropout: float) -> None:
        super().__init__()
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

    def forward(self, c_fuse_bd: Tensor, states: Bank) -> Tensor:
        """(B, d), and the states of the word pieces of each text (B, L, v) -> (B, n) logits."""
        mean_bv = Bank(states.memory_bld.to(self.name_nv.dtype), states.mask_bl).pooled("avg")
        query_bv = self.W_s(self.dropout(mean_bv)) + self.W_c(c_fuse_bd)
        logit_bn: Tensor = self.scale * F.normalize(query_bv, dim=-1) @ self.name_nv.mT + self.bias_n
        return logit_bn
