"""How the systems that M3H-Att is compared with make c_fuse (§5.1).

Each takes the banks by modality and gives (B, d). Axes: B batch, L text, G vision, d model.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model.attention import AdditiveAttention, masked_softmax
from model.encoder import Bank


class PooledFusion(nn.Module):
    """Pooled modalities side by side through one linear layer: what the systems without attention see."""

    def __init__(self, pools: Mapping[str, str], d: int) -> None:
        super().__init__()
        self.pools = dict(pools)
        self.W_fuse = nn.Linear(d * len(pools), d)

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Banks by modality -> (B, d)."""
        return self.W_fuse(torch.cat([banks[name].pooled(how) for name, how in self.pools.items()], -1))


class Look(nn.Module):
    """One look of a query at a memory: the sum of what is there, weighted by additive attention."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.attention = AdditiveAttention(d)

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d); zeros where the memory is empty."""
        alpha_b1l = self.attention(query_bd[:, None], self.attention.keys(bank.memory_bld), bank.mask_bl)
        return (alpha_b1l @ bank.memory_bld).squeeze(1)


class StackedAttention(nn.Module):
    """Stacked attention (Yang et al. 2016, Eqs. 15-19): u_0 is the pooled text, u_k = u_(k-1) + what u_(k-1) sees."""

    def __init__(self, text_pool: str, hops: int, d: int) -> None:
        super().__init__()
        self.text_pool = text_pool
        self.looks = nn.ModuleList(Look(d) for _ in range(hops))

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Text and vision banks -> (B, d); without an image, the pooled text."""
        u_bd = banks["text"].pooled(self.text_pool)
        for look in self.looks:
            u_bd = u_bd + look(u_bd, banks["vision"])
        return u_bd


class AlternatingAttention(nn.Module):
    """Co-attention (Zhang et al. 2017, §3.2-3.4): the mean text looks at the image, what it sees looks at the text."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.at_vision, self.at_text = Look(d), Look(d)
        self.W_fuse = nn.Linear(2 * d, d)

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Text and vision banks -> (B, d)."""
        seen_bd = self.at_vision(banks["text"].pooled("avg"), banks["vision"])
        read_bd = self.at_text(seen_bd, banks["text"])
        return self.W_fuse(torch.cat([read_bd, seen_bd], -1))


class Glimpse(nn.Module):
    """One bilinear attention map over all pairs of a word and a cell, and the joint vector it gives."""

    def __init__(self, d: int, dropout: float) -> None:
        super().__init__()
        self.U, self.V, self.U_joint, self.V_joint = (
            nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Dropout(dropout)) for _ in range(4)
        )
        self.p = nn.Linear(d, 1, bias=False)
        self.P = nn.Linear(d, d, bias=False)

    def weights(self, x_bld: Tensor, text: Bank, vision: Bank) -> Tensor:
        """(B, L, G) softmax over all real pairs of p^T (U x_i * V y_j); Kim et al. 2018, Eq. 6."""
        score_blg = (self.U(x_bld) * self.p.weight) @ self.V(vision.memory_bld).mT
        real_blg = text.mask_bl[:, :, None] & vision.mask_bl[:, None]
        return masked_softmax(score_blg.flatten(1), real_blg.flatten(1)).view_as(score_blg)

    def forward(self, x_bld: Tensor, text: Bank, vision: Bank) -> Tensor:
        """(B, L, d) -> (B, d) P f, f_k = (U' x)_k^T A (V' y)_k; Kim et al. 2018, Eq. 5. Zeros without an image."""
        seen_bld = self.weights(x_bld, text, vision) @ self.V_joint(vision.memory_bld)
        return self.P((self.U_joint(x_bld) * seen_bld).sum(1))


class BilinearAttention(nn.Module):
    """Bilinear attention network (Kim et al. 2018, Eq. 10): every glimpse is added to each word; words are summed."""

    def __init__(self, glimpses: int, d: int, dropout: float) -> None:
        super().__init__()
        self.glimpses = nn.ModuleList(Glimpse(d, dropout) for _ in range(glimpses))

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Text and vision banks -> (B, d)."""
        text, vision = banks["text"], banks["vision"]
        f_bld = text.memory_bld
        for glimpse in self.glimpses:
            f_bld = (f_bld + glimpse(f_bld, text, vision)[:, None]) * text.mask_bl[..., None]
        return f_bld.sum(1)
