"""M3H-Att, Eqs. (3)-(5), and the additive attention of Eqs. (8)-(9).

Axes: B batch, L memory, T query steps, H heads, d model, k head width.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.encoder import Bank

PAIRS = (("vision", "text"), ("attributes", "text"), ("text", "vision"), ("text", "attributes"))
"""Who asks, and whose memory answers (§3.2)."""


def masked_softmax(score: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is True; a row without any gives zeros, not NaN."""
    safe = score.masked_fill(~mask, -torch.inf).masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return safe.softmax(-1) * mask


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention of one query a post over a memory, H heads; Eqs. (3)-(5).

    With one query it is cheaper to carry W_K to the query and W_V behind the weighted sum than to project all of the
    memory: q (W_K m) = (W_K^T q) m and sum alpha (W_V m) = W_V (sum alpha m). There are no biases: on the keys one
    would change nothing, and without the others an empty memory gives zeros.
    """

    def __init__(self, d: int, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.W_Q, self.W_K, self.W_V = (nn.Linear(d, heads * head_width, bias=False) for _ in range(3))
        self.W_O = nn.Linear(heads * head_width, d, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d); an empty memory gives zeros."""
        alpha_bhl = self.dropout(self.weights(query_bd, bank))
        sum_bhd = alpha_bhl @ bank.memory_bld
        W_V_hkd = self.W_V.weight.unflatten(0, (self.heads, self.head_width))
        heads_bhk = torch.einsum("bhd,hkd->bhk", sum_bhd, W_V_hkd)  # Eq. (5)
        return self.W_O(heads_bhk.flatten(1))  # Eq. (4)

    def weights(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, H, L) attention weights, each head's sum to one or, of an empty memory, to zero; Eq. (3)."""
        q_bhk = self.W_Q(query_bd).unflatten(-1, (self.heads, self.head_width))
        W_K_hkd = self.W_K.weight.unflatten(0, (self.heads, self.head_width))
        score_bhl = torch.einsum("bhk,hkd->bhd", q_bhk, W_K_hkd) @ bank.memory_bld.mT / math.sqrt(self.head_width)
        return masked_softmax(score_bhl, bank.mask_bl[:, None])


class AttentionLayer(nn.Module):
    """Attention and feed-forward, each with its residual and LayerNorm after it (§3.2)."""

    def __init__(self, d: int, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(d, heads, head_width, dropout)
        self.feed_forward = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        self.norm_attention, self.norm_forward = nn.LayerNorm(d), nn.LayerNorm(d)
        self.dropout = nn.Dropout(dropout)

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d), the next layer's query."""
        x_bd = self.norm_attention(query_bd + self.dropout(self.attention(query_bd, bank)))
        return self.norm_forward(x_bd + self.dropout(self.feed_forward(x_bd)))


class CoAttention(nn.Module):
    """Stacked layers: each one's output is the next query, all over the same memory (§3.2)."""

    def __init__(self, layers: int, d: int, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(AttentionLayer(d, heads, head_width, dropout) for _ in range(layers))

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d) the memory's context; zeros where the memory is empty."""
        for layer in self.layers:
            query_bd = layer(query_bd, bank)
        return query_bd.masked_fill(~bank.mask_bl.any(1, keepdim=True), 0.0)


class M3HAttention(nn.Module):
    """Pairwise co-attention of the modalities, summed and fused into c_fuse (§3.2).

    layers: stacked layers by the memory that answers. pools: how each modality's query is pooled, `max` or `avg`.
    Where text is alone it asks itself, so that c_fuse exists in a dataset without images; the paper has no such case.
    """

    def __init__(
        self, pools: Mapping[str, str], layers: Mapping[str, int], d: int, heads: int, head_width: int, dropout: float
    ) -> None:
        super().__init__()
        self.pools = dict(pools)
        self.pairs = [(q, m) for q, m in PAIRS if q in pools and m in pools] or [("text", "text")]
        self.attend = nn.ModuleDict(
            {f"{q}_to_{m}": CoAttention(layers[m], d, heads, head_width, dropout) for q, m in self.pairs}
        )
        self.W_fuse = nn.Linear(d, d)

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Banks by modality -> (B, d) c_fuse. A missing image asks with zeros, and its own memory gives zeros."""
        queries = {name: banks[name].pooled(how) for name, how in self.pools.items()}
        contexts = [self.attend[f"{q}_to_{m}"](queries[q], banks[m]) for q, m in self.pairs]
        return self.W_fuse(torch.stack(contexts).sum(0))


class PooledFusion(nn.Module):
    """Pooled modalities side by side through one linear layer: what the classifiers without attention see (§5.1)."""

    def __init__(self, pools: Mapping[str, str], d: int) -> None:
        super().__init__()
        self.pools = dict(pools)
        self.W_fuse = nn.Linear(d * len(pools), d)

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Banks by modality -> (B, d)."""
        return self.W_fuse(torch.cat([banks[name].pooled(how) for name, how in self.pools.items()], -1))


class AdditiveAttention(nn.Module):
    """alpha = softmax_l v tanh(W_s s + W_m M_l + b); Eqs. (8)-(9)."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.W_s, self.W_m = nn.Linear(d, d), nn.Linear(d, d, bias=False)
        self.v = nn.Linear(d, 1, bias=False)

    def keys(self, memory_bld: Tensor) -> Tensor:
        """(B, L, d): W_m M, the same for every query."""
        return self.W_m(memory_bld)

    def forward(self, query_btd: Tensor, keys_bld: Tensor, mask_bl: Tensor) -> Tensor:
        """(B, T, d), (B, L, d) of `keys`, (B, L) -> (B, T, L) weights."""
        hidden_btld = torch.tanh(self.W_s(query_btd)[:, :, None] + keys_bld[:, None])
        score_btl = F.linear(hidden_btld, self.v.weight).squeeze(-1)
        return masked_softmax(score_btl, mask_bl[:, None])
