"""Cholesky factor of a matrix too large to be held, as half-precision tiles of its lower triangle in a temporary file.

A kernel ridge regression of n posts needs the factor of an n x n matrix and no more: its inverse need not be held to
have the inverse's diagonal. Half precision and one triangle make n^2 bytes of it, where the matrix and its inverse in
single precision take 8 n^2. Memory has a column of tiles at a time. All products are in single precision; only the
finished factor is rounded.

What is solved afterwards is solved for L L^T of the rounded factor L. So solutions and diagonal of the inverse belong
to the same matrix, and leave-one-out scores of the two are exact for that matrix.

Axes: n rows and columns of the matrix, b of a tile, s of a strip (a column of tiles from the diagonal down), t columns
to be solved for.
"""

import os
import tempfile
from collections.abc import Callable
from typing import IO

import torch
from torch import Tensor

from m3h.schemas.errors import MachineError, UsageError


class TiledCholesky:
    """L of a positive definite matrix A = L L^T.

    file: an open temporary file, where its tiles lie.
    """

    def __init__(self, n: int, tile: int, file: IO[bytes]) -> None:
        """Room for a factor of n rows, in tiles of `tile` rows."""
        self.starts = [*range(0, n, tile), n]
        self.number = len(self.starts) - 1
        self._tile_bytes, self._file = tile * tile * torch.half.itemsize, file

    @classmethod
    def of(cls, strip: Callable[[slice], Tensor], n: int, *, tile: int, file: IO[bytes]) -> "TiledCholesky":
        """Factor a matrix that is computed column by column; n^3 / 3 products.

        Raises UsageError: it is not positive definite, but for rounding. Raises MachineError: the file cannot be
        written.

        Args:
            strip: some columns -> (s, b) float32, these columns from their first row on, that is from the diagonal on.
                It is overwritten.
            n: rows of the matrix.
            tile: rows of a tile.
            file: an open temporary file.
        """
        factor = cls(n, tile, file)
        for j in range(factor.number):
            columns = factor._rows(j)
            strip_sb = strip(columns)
            for k in range(j):
                right_bb = factor._tile(j, k).mT
                for i in range(j, factor.number):
                    strip_sb[factor._rows(i, columns.start)].addmm_(factor._tile(i, k), right_bb, alpha=-1)
            for i in range(j, factor.number):
                rest_bb = strip_sb[factor._rows(i, columns.start)]
                factor._keep(i, j, _root(rest_bb) if i == j else factor._divided(rest_bb, j))
        return factor

    def solve_(self, y_nt: Tensor) -> Tensor:
        """(n, t) A^-1 Y, in place of `y_nt`; 2 n^2 t products."""
        for i in range(self.number):
            for k in range(i):
                y_nt[self._rows(i)].addmm_(self._tile(i, k), y_nt[self._rows(k)], alpha=-1)
            self._divide_(y_nt[self._rows(i)], i)
        for i in reversed(range(self.number)):
            for k in range(i + 1, self.number):
                y_nt[self._rows(i)].addmm_(self._tile(k, i).mT, y_nt[self._rows(k)], alpha=-1)
            self._divide_(y_nt[self._rows(i)], i, transposed=True)
        return y_nt

    def inverse_diagonal(self) -> Tensor:
        """(n,) the diagonal of A^-1: the squared lengths of the columns of L^-1; n^3 / 3 products."""
        return torch.cat([self._inverse_strip(j).square_().sum(0) for j in range(self.number)])

    def _inverse_strip(self, j: int) -> Tensor:
        """(s, b) the columns of tile j of L^-1 from the diagonal down."""
        begin, width = self.starts[j], self.starts[j + 1] - self.starts[j]
        strip_sb = torch.zeros(self.starts[-1] - begin, width)
        strip_sb[:width].fill_diagonal_(1.0)
        for i in range(j, self.number):
            found_bb = strip_sb[self._rows(i, begin)]
            for k in range(j, i):
                found_bb.addmm_(self._tile(i, k), strip_sb[self._rows(k, begin)], alpha=-1)
            self._divide_(found_bb, i)
        return strip_sb

    def _rows(self, i: int, begin: int = 0) -> slice:
        """The rows of tile i, counted from row `begin`."""
        return slice(self.starts[i] - begin, self.starts[i + 1] - begin)

    def _keep(self, i: int, j: int, tile_bb: Tensor) -> None:
        """Write a tile of L, j <= i."""
        try:
            os.pwrite(self._file.fileno(), tile_bb.contiguous().numpy().tobytes(), self._place(i, j))
        except OSError as error:
            raise MachineError(
                f"{tempfile.gettempdir()}: {error.strerror}. The factor of {self.starts[-1]:,} posts takes "
                f"{self._place(self.number, 0) / 1e9:.1f} GB there: make room, or set TMPDIR to another folder."
            ) from error

    def _tile(self, i: int, j: int) -> Tensor:
        """A tile of L in single precision."""
        shape = (self.starts[i + 1] - self.starts[i], self.starts[j + 1] - self.starts[j])
        wanted = shape[0] * shape[1] * torch.half.itemsize
        found = bytearray(os.pread(self._file.fileno(), wanted, self._place(i, j)))
        if len(found) != wanted:
            raise MachineError(f"{tempfile.gettempdir()}: a temporary file has lost its end. Run the command again.")
        return torch.frombuffer(found, dtype=torch.half).view(shape).float()

    def _place(self, i: int, j: int) -> int:
        """Where a tile begins in the file: the tiles of row 0, then those of row 1, and so on."""
        return (i * (i + 1) // 2 + j) * self._tile_bytes

    def _divided(self, rest_bb: Tensor, j: int) -> Tensor:
        """The tile below the diagonal: what is left of A, divided by the rounded tile of the diagonal."""
        found_bb: Tensor = torch.linalg.solve_triangular(self._tile(j, j).mT, rest_bb, upper=True, left=False)
        return found_bb.half()

    def _divide_(self, y_bt: Tensor, i: int, *, transposed: bool = False) -> None:
        lower_bb = self._tile(i, i)
        y_bt.copy_(torch.linalg.solve_triangular(lower_bb.mT if transposed else lower_bb, y_bt, upper=transposed))


def _root(rest_bb: Tensor) -> Tensor:
    """The tile of the diagonal."""
    lower_bb: Tensor
    lower_bb, fault = torch.linalg.cholesky_ex(rest_bb)
    if fault:
        raise UsageError(
            "ridge_penalty is too small: in half precision the kernel matrix is singular. Give a larger one, such as "
            "0.3, or ridge_solver=dense."
        )
    return lower_bb.half()
