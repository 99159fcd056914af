"""GRU with pointer, Eqs. (7)-(11).

Axes: B batch, T steps (or the beams of one step), N real steps, L source, S slots, V words, X extended words,
e word width, d model, k topics.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.data.batch import UNK_ID
from m3h.model.networks.attention import AdditiveAttention
from m3h.model.networks.classifier import LabelSlots
from m3h.model.networks.encoder import Bank

EPSILON = 1e-8
"""Added to a probability before its logarithm, so that an impossible word has a large but finite cost."""


@dataclass(frozen=True)
class Memory:
    """What stays the same while a post is decoded; computed once.

    keys_bld: of the additive attention. c_fuse_bd: or None. slot_bs: (B, S) words that can be copied, one a slot: first
    those of the source, in extended ids, then those of the labels. Without a pointer there are no slots for the source.
    beta_bj: weights of the label slots, or None. theta_bk: the topics that every step reads, or None.
    """

    bank: Bank
    keys_bld: Tensor
    slot_bs: Tensor
    c_fuse_bd: Tensor | None = None
    beta_bj: Tensor | None = None
    theta_bk: Tensor | None = None

    def select(self, rows: Tensor) -> "Memory":
        """The memory of these rows alone."""

        def rows_of(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[rows]

        bank = Bank(self.bank.memory_bld[rows], self.bank.mask_bl[rows])
        optional = map(rows_of, (self.c_fuse_bd, self.beta_bj, self.theta_bk))
        return Memory(bank, self.keys_bld[rows], self.slot_bs[rows], *optional)


@dataclass(frozen=True)
class StepOutput:
    """Output of every step. hidden_btd: before the vocabulary projection. switch_bt: p_t, probability to generate.

    alpha_btl: attention on the source. weight_bts: probability of each slot when copying (a alpha, then b beta).
    """

    hidden_btd: Tensor
    switch_bt: Tensor
    alpha_btl: Tensor
    weight_bts: Tensor


class Decoder(nn.Module):
    """One GRU layer with attention on the text bank, a vocabulary and a pointer.

    copy_shares: (a, b) of Eq. (11) while labels are aggregated, (0.5, 0.5) in the paper; None without a pointer.
    topics: width of theta, which the GRU, the attention and the switch then read (Wang et al. 2019a, §3.2). released:
    as in the released code. Its context is a linear layer of the weighted sum and the state. Its vocabulary projection
    is two linear layers with nothing between them, and does not read the last word.
    """

    def __init__(
        self,
        words: int,
        word_width: int,
        d: int,
        *,
        dropout: float,
        copy_shares: tuple[float, float] | None = (0.5, 0.5),
        topics: int = 0,
        released: bool = False,
    ) -> None:
        super().__init__()
        u_width = word_width + topics
        self.gru = nn.GRU(u_width, d, batch_first=True)
        self.attention = AdditiveAttention(d, d + topics)
        self.context = nn.Linear(2 * d, d) if released else None
        between = [nn.Dropout(dropout)] if released else [nn.Tanh(), nn.Dropout(dropout)]
        self.hidden_from = u_width if released else 0
        self.hidden = nn.Sequential(nn.Linear(u_width + 2 * d - self.hidden_from, d), *between)
        self.vocabulary = nn.Linear(d, words)
        self.switch = nn.Linear(u_width + 2 * d, 1) if copy_shares else None
        self.copy_shares = copy_shares

    def build_memory(
        self,
        bank: Bank,
        copy_bl: Tensor,
        c_fuse_bd: Tensor | None = None,
        *,
        labels: LabelSlots | None = None,
        theta_bk: Tensor | None = None,
    ) -> Memory:
        """The memory of these posts for `step_outputs`.

        Args:
            bank: the text bank.
            copy_bl: (B, L) extended ids of the source.
            c_fuse_bd: (B, d), or None.
            labels: words of the classifier's best labels, or None without aggregation.
            theta_bk: (B, k) topics, or None.
        """
        keys_bld = self.attention.keys(bank.memory_bld)
        slot_bs = copy_bl if self.switch else copy_bl[:, :0]
        if labels is None:
            return Memory(bank, keys_bld, slot_bs, c_fuse_bd, theta_bk=theta_bk)
        return Memory(bank, keys_bld, torch.cat([slot_bs, labels.words_bj], 1), c_fuse_bd, labels.beta_bj, theta_bk)

    def gru_inputs(self, u_bte: Tensor, memory: Memory) -> Tensor:
        """(B, T, e) word embeddings -> (B, T, e + k) word embeddings and topics."""
        return _concat_topics(u_bte, memory.theta_bk)

    def gru_states(self, u_bte: Tensor, state_bd: Tensor) -> Tensor:
        """(B, T, e) `gru_inputs`, (B, d) initial state -> (B, T, d) s_t; Eq. (7)."""
        s_btd: Tensor = self.gru(u_bte, state_bd[None].contiguous())[0]
        return s_btd

    def step_outputs(self, u_bte: Tensor, s_btd: Tensor, memory: Memory) -> StepOutput:
        """The output of every step.

        Args:
            u_bte: (B, T, e), from `gru_inputs`.
            s_btd: (B, T, d), from `gru_states`.
            memory: of the same posts.
        """
        query_btd = _concat_topics(s_btd, memory.theta_bk)
        alpha_btl = self.attention(query_btd, memory.keys_bld, memory.bank.mask_bl)  # Eqs. (8)-(9)
        c_btd = alpha_btl @ memory.bank.memory_bld
        if self.context:
            c_btd = self.context(torch.cat([c_btd, s_btd], -1))
        if memory.c_fuse_bd is not None:
            c_btd = c_btd + memory.c_fuse_bd[:, None]
        features = torch.cat([u_bte, s_btd, c_btd], -1)
        switch_bt = self.switch(features).squeeze(-1).sigmoid() if self.switch else torch.ones_like(features[..., 0])
        weight_bts = self._slot_weights(alpha_btl, memory.beta_bj)
        return StepOutput(self.hidden(features[..., self.hidden_from :]), switch_bt, alpha_btl, weight_bts)

    def _slot_weights(self, alpha_btl: Tensor, beta_bj: Tensor | None) -> Tensor:
        if self.copy_shares is None:
            return alpha_btl[..., :0]
        if beta_bj is None:
            return alpha_btl
        a, b = self.copy_shares
        beta_btj = beta_bj[:, None].expand(-1, alpha_btl.size(1), -1)
        return torch.cat([a * alpha_btl, b * beta_btj], -1)

    def log_likelihood(self, output: StepOutput, memory: Memory, target_bt: Tensor, *, mask_bt: Tensor) -> Tensor:
        """(N,) log P(target) of the N real steps; Eq. (11).

        Only the probabilities of the targets are computed, never the distribution over vocabulary and copied words.
        Without a pointer a word outside the vocabulary is `<unk>`.

        Args:
            output: of all steps.
            memory: of the same posts.
            target_bt: (B, T) extended ids.
            mask_bt: (B, T) bool, True = real.
        """
        if self.switch is None:
            target_bt = target_bt.masked_fill(target_bt >= self.vocabulary.out_features, UNK_ID)
        target_n = target_bt[mask_bt]
        logits_nv: Tensor = self.vocabulary(output.hidden_btd[mask_bt])  # Eq. (10)
        known_n = target_n < logits_nv.size(-1)
        generate_n = F.cross_entropy(logits_nv, target_n * known_n, reduction="none").neg().exp() * known_n
        match_bts = target_bt[..., None] == memory.slot_bs[:, None]
        copied_n = (output.weight_bts * match_bts).sum(-1)[mask_bt]
        switch_n = output.switch_bt[mask_bt]
        return (switch_n * generate_n + (1 - switch_n) * copied_n + EPSILON).log()

    def distribution(self, output: StepOutput, memory: Memory, oov: int) -> Tensor:
        """(B, T, V + oov) the whole distribution of Eq. (11), for tests and for inspecting single posts.

        Args:
            output: of all steps.
            memory: of the same posts.
            oov: how many ids beyond the vocabulary to include.
        """
        switch_bt1 = output.switch_bt[..., None]
        generate_btv = switch_bt1 * self.vocabulary(output.hidden_btd).softmax(-1)
        p_btx: Tensor = F.pad(generate_btv, (0, oov))
        slot_bts = memory.slot_bs[:, None].expand(output.weight_bts.shape)
        return p_btx.scatter_add(-1, slot_bts, (1 - switch_bt1) * output.weight_bts)


def _concat_topics(x_btd: Tensor, theta_bk: Tensor | None) -> Tensor:
    if theta_bk is None:
        return x_btd
    return torch.cat([x_btd, theta_bk[:, None].expand(-1, x_btd.size(1), -1)], -1)
