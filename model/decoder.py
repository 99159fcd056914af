"""GRU with pointer, Eqs. (7)-(11).

Axes: B batch, T steps (or the beams of one step), N real steps, L source, S slots, V words, X extended words,
e word width, d model.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.attention import AdditiveAttention
from model.classifier import LabelSlots
from model.encoder import Bank

EPSILON = 1e-8
"""Added to a probability before its logarithm, so that an impossible word costs much but not everything."""


@dataclass(frozen=True)
class Memory:
    """What stays the same through a post's decoding, computed once.

    keys_bld: of the additive attention. c_fuse_bd: or None. slot_bs: (B, S) the words that can be copied, position by
    position: first the source's, in extended ids, then the labels'. beta_bj: weights of the latter, or None.
    """

    bank: Bank
    keys_bld: Tensor
    slot_bs: Tensor
    c_fuse_bd: Tensor | None = None
    beta_bj: Tensor | None = None

    def take(self, rows: Tensor) -> "Memory":
        """These posts alone."""
        parts = (self.keys_bld, self.slot_bs, self.c_fuse_bd, self.beta_bj)
        bank = Bank(self.bank.memory_bld[rows], self.bank.mask_bl[rows])
        return Memory(bank, *(None if part is None else part[rows] for part in parts))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Emission:
    """What each step says. hidden_btd: before the vocabulary projection. switch_bt: p_t, the chance to generate.

    alpha_btl: attention on the source. weight_bts: the chance of each slot where we copy (a alpha, then b beta).
    """

    hidden_btd: Tensor
    switch_bt: Tensor
    alpha_btl: Tensor
    weight_bts: Tensor


class Decoder(nn.Module):
    """One GRU layer with attention on the text bank, a vocabulary and a pointer.

    copy_shares: (a, b) of Eq. (11) while labels are aggregated; (0.5, 0.5) in the paper.
    """

    def __init__(
        self, words: int, word_width: int, d: int, dropout: float, copy_shares: tuple[float, float] = (0.5, 0.5)
    ) -> None:
        super().__init__()
        self.gru = nn.GRU(word_width, d, batch_first=True)
        self.attention = AdditiveAttention(d)
        self.hidden = nn.Sequential(nn.Linear(word_width + 2 * d, d), nn.Tanh(), nn.Dropout(dropout))
        self.vocabulary = nn.Linear(d, words)
        self.switch = nn.Linear(word_width + 2 * d, 1)
        self.copy_shares = copy_shares

    def remember(self, bank: Bank, copy_bl: Tensor, c_fuse_bd: Tensor | None, labels: LabelSlots | None) -> Memory:
        """Everything about the posts that `emit` needs."""
        keys_bld = self.attention.keys(bank.memory_bld)
        if labels is None:
            return Memory(bank, keys_bld, copy_bl, c_fuse_bd)
        return Memory(bank, keys_bld, torch.cat([copy_bl, labels.words_bj], 1), c_fuse_bd, labels.beta_bj)

    def states(self, u_bte: Tensor, state_bd: Tensor) -> Tensor:
        """(B, T, e) words so far, (B, d) first state -> (B, T, d) s_t; Eq. (7)."""
        return self.gru(u_bte, state_bd[None].contiguous())[0]

    def emit(self, u_bte: Tensor, s_btd: Tensor, memory: Memory) -> Emission:
        """(B, T, e), (B, T, d) -> what is said at each step."""
        alpha_btl = self.attention(s_btd, memory.keys_bld, memory.bank.mask_bl)  # Eqs. (8)-(9)
        c_btd = alpha_btl @ memory.bank.memory_bld
        if memory.c_fuse_bd is not None:
            c_btd = c_btd + memory.c_fuse_bd[:, None]
        seen = torch.cat([u_bte, s_btd, c_btd], -1)
        switch_bt = self.switch(seen).squeeze(-1).sigmoid()
        return Emission(self.hidden(seen), switch_bt, alpha_btl, self._weights(alpha_btl, memory.beta_bj))

    def _weights(self, alpha_btl: Tensor, beta_bj: Tensor | None) -> Tensor:
        if beta_bj is None:
            return alpha_btl
        a, b = self.copy_shares
        beta_btj = beta_bj[:, None].expand(-1, alpha_btl.size(1), -1)
        return torch.cat([a * alpha_btl, b * beta_btj], -1)

    def log_likelihood(self, emission: Emission, memory: Memory, target_bt: Tensor, mask_bt: Tensor) -> Tensor:
        """(N,) log P(target) of the N real steps, in extended ids; Eq. (11).

        Only the targets' probabilities are computed, never the distribution over vocabulary and copied words.
        """
        target_n = target_bt[mask_bt]
        logits_nv = self.vocabulary(emission.hidden_btd[mask_bt])  # Eq. (10)
        known_n = target_n < logits_nv.size(-1)
        generate_n = F.cross_entropy(logits_nv, target_n * known_n, reduction="none").neg().exp() * known_n
        match_bts = target_bt[..., None] == memory.slot_bs[:, None]
        copied_n = (emission.weight_bts * match_bts).sum(-1)[mask_bt]
        switch_n = emission.switch_bt[mask_bt]
        return (switch_n * generate_n + (1 - switch_n) * copied_n + EPSILON).log()

    def distribution(self, emission: Emission, memory: Memory, oov: int) -> Tensor:
        """(B, T, V + oov) the whole of Eq. (11), written out; for tests and for looking at single posts."""
        switch_bt1 = emission.switch_bt[..., None]
        generate_btv = switch_bt1 * self.vocabulary(emission.hidden_btd).softmax(-1)
        p_btx = F.pad(generate_btv, (0, oov))
        slot_bts = memory.slot_bs[:, None].expand(emission.weight_bts.shape)
        return p_btx.scatter_add(-1, slot_bts, (1 - switch_bt1) * emission.weight_bts)
