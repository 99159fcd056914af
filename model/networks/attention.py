"""M3H-Att, Eqs. (3)-(5), and the additive attention of Eqs. (8)-(9).

Axes: B batch, L memory, T query steps, H heads, d model, k head width.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.networks.encoder import Bank

PAIRS = (("vision", "text"), ("attributes", "text"), ("text", "vision"), ("text", "attributes"))
"""The bank of the query, and the bank of the memory (§3.2)."""


def masked_softmax(score: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is True. A row without any gives zeros, not NaN."""
    safe = score.masked_fill(~mask, -torch.inf).masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return safe.softmax(-1) * mask


@dataclass(frozen=True)
class AttentionSize:
    """Size and style of multi-head attention.

    d: width of queries and memories. released: the layers of the released code.
    """

    d: int
    heads: int
    head_width: int
    dropout: float = 0.0
    released: bool = False


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention of one query a post over a memory, H heads; Eqs. (3)-(5).

    With one query it is cheaper to apply W_K to the query and W_V to the weighted sum than to project the whole memory:
    q (W_K m) = (W_K^T q) m and sum alpha (W_V m) = W_V (sum alpha m). The paper writes no biases; without them an empty
    memory gives zeros. The released code has biases and another initialization.
    """

    def __init__(self, size: AttentionSize) -> None:
        super().__init__()
        self.heads, self.head_width = size.heads, size.head_width
        width = size.heads * size.head_width
        self.W_Q, self.W_K, self.W_V = (nn.Linear(size.d, width, bias=size.released) for _ in range(3))
        self.W_O = nn.Linear(width, size.d, bias=size.released)
        self.dropout = nn.Dropout(size.dropout)
        if size.released:
            for linear in (self.W_Q, self.W_K, self.W_V):
                nn.init.normal_(linear.weight, std=math.sqrt(2 / (size.d + size.head_width)))
            nn.init.xavier_normal_(self.W_O.weight)

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d). Without biases an empty memory gives zeros."""
        alpha_bhl = self.dropout(self.weights(query_bd, bank))
        sum_bhd = alpha_bhl @ bank.memory_bld
        heads_bhk = torch.einsum("bhd,hkd->bhk", sum_bhd, self._by_head(self.W_V.weight))  # Eq. (5)
        if self.W_V.bias is not None:
            heads_bhk = heads_bhk + alpha_bhl.sum(-1, keepdim=True) * self._by_head(self.W_V.bias)
        output_bd: Tensor = self.W_O(heads_bhk.flatten(1))  # Eq. (4)
        return output_bd

    def weights(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, H, L) attention weights. Each head's weights sum to one, or to zero for an empty memory; Eq. (3)."""
        q_bhk = self._by_head(self.W_Q(query_bd), axis=-1)
        score_bhl = torch.einsum("bhk,hkd->bhd", q_bhk, self._by_head(self.W_K.weight)) @ bank.memory_bld.mT
        if self.W_K.bias is not None:
            score_bhl = score_bhl + (q_bhk * self._by_head(self.W_K.bias)).sum(-1, keepdim=True)
        return masked_softmax(score_bhl / math.sqrt(self.head_width), bank.mask_bl[:, None])

    def _by_head(self, x: Tensor, axis: int = 0) -> Tensor:
        return torch.unflatten(x, axis, (self.heads, self.head_width))


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
    """Attention and a feed-forward network, each followed by its residual connection and LayerNorm (§3.2)."""

    def __init__(self, size: AttentionSize) -> None:
        super().__init__()
        d, norm = size.d, DeviationNorm if size.released else nn.LayerNorm
        self.attention = MultiHeadAttention(size)
        self.feed_forward = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        self.norm_attention, self.norm_forward = norm(d), norm(d)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d), the query of the next layer."""
        x_bd = self.norm_attention(query_bd + self.dropout(self.attention(query_bd, bank)))
        output_bd: Tensor = self.norm_forward(x_bd + self.dropout(self.feed_forward(x_bd)))
        return output_bd


class CoAttention(nn.Module):
    """Stacked layers over the same memory. The output of a layer is the query of the next one (§3.2)."""

    def __init__(self, layers: int, size: AttentionSize) -> None:
        super().__init__()
        self.layers = nn.ModuleList(AttentionLayer(size) for _ in range(layers))

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d) the context of the memory; zeros where the memory is empty."""
        for layer in self.layers:
            query_bd = layer(query_bd, bank)
        return query_bd.masked_fill(~bank.mask_bl.any(1, keepdim=True), 0.0)


