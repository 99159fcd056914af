"""How the baseline systems of §5.1 make c_fuse.

Each takes the banks by modality and gives (B, d). Axes: B batch, L text, G vision, d model.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from m3h.model.networks.attention import AdditiveAttention, masked_softmax
from m3h.model.networks.encoder import Bank


class PooledFusion(nn.Module):
    """The pooled modalities, concatenated, through one linear layer. Systems without attention use it."""

    def __init__(self, pools: Mapping[str, str], d: int) -> None:
        super().__init__()
        self.pools = dict(pools)
        self.W_fuse = nn.Linear(d * len(pools), d)

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Banks by modality -> (B, d)."""
        pooled = [banks[name].pooled(pool) for name, pool in self.pools.items()]
        c_fuse_bd: Tensor = self.W_fuse(torch.cat(pooled, -1))
        return c_fuse_bd


class AdditiveGlimpse(nn.Module):
    """One glimpse of a query at a memory: the sum of the memory, weighted by additive attention."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.attention = AdditiveAttention(d)

    def forward(self, query_bd: Tensor, bank: Bank) -> Tensor:
        """(B, d) -> (B, d); zeros where the memory is empty."""
        alpha_b1l: Tensor = self.attention(query_bd[:, None], self.attention.keys(bank.memory_bld), bank.mask_bl)
        return (alpha_b1l @ bank.memory_bld).squeeze(1)


class StackedAttention(nn.Module):
    """Stacked attention (Yang et al. 2016, Eqs. 15-19): u_0 is the pooled text, u_k = u_(k-1) + its glimpse."""

    def __init__(self, text_pool: str, hops: int, d: int) -> None:
        super().__init__()
        self.text_pool = text_pool
        self.hops = nn.ModuleList(AdditiveGlimpse(d) for _ in range(hops))

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Text and vision banks -> (B, d). Without an image it is the pooled text."""
        u_bd = banks["text"].pooled(self.text_pool)
        for glimpse in self.hops:
            u_bd = u_bd + glimpse(u_bd, banks["vision"])
        return u_bd


class AlternatingAttention(nn.Module):
    """Co-attention (Zhang et al. 2017, §3.2-3.4): the mean text attends to the image, that context to the text."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.attend_vision, self.attend_text = AdditiveGlimpse(d), AdditiveGlimpse(d)
        self.W_fuse = nn.Linear(2 * d, d)

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Text and vision banks -> (B, d)."""
        vision_bd = self.attend_vision(banks["text"].pooled("avg"), banks["vision"])
        text_bd = self.attend_text(vision_bd, banks["text"])
        c_fuse_bd: Tensor = self.W_fuse(torch.cat([text_bd, vision_bd], -1))
        return c_fuse_bd


class BilinearGlimpse(nn.Module):
    """One bilinear attention map over all pairs of a word and a cell, and the joint vector it gives."""

    def __init__(self, d: int, dropout: float) -> None:
        super().__init__()
        self.U, self.V, self.U_joint, self.V_joint = (
            nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Dropout(dropout)) for _ in range(4)
        )
        self.p = nn.Linear(d, 1, bias=False)
        self.P = nn.Linear(d, d, bias=False)

    def weights(self, x_bld: Tensor, text: Bank, vision: Bank) -> Tensor:
        """(B, L, G) softmax over all real pairs of p^T (U x_i * V y_j); Kim et al. 2018, Eq. 6.

        Args:
            x_bld: (B, L, d) the words, with the joint vectors of earlier glimpses added.
            text: the text bank; only its mask is used.
            vision: the vision bank.
        """
        score_blg = (self.U(x_bld) * self.p.weight) @ self.V(vision.memory_bld).mT
        real_blg = text.mask_bl[:, :, None] & vision.mask_bl[:, None]
        return masked_softmax(score_blg.flatten(1), real_blg.flatten(1)).view_as(score_blg)

    def forward(self, x_bld: Tensor, text: Bank, vision: Bank) -> Tensor:
        """(B, d) P f, f_k = (U' x)_k^T A (V' y)_k; Kim et al. 2018, Eq. 5. Zeros without an image.

        Args:
            x_bld: (B, L, d), as in `weights`.
            text: the text bank; only its mask is used.
            vision: the vision bank.
        """
        context_bld = self.weights(x_bld, text, vision) @ self.V_joint(vision.memory_bld)
        joint_bd: Tensor = self.P((self.U_joint(x_bld) * context_bld).sum(1))
        return joint_bd


class BilinearAttention(nn.Module):
    """Bilinear attention network (Kim et al. 2018, Eq. 10): each word gets every glimpse added; words are summed."""

    def __init__(self, glimpses: int, d: int, dropout: float) -> None:
        super().__init__()
        self.glimpses = nn.ModuleList(BilinearGlimpse(d, dropout) for _ in range(glimpses))

    def forward(self, banks: Mapping[str, Bank]) -> Tensor:
        """Text and vision banks -> (B, d)."""
        text, vision = banks["text"], banks["vision"]
        f_bld = text.memory_bld
        for glimpse in self.glimpses:
            f_bld = (f_bld + glimpse(f_bld, text, vision)[:, None]) * text.mask_bl[..., None]
        return f_bld.sum(1)
