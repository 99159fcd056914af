"""GRU with pointer, Eqs. (7)-(11).

Axes: B batch, T steps (or the beams of one step), N real steps, L source, S slots, V words, X extended words,
e word width, d model, k topics.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.attention import AdditiveAttention
from model.batches import UNK_ID
from model.classifier import LabelSlots
from model.encoder import Bank

EPSILON = 1e-8
"""Added to a probability before its logarithm, so that an impossible word costs much but not everything."""


@dataclass(frozen=True)
class Memory:
    """What stays the same through a post's decoding, computed once.

    keys_bld: of the additive attention. c_fuse_bd: or None. slot_bs: (B, S) the words that can be copied, position by
    position: first the source's, in extended ids, then the labels'; without a pointer there are none. beta_bj: weights
    of the latter, or None. theta_bk: the topics that every step sees, or None.
    """

    bank: Bank
    keys_bld: Tensor
    slot_bs: Tensor
    c_fuse_bd: Tensor | None = None
    beta_bj: Tensor | None = None
    theta_bk: Tensor | None = None

    def take(self, rows: Tensor) -> "Memory":
        """These posts alone."""

        def part(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[rows]

        bank = Bank(self.bank.memory_bld[rows], self.bank.mask_bl[rows])
        optional = map(part, (self.c_fuse_bd, self.beta_bj, self.theta_bk))
        return Memory(bank, self.keys_bld[rows], self.slot_bs[rows], *optional)


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

    copy_shares: (a, b) of Eq. (11) while labels are aggregated; (0.5, 0.5) in the paper. copies: whether there is a
    pointer. topics: width of theta, which the GRU, the attention and the switch then see (Wang et al. 2019a, §3.2).
    released: the released code's. Its context is a linear layer of the weighted sum and the state; its vocabulary is
    reached through two linear layers with nothing between them, which do not see the last word.
    """

    def __init__(
        self,
        words: int,
        word_width: int,
        d: int,
        dropout: float,
        copy_shares: tuple[float, float] = (0.5, 0.5),
        copies: bool = True,
        topics: int = 0,
        released: bool = False,
    ) -> None:
        super().__init__()
        u_width = word_width + topics
        self.gru = nn.GRU(u_width, d, batch_first=True)
        self.attention = AdditiveAttention(d, d + topics)
        self.context = nn.Linear(2 * d, d) if released else None
        between = [nn.Dropout(dropout)] if released else [nn.Tanh(), nn.Dropout(dropout)]
        self.unseen = u_width if released else 0
        self.hidden = nn.Sequential(nn.Linear(u_width + 2 * d - self.unseen, d), *between)
        self.vocabulary = nn.Linear(d, words)
        self.switch = nn.Linear(u_width + 2 * d, 1) if copies else None
        self.copy_shares = copy_shares

    def remember(
        self,
        bank: Bank,
        copy_bl: Tensor,
        c_fuse_bd: Tensor | None = None,
        labels: LabelSlots | None = None,
        theta_bk: Tensor | None = None,
    ) -> Memory:
        """Everything about the posts that `emit` needs."""
        keys_bld = self.attention.keys(bank.memory_bld)
        slot_bs = copy_bl if self.switch else copy_bl[:, :0]
        if labels is None:
            return Memory(bank, keys_bld, slot_bs, c_fuse_bd, theta_bk=theta_bk)
        return Memory(bank, keys_bld, torch.cat([slot_bs, labels.words_bj], 1), c_fuse_bd, labels.beta_bj, theta_bk)

    def inputs(self, u_bte: Tensor, memory: Memory) -> Tensor:
        """(B, T, e) word embeddings -> (B, T, e + k), the topics beside them."""
        return _beside(u_bte, memory.theta_bk)

    def states(self, u_bte: Tensor, state_bd: Tensor) -> Tensor:
        """(B, T, e) `inputs` so far, (B, d) first state -> (B, T, d) s_t; Eq. (7)."""
        return self.gru(u_bte, state_bd[None].contiguous())[0]

    def emit(self, u_bte: Tensor, s_btd: Tensor, memory: Memory) -> Emission:
        """(B, T, e) `inputs`, (B, T, d) `states` -> what is said at each step."""
        query_btd = _beside(s_btd, memory.theta_bk)
        alpha_btl = self.attention(query_btd, memory.keys_bld, memory.bank.mask_bl)  # Eqs. (8)-(9)
        c_btd = alpha_btl @ memory.bank.memory_bld
        if self.context:
            c_btd = self.context(torch.cat([c_btd, s_btd], -1))
        if memory.c_fuse_bd is not None:
            c_btd = c_btd + memory.c_fuse_bd[:, None]
        seen = torch.cat([u_bte, s_btd, c_btd], -1)
        switch_bt = self.switch(seen).squeeze(-1).sigmoid() if self.switch else torch.ones_like(seen[..., 0])
        weight_bts = self._weights(alpha_btl, memory.beta_bj)
        return Emission(self.hidden(seen[..., self.unseen :]), switch_bt, alpha_btl, weight_bts)

    def _weights(self, alpha_btl: Tensor, beta_bj: Tensor | None) -> Tensor:
        if self.switch is None:
            return alpha_btl[..., :0]
        if beta_bj is None:
            return alpha_btl
        a, b = self.copy_shares
        beta_btj = beta_bj[:, None].expand(-1, alpha_btl.size(1), -1)
        return torch.cat([a * alpha_btl, b * beta_btj], -1)

    def log_likelihood(self, emission: Emission, memory: Memory, target_bt: Tensor, mask_bt: Tensor) -> Tensor:
        """(N,) log P(target) of the N real steps, in extended ids; Eq. (11).

        Only the targets' probabilities are computed, never the distribution over vocabulary and copied words. Without
        a pointer a word outside the vocabulary is `<unk>`.
        """
        if self.switch is None:
            target_bt = target_bt.masked_fill(target_bt >= self.vocabulary.out_features, UNK_ID)
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


def _beside(x_btd: Tensor, theta_bk: Tensor | None) -> Tensor:
    if theta_bk is None:
        return x_btd
    return torch.cat([x_btd, theta_bk[:, None].expand(-1, x_btd.size(1), -1)], -1)