class M3HAttention(nn.Module):
    """Pairwise co-attention of the modalities, summed and fused into c_fuse (§3.2).

    pools: bank -> how its query is pooled, `max` or `avg`. layers: bank of the memory -> stacked layers. pairs:
    names as in PAIRS; a pair is used if `pools` has both modalities. If no pair is left, text attends to itself, so
    that c_fuse exists in a dataset without images; the paper has no such case. In the released style, c_fuse is the
    plain sum, without the fusion layer.

    gated: text attends to itself too, and the context of every other pair is multiplied by a gate of one weight a
    channel. Gates start at zero (as in Bachlechner et al. 2021): training begins with the text alone, and adds of each
    pair what helps. In the paper's form no pair goes from text to text once there is a picture, so that c_fuse has the
    text only as far as pictures ask for it.
    """

    def __init__(
        self,
        pools: Mapping[str, str],
        layers: Mapping[str, int],
        size: AttentionSize,
        *,
        pairs: Sequence[tuple[str, str]] = PAIRS,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.pools = dict(pools)
        crossed = [(q, m) for q, m in pairs if q in pools and m in pools]
        gated = gated and bool(crossed) and "text" in pools
        self.pairs = [*crossed, ("text", "text")] if gated or not crossed else crossed
        self.attend = nn.ModuleDict({f"{q}_to_{m}": CoAttention(layers[m], size) for q, m in self.pairs})
        self.gate_pd = nn.Parameter(torch.zeros(len(crossed), size.d)) if gated else None
        self.W_fuse = nn.Identity() if size.released else nn.Linear(size.d, size.d)

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Banks by name -> (B, d) c_fuse. For a missing image, the query is zeros and so is the context."""
        queries = {name: banks[name].pooled(self.pools[name]) for name in {q for q, _ in self.pairs}}
        contexts = torch.stack([self.attend[f"{q}_to_{m}"](queries[q], banks[m]) for q, m in self.pairs])
        if self.gate_pd is not None:
            contexts = torch.cat([contexts[:-1] * self.gate_pd[:, None], contexts[-1:]])
        c_fuse_bd: Tensor = self.W_fuse(contexts.sum(0))
        return c_fuse_bd


class AdditiveAttention(nn.Module):
    """alpha = softmax_l v tanh(W_s s + W_m M_l + b); Eqs. (8)-(9). query_width: width of s where it is not d."""

    def __init__(self, d: int, query_width: int | None = None) -> None:
        super().__init__()
        self.W_s, self.W_m = nn.Linear(query_width or d, d), nn.Linear(d, d, bias=False)
        self.v = nn.Linear(d, 1, bias=False)

    def keys(self, memory_bld: Tensor) -> Tensor:
        """(B, L, d): W_m M, the same for every query."""
        keys_bld: Tensor = self.W_m(memory_bld)
        return keys_bld

    def forward(self, query_btd: Tensor, keys_bld: Tensor, mask_bl: Tensor) -> Tensor:
        """(B, T, L) attention weights.

        Args:
            query_btd: (B, T, query width).
            keys_bld: (B, L, d), from `keys`.
            mask_bl: (B, L) bool, True = real.
        """
        hidden_btld = torch.tanh(self.W_s(query_btd)[:, :, None] + keys_bld[:, None])
        score_btl = F.linear(hidden_btld, self.v.weight).squeeze(-1)
        return masked_softmax(score_btl, mask_bl[:, None])
