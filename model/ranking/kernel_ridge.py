"""Labels by similarity to the training posts: kernel ridge regression on TF-IDF vectors, solved in closed form.

X are the TF-IDF rows of the training posts, Y their labels as ones, and K = X X^T. The scores of a text x are

    x X^T alpha,  alpha = (K + penalty I)^-1 Y

A training post is most similar to itself. Its scores for further training must therefore be leave-one-out scores. They
need no second solution: without post i, the scores of post i are y_i - alpha_i / ((K + penalty I)^-1)_ii.

Axes: n training posts, p posts, f terms, l labels.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from m3h.model.ranking.tfidf import TfidfVectorizer, sparse_matrix

BLOCK = 64
"""Texts that are compared with all training posts in one matrix product."""


class KernelRidge:
    """A fitted regression. row_nf: sparse TF-IDF rows of the training posts. alpha_nl: their dual coefficients."""

    def __init__(self, vectorizer: TfidfVectorizer, row_nf: Tensor, alpha_nl: Tensor) -> None:
        self.vectorizer, self.row_nf, self.alpha_nl = vectorizer, row_nf, alpha_nl

    @classmethod
    def fit(
        cls,
        sources: Sequence[Sequence[str]],
        labels: Sequence[Sequence[int]],
        n_labels: int,
        *,
        penalty: float,
        kinds: Sequence[str],
    ) -> tuple["KernelRidge", Tensor]:
        """The fitted regression, and (n, l) the leave-one-out scores of the training posts.

        Time grows with the cube of the number of posts, memory with its square.

        Args:
            sources: the tokens of each training post.
            labels: label ids of each post, below `n_labels`. Id 0, `<unk>`, is ignored.
            n_labels: size of the label vocabulary.
            penalty: the ridge penalty, above zero.
            kinds: kinds of terms, names in `tfidf.TERM_KINDS`.
        """
        vectorizer = TfidfVectorizer.fit(sources, kinds)
        ridge = cls(vectorizer, vectorizer.transform(sources), torch.empty(0))
        factor_nn = ridge.similarity(sources)
        factor_nn.diagonal().add_(penalty)
        factor_nn = torch.linalg.cholesky(factor_nn)  # under the same name, so that no third matrix is held
        inverse_nn = torch.cholesky_inverse(factor_nn)
        del factor_nn
        y_nl = torch.zeros(len(sources), n_labels)
        for row, ids in enumerate(labels):
            y_nl[row, [i for i in ids if i]] = 1.0
        ridge.alpha_nl = inverse_nn @ y_nl
        return ridge, y_nl.addcdiv_(ridge.alpha_nl, inverse_nn.diagonal()[:, None], value=-1)

    def similarity(self, sources: Sequence[Sequence[str]]) -> Tensor:
        """(p, n) cosine similarity of every text to every training post."""
        blocks = [sources[start : start + BLOCK] for start in range(0, len(sources), BLOCK)]
        rows = [(self.row_nf @ self.vectorizer.transform(block).to_dense().mT).mT for block in blocks]
        return torch.cat(rows) if rows else torch.zeros(0, len(self.row_nf))

    def scores(self, sources: Sequence[Sequence[str]]) -> Tensor:
        """(p, l) label scores of texts that are not training posts."""
        return self.similarity(sources) @ self.alpha_nl

    def as_tensors(self) -> dict[str, Tensor]:
        """Everything but the vectorizer."""
        return {"indices": self.row_nf.indices(), "values": self.row_nf.values(), "alpha": self.alpha_nl}

    @classmethod
    def from_tensors(cls, vectorizer: TfidfVectorizer, tensors: Mapping[str, Tensor]) -> "KernelRidge":
        """Inverse of `as_tensors`."""
        shape = (len(tensors["alpha"]), len(vectorizer))
        return cls(vectorizer, sparse_matrix(tensors["indices"], tensors["values"], shape), tensors["alpha"])
