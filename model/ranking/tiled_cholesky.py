"""Cholesky factor of a matrix too large to be held as a whole, as half-precision tiles of its lower triangle.

A kernel ridge regression of n posts needs the factor of an n x n matrix and no more: its inverse need not be held to
have the inverse's diagonal. Half precision and one triangle make n^2 bytes of it, where the matrix and its inverse in
single precision take 8 n^2. All products are in single precision; only the finished factor is rounded.

What is solved afterwards is solved for L L^T of the rounded factor L. So solutions and diagonal of the inverse belong
to the same matrix, and leave-one-out scores of the two are exact for that matrix.

Axes: n rows and columns of the matrix, b of a tile, s of a strip (a column of tiles from the diagonal down), t columns
to be solved for.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from m3h.schemas.errors import UsageError


class TiledCholesky:
    """L of a positive definite matrix A = L L^T.

    tiles: `tiles[i][j]`, j <= i, is a float16 tile of L; the ones of the diagonal are lower triangles.
    """

    def __init__(self, n: int, tile: int) -> None:
        """Room for a factor of n rows, in tiles of `tile` rows."""
        self.starts = [*range(0, n, tile), n]
        self.tiles: list[list[Tensor]] = [[] for _ in self.starts[:-1]]

    @classmethod
    def of(cls, strip: Callable[[slice], Tensor], n: int, tile: int) -> "TiledCholesky":
        """Factor a matrix that is computed column by column; n^3 / 3 products.

        Raises UsageError: it is not positive definite, but for rounding.

        Args:
            strip: some columns -> (s, b) float32, these columns from their first row on, that is from the diagonal on.
                It is overwritten.
            n: rows of the matrix.
            tile: rows of a tile.
        """
        factor = cls(n, tile)
        for j in range(len(factor.tiles)):
            columns = factor._rows(j)
            strip_sb = strip(columns)
            for k in range(j):
                right_bb = factor._tile(j, k).mT
                for i in range(j, len(factor.tiles)):
                    strip_sb[factor._rows(i, columns.start)].addmm_(factor._tile(i, k), right_bb, alpha=-1)
            for i in range(j, len(factor.tiles)):
                rest_bb = strip_sb[factor._rows(i, columns.start)]
                factor.tiles[i].append(_root(rest_bb) if i == j else factor._divided(rest_bb, j))
        return factor

    def solve_(self, y_nt: Tensor) -> Tensor:
        """(n, t) A^-1 Y, in place of `y_nt`; 2 n^2 t products."""
        for i in range(len(self.tiles)):
            for k in range(i):
                y_nt[self._rows(i)].addmm_(self._tile(i, k), y_nt[self._rows(k)], alpha=-1)
            self._divide_(y_nt[self._rows(i)], i)
        for i in reversed(range(len(self.tiles))):
            for k in range(i + 1, len(self.tiles)):
                y_nt[self._rows(i)].addmm_(self._tile(k, i).mT, y_nt[self._rows(k)], alpha=-1)
            self._divide_(y_nt[self._rows(i)], i, transposed=True)
        return y_nt

    def inverse_diagonal(self) -> Tensor:
        """(n,) the diagonal of A^-1: the squared lengths of the columns of L^-1; n^3 / 3 products."""
        return torch.cat([self._inverse_strip(j).square_().sum(0) for j in range(len(self.tiles))])

    def _inverse_strip(self, j: int) -> Tensor:
        """(s, b) the columns of tile j of L^-1 from the diagonal down."""
        begin, width = self.starts[j], self.starts[j + 1] - self.starts[j]
        strip_sb = torch.zeros(self.starts[-1] - begin, width)
        strip_sb[:width].fill_diagonal_(1.0)
        for i in range(j, len(self.tiles)):
            found_bb = strip_sb[self._rows(i, begin)]
            for k in range(j, i):
                found_bb.addmm_(self._tile(i, k), strip_sb[self._rows(k, begin)], alpha=-1)
            self._divide_(found_bb, i)
        return strip_sb

    def _rows(self, i: int, begin: int = 0) -> slice:
        """The rows of tile i, counted from row `begin`."""
        return slice(self.starts[i] - begin, self.starts[i + 1] - begin)

    def _tile(self, i: int, j: int) -> Tensor:
        return self.tiles[i][j].float()

    def _divided(self, rest_bb: Tensor, j: int) -> Tensor:
        """The tile below the diagonal: what is left of A, divided by the rounded tile of the diagonal."""
        right = torch.linalg.solve_triangular(self._tile(j, j).mT, rest_bb, upper=True, left=False)
        return right.half()

    def _divide_(self, y_bt: Tensor, i: int, *, transposed: bool = False) -> None:
        lower_bb = self._tile(i, i)
        y_bt.copy_(torch.linalg.solve_triangular(lower_bb.mT if transposed else lower_bb, y_bt, upper=transposed))


def _root(rest_bb: Tensor) -> Tensor:
    """The tile of the diagonal."""
    lower_bb, fault = torch.linalg.cholesky_ex(rest_bb)
    if fault:
        raise UsageError(
            "ridge_penalty is too small: in half precision the kernel matrix is singular. Give a larger one, such as "
            "0.3, or ridge_solver=dense."
        )
    return lower_bb.half()
