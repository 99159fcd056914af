"""Scores of all labels by a tuned sentence encoder, kept as vectors: all scores would be several times as large.

Axes: p posts, b some of them, n labels, v numbers of a vector, k folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from m3h.model.text.stemming import Phrase, stem

IMPOSSIBLE = -1e4
"""The score of a label that cannot be known. It is finite, so that a feature of it is a number."""
KEPT = 12
"""Phrases of a text that are remembered, the likeliest ones."""


@dataclass(frozen=True)
class FoundPhrases:
    """The KEPT likeliest phrases of a text, best first.

    none: log P that no phrase of the text is a keyphrase. spans: first word, and the word after the last. log_p: of
    each.
    """

    none: float
    spans: Sequence[tuple[int, int]]
    log_p: Sequence[float]

    def stems(self, tokens: Sequence[str]) -> list[Phrase]:
        """The stems of the phrases. tokens: of the text."""
        return [tuple(stem(token) for token in tokens[start:end]) for start, end in self.spans]


@dataclass(frozen=True)
class TunedScores:
    """What `networks.tuned_encoder` says of posts. A training post is judged by an encoder that has not seen it.

    vector_pv: of the texts. table_knv, bias_kn: vectors and biases of the labels, of each encoder. fold_p: the encoder
    of each post. bonuses: of each post, labels that stand in its text, and the bonus of each. phrases: of each post,
    where the encoder scores them.
    """

    vector_pv: Tensor
    table_knv: Tensor
    bias_kn: Tensor
    fold_p: Tensor
    bonuses: Sequence[tuple[Tensor, Tensor]]
    phrases: Sequence[FoundPhrases] = ()

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
