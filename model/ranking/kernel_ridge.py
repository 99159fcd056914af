"""Labels by similarity to the training posts: kernel ridge regression on TF-IDF vectors, solved in closed form.

X are the TF-IDF rows of the training posts, Y their labels as ones, and K = X X^T. The scores of a text x are

    x X^T alpha,  alpha = (K + penalty I)^-1 Y

Pictures may be compared too: K then is X X^T + V V^T, where V are vectors of pictures (`PictureVectors`).

A training post is most similar to itself. Its scores for further training must therefore be leave-one-out scores. They
need no second solution: without post i, the scores of post i are y_i - alpha_i / ((K + penalty I)^-1)_ii.

Axes: n training posts, p posts, f terms, v numbers of a picture, l labels, t further targets.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from m3h.model.ranking.tfidf import TfidfVectorizer, sparse_matrix

BLOCK = 64
"""Texts that are compared with all training posts in one matrix product."""


class KernelRidge:
    """A fitted regression.

    row_nf: sparse TF-IDF rows of the training posts. alpha_nl: their dual coefficients. vector_nv: vectors of their
    pictures, of no width where these are not compared.
    """

    def __init__(
        self, vectorizer: TfidfVectorizer, row_nf: Tensor, alpha_nl: Tensor, vector_nv: Tensor | None = None
    ) -> None:
        self.vectorizer, self.row_nf, self.alpha_nl = vectorizer, row_nf, alpha_nl
        self.vector_nv = torch.zeros(len(row_nf), 0) if vector_nv is None else vector_nv

    @classmethod
    def fit(
        cls,
        sources: Sequence[Sequence[str]],
        labels: Sequence[Sequence[int]],
        n_labels: int,
        *,
        penalty: float,
        kinds: Sequence[str],
        vector_nv: Tensor | None = None,
        target_nt: Tensor | None = None,
    ) -> tuple["KernelRidge", Tensor]:
        """The fitted regression, and (n, l + t) the leave-one-out scores of the training posts.

        Time grows with the cube of the number of posts, memory with its square.

        Args:
            sources: the tokens of each training post.
            labels: label ids of each post, below `n_labels`. Id 0, `<unk>`, is ignored.
            n_labels: size of the label vocabulary.
            penalty: the ridge penalty, above zero.
            kinds: kinds of terms, names in `tfidf.TERM_KINDS`.
            vector_nv: (n, v) vectors of the posts' pictures, or None.
            target_nt: (n, t) further numbers of each post to be predicted after its labels, or None.
        """
        vectorizer = TfidfVectorizer.fit(sources, kinds)
        ridge = cls(vectorizer, vectorizer.transform(sources), torch.empty(0), vector_nv)
        factor_nn = ridge.similarity(sources, ridge.vector_nv)
        factor_nn.diagonal().add_(penalty)
        factor_nn = torch.linalg.cholesky(factor_nn)  # under the same name, so that no third matrix is held
        inverse_nn = torch.cholesky_inverse(factor_nn)
        del factor_nn
        y_nl = torch.zeros(len(sources), n_labels)
        for row, ids in enumerate(labels):
            y_nl[row, [i for i in ids if i]] = 1.0
        if target_nt is not None:
            y_nl = torch.cat([y_nl, target_nt], 1)
        ridge.alpha_nl = inverse_nn @ y_nl
        return ridge, y_nl.addcdiv_(ridge.alpha_nl, inverse_nn.diagonal()[:, None], value=-1)

    def similarity(self, sources: Sequence[Sequence[str]], vector_pv: Tensor | None = None) -> Tensor:
        """(p, n) similarity of every post to every training post: the cosine of texts, and the products of `vector_pv`.

        Args:
            sources: the tokens of each post.
            vector_pv: (p, v) vectors of their pictures; None for posts without pictures.
        """
        blocks = [sources[start : start + BLOCK] for start in range(0, len(sources), BLOCK)]
        rows = [(self.row_nf @ self.vectorizer.transform(block).to_dense().mT).mT for block in blocks]
        similarity_pn = torch.cat(rows) if rows else torch.zeros(0, len(self.row_nf))
        if vector_pv is not None and self.vector_nv.size(1):
            similarity_pn.addmm_(vector_pv, self.vector_nv.mT)
        return similarity_pn

    def scores(self, sources: Sequence[Sequence[str]], vector_pv: Tensor | None = None) -> Tensor:
        """(p, l + t) label scores, and further targets, of posts that are not training posts, as in `similarity`."""
        return self.similarity(sources, vector_pv) @ self.alpha_nl

    def as_tensors(self) -> dict[str, Tensor]:
        """Everything but the vectorizer."""
        tensors = {"indices": self.row_nf.indices(), "values": self.row_nf.values(), "alpha": self.alpha_nl}
        return {**tensors, **({"pictures": self.vector_nv} if self.vector_nv.size(1) else {})}

    @classmethod
    def from_tensors(cls, vectorizer: TfidfVectorizer, tensors: Mapping[str, Tensor]) -> "KernelRidge":
        """Inverse of `as_tensors`."""
        shape = (len(tensors["alpha"]), len(vectorizer))
        row_nf = sparse_matrix(tensors["indices"], tensors["values"], shape)
        return cls(vectorizer, row_nf, tensors["alpha"], tensors.get("pictures"))
