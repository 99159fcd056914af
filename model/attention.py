"""M3H-Att, Eqs. (3)-(5), and the additive attention of Eqs. (8)-(9).

Axes: B batch, L memory, T query steps, H heads, d model, k head width.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoder import Bank

PAIRS = ("vision_to_text", "attributes_to_text", "text_to_vision", "text_to_attributes")
"""Who asks, and whose memory answers (§3.2)."""


def masked_softmax(score: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is True; a row without any gives zeros, not NaN."""
    safe = score.masked_fill(~mask, -torch.inf).masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return safe.softmax(-1) * mask


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention of one query a post over a memory, H heads; Eqs. (3)-(5).

    With one query it is cheaper to carry W_K to the query and W_V behind the weighted sum than to project all of the
    memory: q (W_K m) = (W_K^T q) m and sum alpha (W_V m) = W_V (sum alpha m). Without biases, which the paper does not
    write, an empty memory gives zeros; the released code has them, and other first weights.
    """

    def __init__(self, d: int, heads: int, head_width: int, dropout: float, released: bool = False) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        width = heads * head_width
        self.W_Q, self.W_K, self.W_V = (nn.Linear(d, width, bias=released) for _ in range(3))
        self.W_O = nn.Linear(width, d, bias=released)
        self.dropout = nn.Dropout(dropout)
        if released:
            for linear in (self.W_Q, self.W_K, self.W_V):
                nn.init.normal_(linear.weight, std=math.sqrt(2 / (d + head_width)))
            nn.init.xavier_normal_(self.W_O.weight)

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d); without biases an empty memory gives zeros."""
        alpha_bhl = self.dropout(self.weights(query_bd, bank))
        sum_bhd = alpha_bhl @ bank.memory_bld
        heads_bhk = torch.einsum("bhd,hkd->bhk", sum_bhd, self._by_head(self.W_V.weight))  # Eq. (5)
        if self.W_V.bias is not None:
            heads_bhk = heads_bhk + alpha_bhl.sum(-1, keepdim=True) * self._by_head(self.W_V.bias)
        return self.W_O(heads_bhk.flatten(1))  # Eq. (4)

    def weights(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, H, L) attention weights, each head's sum to one or, of an empty memory, to zero; Eq. (3)."""
        q_bhk = self.W_Q(query_bd).unflatten(-1, (self.heads, self.head_width))
        score_bhl = torch.einsum("bhk,hkd->bhd", q_bhk, self._by_head(self.W_K.weight)) @ bank.memory_bld.mT
        if self.W_K.bias is not None:
            score_bhl = score_bhl + (q_bhk * self._by_head(self.W_K.bias)).sum(-1, keepdim=True)
        return masked_softmax(score_bhl / math.sqrt(self.head_width), bank.mask_bl[:, None])

    def _by_head(self, weight: Tensor) -> Tensor:
        return weight.unflatten(0, (self.heads, self.head_width))


class DeviationNorm(nn.Module):
    """The released code's LayerNorm: (x - mean) / (s + 1e-6), where s is the unbiased standard deviation."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d))

    def forward(self, x: Tensor) -> Tensor:
        """(*, d) -> (*, d)."""
        deviation = x.std(-1, keepdim=True)
        return self.weight * (x - x.mean(-1, keepdim=True)) / (deviation + 1e-6) + self.bias


class AttentionLayer(nn.Module):
    """Attention and feed-forward, each with its residual and LayerNorm after it (§3.2)."""

    def __init__(self, d: int, heads: int, head_width: int, dropout: float, released: bool = False) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(d, heads, head_width, dropout, released)
        self.feed_forward = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        norm = DeviationNorm if released else nn.LayerNorm
        self.norm_attention, self.norm_forward = norm(d), norm(d)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d), the next layer's query."""
        x_bd = self.norm_attention(query_bd + self.dropout(self.attention(query_bd, bank)))
        return self.norm_forward(x_bd + self.dropout(self.feed_forward(x_bd)))


class CoAttention(nn.Module):
    """Stacked layers: each one's output is the next query, all over the same memory (§3.2)."""

    def __init__(
        self, layers: int, d: int, heads: int, head_width: int, dropout: float, released: bool = False
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(AttentionLayer(d, heads, head_width, dropout, released) for _ in range(layers))

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d) the memory's context; zeros where the memory is empty."""
        for layer in self.layers:
            query_bd = layer(query_bd, bank)
        return query_bd.masked_fill(~bank.mask_bl.any(1, keepdim=True), 0.0)


class M3HAttention(nn.Module):
    """Pairwise co-attention of the modalities, summed and fused into c_fuse (§3.2).

    layers: stacked layers by the memory that answers. pools: how each modality's query is pooled, `max` or `avg`.
    pairs: "vision_to_text" and so on, who asks whose memory; those whose two sides are in `pools` are used. Where none
    is left, text asks itself, so that c_fuse exists in a dataset without images; the paper has no such case.
    released: the released code's layers, and the plain sum without the fusion layer.
    """

    def __init__(
        self,
        pools: Mapping[str, str],
        layers: Mapping[str, int],
        d: int,
        heads: int,
        head_width: int,
        dropout: float,
        pairs: Sequence[str] = PAIRS,
        released: bool = False,
    ) -> None:
        super().__init__()
        self.pools = dict(pools)
        asked = [(q, m) for q, _, m in (pair.partition("_to_") for pair in pairs)]
        self.pairs = [(q, m) for q, m in asked if q in pools and m in pools] or [("text", "text")]
        self.attend = nn.ModuleDict(
            {f"{q}_to_{m}": CoAttention(layers[m], d, heads, head_width, dropout, released) for q, m in self.pairs}
        )
        self.W_fuse = nn.Identity() if released else nn.Linear(d, d)

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Banks by modality -> (B, d) c_fuse. A missing image asks with zeros, and its own memory gives zeros."""
        queries = {name: banks[name].pooled(self.pools[name]) for name in {q for q, _ in self.pairs}}
        contexts = [self.attend[f"{q}_to_{m}"](queries[q], banks[m]) for q, m in self.pairs]
        return self.W_fuse(torch.stack(contexts).sum(0))


class AdditiveAttention(nn.Module):
    """alpha = softmax_l v tanh(W_s s + W_m M_l + b); Eqs. (8)-(9). query_width: of s, where it is not d."""

    def __init__(self, d: int, query_width: int | None = None) -> None:
        super().__init__()
        self.W_s, self.W_m = nn.Linear(query_width or d, d), nn.Linear(d, d, bias=False)
        self.v = nn.Linear(d, 1, bias=False)

    def keys(self, memory_bld: Tensor) -> Tensor:
        """(B, L, d): W_m M, the same for every query."""
        return self.W_m(memory_bld)

    def forward(self, query_btd: Tensor, keys_bld: Tensor, mask_bl: Tensor) -> Tensor:
        """(B, T, query width), (B, L, d) of `keys`, (B, L) -> (B, T, L) weights."""
        hidden_btld = torch.tanh(self.W_s(query_btd)[:, :, None] + keys_bld[:, None])
        score_btl = F.linear(hidden_btld, self.v.weight).squeeze(-1)
        return masked_softmax(score_btl, mask_bl[:, None])
