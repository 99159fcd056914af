"""The label distribution, Eq. (6), and the words of the best labels.

Axes: B batch, d model, n labels, K best labels, W words of a label, J words of the best labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from m3h.schemas.vocab import Vocabulary


class Classifier(nn.Module):
    """Logits of every label from c_fuse; Eq. (6). `<unk>`, label 0, is never trained and never offered."""

    def __init__(self, d: int, labels: int, layers: int, *, dropout: float) -> None:
        super().__init__()
        hidden: list[nn.Module] = []
        for _ in range(layers - 1):
            hidden += [nn.Linear(d, d), nn.ReLU(), nn.Dropout(dropout)]
        self.mlp = nn.Sequential(*hidden, nn.Linear(d, labels))

    def forward(self, c_fuse_bd: Tensor) -> Tensor:
        """(B, d) -> (B, labels) logits."""
        logit_bn: Tensor = self.mlp(c_fuse_bd)
        return logit_bn


def best_labels(logit_bn: Tensor, k: int, first: int = 1) -> tuple[Tensor, Tensor]:
    """(B, K) logits and (B, K) ids of the best labels, best first. K is k, or the number of labels if that is less.

    Args:
        logit_bn: (B, n).
        k: how many.
        first: the first label that is offered. 0 offers `<unk>` too.
    """
    top = logit_bn[:, first:].topk(min(k, logit_bn.size(1) - first), -1)
    return top.values, top.indices + first


@dataclass(frozen=True)
class LabelSlots:
    """Words that the classifier offers. words_bj: (B, J) ids. beta_bj: (B, J) their weights, which sum to one."""

    words_bj: Tensor
    beta_bj: Tensor


class Aggregation(nn.Module):
    """beta over the words of the K best labels; each word has the weight of its label (§3.4)."""

    label_words_nw: Tensor
    first = 1
    """The first label that is offered: not `<unk>`, label 0."""

    def __init__(self, label_words_nw: Tensor, k: int) -> None:
        """label_words_nw: (labels, W) word ids, 0 where a label is shorter; see `label_table`."""
        super().__init__()
        self.k = k
        self.register_buffer("label_words_nw", label_words_nw, persistent=False)

    def forward(self, logit_bn: Tensor) -> LabelSlots:
        """(B, labels) logits -> the words of the K best labels, best first."""
        logit_bk, label_bk = best_labels(logit_bn, self.k, self.first)
        words_bkw = self.label_words_nw[label_bk]
        score_bkw = logit_bk[..., None].expand(words_bkw.shape)
        words_bj, score_bj = words_bkw.flatten(1), score_bkw.flatten(1)
        return LabelSlots(words_bj, score_bj.masked_fill(words_bj == 0, -torch.inf).softmax(-1))


class ReleasedAggregation(Aggregation):
    """Aggregation as in the released code: `<unk>` is offered too, and no gradient reaches the classifier.

    The released code also creates a second switch of 2 d + e + 1 weights that nothing reads. It is kept here so that
    the number of weights is the same.
    """

    first = 0

    def __init__(self, label_words_nw: Tensor, k: int, word_width: int, *, d: int) -> None:
        super().__init__(label_words_nw, k)
        self.unused_switch = nn.Linear(2 * d + word_width, 1)

    def forward(self, logit_bn: Tensor) -> LabelSlots:
        """As in `Aggregation`, without a gradient to the classifier."""
        return super().forward(logit_bn.detach())


def label_table(labels: Sequence[str], words: Vocabulary) -> Tensor:
    """(labels, W) word ids of every label, padded with 0. W is the length of the longest label."""
    rows = [words.encode(label.split()) for label in labels]
    table = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for i, row in enumerate(rows):
        table[i, : len(row)] = torch.tensor(row)
    return table
