"""Rows of different lengths in one array."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths in one array. Row i is values[offsets[i]:offsets[i + 1]]."""

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]]) -> "Ragged":
        """From a list of rows."""
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        values = np.fromiter((value for row in rows for value in row), np.int64, lengths.sum())
        return cls(values, np.concatenate([[0], lengths.cumsum()]))

    def concat(self, other: "Ragged") -> "Ragged":
        """These rows, followed by the rows of `other`."""
        values = np.concatenate([self.values, other.values])
        return Ragged(values, np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]]))

    def lengths(self) -> np.ndarray:
        """The length of every row."""
        lengths: np.ndarray = np.diff(self.offsets)
        return lengths

    def padded(self, rows_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(B, L) values, 0 where a row is shorter, and (B, L) bool, True = real. L is at least 1."""
        index_bl, mask_bl = self._indices(rows_b)
        out_bl = np.zeros(mask_bl.shape, np.int64)
        out_bl[mask_bl] = self.values[index_bl[mask_bl]]
        return out_bl, mask_bl

    def value_indices(self, rows_b: np.ndarray) -> np.ndarray:
        """Indices into `values` of all values of these rows, row after row."""
        index_bl, mask_bl = self._indices(rows_b)
        indices: np.ndarray = index_bl[mask_bl]
        return indices

    def _indices(self, rows_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starts_b, lengths_b = self.offsets[rows_b], self.offsets[rows_b + 1] - self.offsets[rows_b]
        column_l = np.arange(max(1, lengths_b.max(initial=0)))
        return starts_b[:, None] + column_l, column_l < lengths_b[:, None]
