"""Labels by likeness to the training posts: ridge regression on grams, solved at once.

With X the rows of `Grams`, Y the posts' labels as ones and K = X X^T, the scores of a text x are

    x X^T alpha,  alpha = (K + penalty I)^-1 Y

A training post is its own best witness, so what is learned upon these scores must see it without itself. For that
there is no need to solve again: left out, post i has the scores y_i - alpha_i / ((K + penalty I)^-1)_ii.

Axes: n remembered posts, p posts, f grams, l labels.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from model.grams import Grams, sparse

AT_ONCE = 64
"""Texts that are compared with all remembered ones together."""


class Recall:
    """Remembered posts. row_nf: their grams, sparse; alpha_nl: what each says for each label."""

    def __init__(self, grams: Grams, row_nf: Tensor, alpha_nl: Tensor) -> None:
        self.grams, self.row_nf, self.alpha_nl = grams, row_nf, alpha_nl

    @classmethod
    def learn(
        cls,
        sources: Sequence[Sequence[str]],
        labels: Sequence[Sequence[int]],
        size: int,
        penalty: float,
        kinds: Sequence[str],
    ) -> tuple["Recall", Tensor]:
        """What is remembered, and (n, l) the scores of each of these posts by the others alone.

        labels: of each post, ids below `size`; 0, `<unk>`, is nobody's. Time grows with the cube of the number of
        posts, memory with its square. kinds: of grams.
        """
        grams = Grams.learn(sources, kinds)
        recall = cls(grams, grams.rows(sources), torch.empty(0))
        factor_nn = recall.likeness(sources)
        factor_nn.diagonal().add_(penalty)
        factor_nn = torch.linalg.cholesky(factor_nn)  # under one name, so that no third matrix is held
        inverse_nn = torch.cholesky_inverse(factor_nn)
        del factor_nn
        y_nl = torch.zeros(len(sources), size)
        for row, ids in enumerate(labels):
            y_nl[row, [i for i in ids if i]] = 1.0
        recall.alpha_nl = inverse_nn @ y_nl
        return recall, y_nl.addcdiv_(recall.alpha_nl, inverse_nn.diagonal()[:, None], value=-1)

    def likeness(self, sources: Sequence[Sequence[str]]) -> Tensor:
        """(p, n) cosine of every text with every remembered one."""
        parts = [sources[start : start + AT_ONCE] for start in range(0, len(sources), AT_ONCE)]
        columns = [(self.row_nf @ self.grams.rows(part).to_dense().mT).mT for part in parts]
        return torch.cat(columns) if columns else torch.zeros(0, len(self.row_nf))

    def scores(self, sources: Sequence[Sequence[str]]) -> Tensor:
        """(p, l) of texts that are not remembered."""
        return self.likeness(sources) @ self.alpha_nl

    def as_tensors(self) -> dict[str, Tensor]:
        """All but the grams."""
        return {"places": self.row_nf.indices(), "values": self.row_nf.values(), "alpha": self.alpha_nl}

    @classmethod
    def from_tensors(cls, grams: Grams, tensors: Mapping[str, Tensor]) -> "Recall":
        """Inverse of `as_tensors`."""
        shape = (len(tensors["alpha"]), len(grams))
        return cls(grams, sparse(tensors["places"], tensors["values"], shape), tensors["alpha"])
