"""Which phrase of a text is its keyphrase, if any: for phrases that no training post has as a keyphrase, too.

logit_k = w relu(A m_k + B l_k + C r_k + D s) + b_|k|: m_k is the mean state of the phrase's words, l_k and r_k are the
states of the words before and after it, s is the mean state of the text, and b_|k| depends on how many words it has.
That no phrase of the text is a keyphrase has the logit v s + c. All texts share the function, so that it learns where
authors put a keyphrase and what the words there are like. It is a pointer network (Vinyals et al. 2015,
https://arxiv.org/abs/1506.03134) over phrases in place of words.

Axes: B batch, L word pieces, W words of a text, K phrases of a text, v numbers of the sentence encoder, h hidden units.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3h.model.data.text_phrases import LONGEST
from m3h.model.networks.encoder import Bank

HIDDEN, HIDDEN_DROPOUT = 96, 0.3
"""Hidden units, and what of them is dropped."""
FAR = -1e4
"""The logit of padding."""


class PhraseScorer(nn.Module):
    """log P of every phrase of a text, and of none. v: numbers of a state. dropout: of the states that are read."""

    def __init__(self, v: int, *, dropout: float) -> None:
        super().__init__()
        self.inside, self.before, self.after = (nn.Linear(v, HIDDEN, bias=False) for _ in range(3))
        self.text, self.none = nn.Linear(v, HIDDEN), nn.Linear(v, 1)
        self.dropout, self.hidden_dropout = nn.Dropout(dropout), nn.Dropout(HIDDEN_DROPOUT)
        self.output = nn.Linear(HIDDEN, 1)
        self.bias_l = nn.Parameter(torch.zeros(LONGEST + 1))
        nn.init.zeros_(self.output.weight)

    def forward(self, states: Bank, word_bl: Tensor, span_bk2: Tensor, mask_bk: Tensor) -> Tensor:
        """(B, 1 + K) log P, the first that of none.

        Args:
            states: (B, L, v) of word pieces.
            word_bl: (B, L) the position of each piece's word, -1 where it has none.
            span_bk2: (B, K, 2) first word of each phrase, and the word after its last.
            mask_bk: (B, K) bool, True = real.
        """
        text_bv = self.dropout(states.pooled("avg"))
        word_bwv = self.dropout(_word_states(states, word_bl))
        start_bk, end_bk = span_bk2.unbind(-1)
        length_bk = (end_bk - start_bk).clamp_min(1)
        # a projection of a mean is the mean of projections, and words are fewer than phrases
        sum_bwh = F.pad(self.inside(word_bwv).cumsum(1), (0, 0, 1, 0))
        inside_bkh = (_at(sum_bwh, end_bk) - _at(sum_bwh, start_bk)) / length_bk[..., None]
        before_bkh = _at(F.pad(self.before(word_bwv), (0, 0, 1, 0)), start_bk)
        after_bkh = _at(F.pad(self.after(word_bwv), (0, 0, 0, 1)), end_bk)
        hidden_bkh = (inside_bkh + before_bkh + after_bkh + self.text(text_bv)[:, None]).relu()
        logit_bk = self.output(self.hidden_dropout(hidden_bkh)).squeeze(-1) + self.bias_l[length_bk]
        log_p_bk: Tensor = torch.cat([self.none(text_bv), logit_bk.masked_fill(~mask_bk, FAR)], 1).log_softmax(-1)
        return log_p_bk


def _word_states(states: Bank, word_bl: Tensor) -> Tensor:
    """(B, W, v) the mean state of each word's pieces."""
    words = int(word_bl.max()) + 1 if word_bl.numel() else 0
    of_bwl = (word_bl[:, None] == torch.arange(words)[:, None]) & states.mask_bl[:, None]
    share_bwl = of_bwl / of_bwl.sum(-1, keepdim=True).clamp_min(1)
    return share_bwl @ states.memory_bld


def _at(value_bwh: Tensor, place_bk: Tensor) -> Tensor:
    """(B, K, h) the rows at these places of each text."""
    return value_bwh.gather(1, place_bk[..., None].expand(-1, -1, value_bwh.size(2)))
