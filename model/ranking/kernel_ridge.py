"""Labels by similarity to the training posts: kernel ridge regression on TF-IDF vectors, solved in closed form.

X are the TF-IDF rows of the training posts, Y their labels as ones, and K = X X^T. The scores of a text x are

    x X^T alpha,  alpha = (K + penalty I)^-1 Y

Pictures may be compared too: K then is X X^T + V V^T, where V are vectors of pictures (`PictureVectors`).

A training post is most similar to itself. Its scores for further training must therefore be leave-one-out scores. They
need no second solution: without post i, the scores of post i are y_i - alpha_i / ((K + penalty I)^-1)_ii.

Of a few thousand posts K and its inverse are held (`dense`), of more only a factor of K in tiles (`tiled`). Both give
leave-one-out scores in closed form.

Axes: n training posts, p posts, f terms, v numbers of a picture, l labels, t further targets.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from m3h.model.ranking.tfidf import TfidfVectorizer, rows_of, sparse_matrix
from m3h.model.ranking.tiled_cholesky import TiledCholesky

TILE = 1024
"""Rows of a tile, see `TiledCholesky`."""
BLOCK = 64
"""Texts that are compared with all training posts in one matrix product."""
TILED_FROM = 10_000
"""Training posts from which on `auto` is `tiled`: the two dense matrices of as many take 0.8 GB."""


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
        solver: str = "auto",
    ) -> tuple["KernelRidge", "LeaveOneOut"]:
        """The fitted regression, and the leave-one-out scores of the training posts.

        Time grows with the cube of the number of posts. `dense` holds 8 n^2 bytes, `tiled` n^2 in a temporary file.

        Raises UsageError: the penalty is too small for `tiled`. Raises MachineError: no room for its file.

        Args:
            sources: the tokens of each training post.
            labels: label ids of each post, below `n_labels`. Id 0, `<unk>`, is ignored.
            n_labels: size of the label vocabulary.
            penalty: the ridge penalty, above zero.
            kinds: kinds of terms, names in `tfidf.TERM_KINDS`.
            vector_nv: (n, v) vectors of the posts' pictures, or None.
            target_nt: (n, t) further numbers of each post to be predicted after its labels, or None.
            solver: `dense`; `tiled`, whose scores differ by what half precision of the factor costs (about 0.001 of
                the largest); `auto` for `tiled` from TILED_FROM posts on.
        """
        vectorizer = TfidfVectorizer.fit(sources, kinds)
        ridge = cls(vectorizer, vectorizer.transform(sources), torch.empty(0), vector_nv)
        further_nt = torch.zeros(len(sources), 0) if target_nt is None else target_nt
        targets = partial(_targets, labels, n_labels, further_nt)
        tiled = solver == "tiled" or (solver == "auto" and len(sources) >= TILED_FROM)
        ridge.alpha_nl, diagonal_n = (ridge._solve_tiled if tiled else ridge._solve_dense)(targets, penalty)
        return ridge, LeaveOneOut(ridge.alpha_nl, diagonal_n, labels, n_labels, further_nt)

    def _solve_dense(self, targets: Callable[[], Tensor], penalty: float) -> tuple[Tensor, Tensor]:
        """(n, l + t) alpha, and (n,) the diagonal of the inverse. targets: gives (n, l + t), once it is needed."""
        factor_nn = self.training_similarity(slice(0, len(self.row_nf)))
        factor_nn.diagonal().add_(penalty)
        factor_nn = torch.linalg.cholesky(factor_nn)  # under the same name, so that no third matrix is held
        inverse_nn = torch.cholesky_inverse(factor_nn)
        return inverse_nn @ targets(), inverse_nn.diagonal().clone()

    def _solve_tiled(self, targets: Callable[[], Tensor], penalty: float) -> tuple[Tensor, Tensor]:
        """The same, where alpha takes the place of the targets."""
        n = len(self.row_nf)
        with tempfile.TemporaryFile(prefix="m3h-") as file:
            factor = TiledCholesky.of(lambda columns: self._strip(columns, penalty), n, tile=TILE, file=file)
            diagonal_n = factor.inverse_diagonal()
            return factor.solve_(targets()), diagonal_n

    def _strip(self, columns: slice, penalty: float) -> Tensor:
        """(s, b) these columns of K + penalty I, from the diagonal down."""
        n = len(self.row_nf)
        below = rows_of(self.row_nf, slice(columns.start, n))
        strip_sb = torch.empty(n - columns.start, columns.stop - columns.start)
        for begin in range(columns.start, columns.stop, BLOCK):
            block = slice(begin, min(begin + BLOCK, columns.stop))
            place = slice(block.start - columns.start, block.stop - columns.start)
            strip_sb[:, place] = below @ _dense_columns(rows_of(self.row_nf, block))
        strip_sb.addmm_(self.vector_nv[columns.start :], self.vector_nv[columns].mT)
        strip_sb.diagonal().add_(penalty)
        return strip_sb

    def similarity(self, sources: Sequence[Sequence[str]], vector_pv: Tensor | None = None) -> Tensor:
        """(p, n) similarity of every post to every training post: the cosine of texts, and the products of `vector_pv`.

        Args:
            sources: the tokens of each post.
            vector_pv: (p, v) vectors of their pictures; None for posts without pictures.
        """
        blocks = [sources[start : start + BLOCK] for start in range(0, len(sources), BLOCK)]
        return self._similarity([self.vectorizer.transform(block) for block in blocks], vector_pv)

    def training_similarity(self, part: slice) -> Tensor:
        """(p, n) similarity of some training posts to every training post."""
        starts = range(part.start, min(part.stop, len(self.row_nf)), BLOCK)
        blocks = (slice(start, min(start + BLOCK, part.stop, len(self.row_nf))) for start in starts)
        return self._similarity([rows_of(self.row_nf, block) for block in blocks], self.vector_nv[part])

    def _similarity(self, blocks: Sequence[Tensor], vector_pv: Tensor | None) -> Tensor:
        """(p, n) similarity. blocks: sparse rows, BLOCK at a time: a block is dense while it is compared."""
        rows = [(self.row_nf @ _dense_columns(row_bf)).mT for row_bf in blocks]
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


@dataclass(frozen=True)
class LeaveOneOut:
    """Scores of training posts by the other ones: y_i - alpha_i / ((K + penalty I)^-1)_ii.

    They are computed for some posts at a time: of 43,000 posts and 4,262 labels all take 0.7 GB. alpha_nl: of the
    regression. diagonal_n: of the inverse. labels, n_labels, further_nt: what was to be predicted.
    """

    alpha_nl: Tensor
    diagonal_n: Tensor
    labels: Sequence[Sequence[int]]
    n_labels: int
    further_nt: Tensor

    def __getitem__(self, part: slice) -> Tensor:
        """(p, l + t) the scores of some posts."""
        y_pl = _targets(self.labels[part], self.n_labels, self.further_nt[part])
        return y_pl.addcdiv_(self.alpha_nl[part], self.diagonal_n[part, None], value=-1)


def _targets(labels: Sequence[Sequence[int]], n_labels: int, further_nt: Tensor) -> Tensor:
    """(n, l + t) the labels of each post as ones, but `<unk>`, and its further numbers."""
    y_nl = torch.zeros(len(labels), n_labels + further_nt.size(1))
    for row, ids in enumerate(labels):
        y_nl[row, [i for i in ids if i]] = 1.0
    y_nl[:, n_labels:] = further_nt
    return y_nl


def _dense_columns(row_bf: Tensor) -> Tensor:
    """(f, b) dense: a sparse row each column. A product reads the numbers of a term as neighbours in memory."""
    return row_bf.t().to_dense()
