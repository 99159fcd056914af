"""Scores of all labels by a tuned sentence encoder, kept as vectors: all scores would be several times as large.

Axes: p posts, b some of them, n labels, v numbers of a vector, k folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

IMPOSSIBLE = -1e4
"""The score of a label that cannot be known. It is finite, so that a feature of it is a number."""


@dataclass(frozen=True)
class TunedScores:
    """What `networks.tuned_encoder` says of posts. A training post is judged by an encoder that has not seen it.

    vector_pv: of the texts. table_knv, bias_kn: vectors and biases of the labels, of each encoder. fold_p: the encoder
    of each post. bonuses: of each post, labels that stand in its text, and the bonus of each.
    """

    vector_pv: Tensor
    table_knv: Tensor
    bias_kn: Tensor
    fold_p: Tensor
    bonuses: Sequence[tuple[Tensor, Tensor]]

    def part(self, part: slice) -> tuple[Tensor, Tensor]:
        """(b, n) scores by meaning, and (b, n) bonuses of labels in the text, of some posts."""
        vector_bv, fold_b = self.vector_pv[part], self.fold_p[part]
        meaning_bn = torch.empty(len(vector_bv), self.bias_kn.size(1))
        for k in sorted(set(fold_b.tolist())):
            rows = fold_b == k
            meaning_bn[rows] = vector_bv[rows] @ self.table_knv[k].mT + self.bias_kn[k]
        meaning_bn[:, 0] = IMPOSSIBLE  # `<unk>`
        bonus_bn = torch.zeros_like(meaning_bn)
        for row, (labels, bonus) in enumerate(self.bonuses[part]):
            bonus_bn[row, labels] = bonus
        return meaning_bn, bonus_bn
