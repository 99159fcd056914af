"""Arrays that lie in several files and are read where they lie: whole features need not fit into memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np

LONG_ROW = 4096
"""Bytes from which on rows are copied one by one: an index of several rows copies each of them twice."""


class StackedArray:
    """Arrays of the same kind, one after the other along axis 0, none of which is copied as a whole.

    Args:
        parts: at least one. All have the same shape but for axis 0, and the same dtype.

    Raises:
        ValueError: the parts are of different shapes or dtypes.
    """

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        kinds = {(part.shape[1:], part.dtype) for part in parts}
        if len(kinds) != 1:
            raise ValueError(f"expected parts of one shape and dtype, found {sorted(map(str, kinds))}")
        self.parts = tuple(np.asarray(part) for part in parts)  # rows of a memmap are slower to get than plain ones
        self.ends = np.cumsum([len(part) for part in parts])
        self.dtype = parts[0].dtype
        self.shape = (int(self.ends[-1]), *parts[0].shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of all rows in bytes."""
        return sum(part.nbytes for part in self.parts)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, row: int | np.integer[Any]) -> np.ndarray:
        """One row, as a view. Negative rows count from the end."""
        place = int(row) + len(self) * (row < 0)
        if not 0 <= place < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        part = int(np.searchsorted(self.ends, place, side="right"))
        found: np.ndarray = self.parts[part][place - self.ends[part] + len(self.parts[part])]
        return found

    def take(self, row_n: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """(n, ...) a copy of these rows.

        Args:
            row_n: (n,) rows from 0.
            out: where the copy goes, of the shape and dtype of the result; None for a new array.

        Raises:
            IndexError: a row is not there.
        """
        if len(row_n) and not 0 <= row_n.min() <= row_n.max() < len(self):
            raise IndexError(f"rows {row_n.min()} to {row_n.max()} of {len(self)}")
        if out is None:
            out = np.empty((len(row_n), *self.shape[1:]), self.dtype)
        if len(self.parts) == 1:
            return np.take(self.parts[0], row_n, axis=0, out=out, mode="clip")  # "raise" would copy once more
        part_n = np.searchsorted(self.ends, row_n, side="right")
        place_n = row_n - np.concatenate([[0], self.ends])[part_n]
        if out[:1].nbytes >= LONG_ROW:
            for i, (part, place) in enumerate(zip(part_n.tolist(), place_n.tolist(), strict=True)):
                out[i] = self.parts[part][place]
            return out
        for part in np.unique(part_n):
            where = np.flatnonzero(part_n == part)
            out[where] = self.parts[part][place_n[where]]
        return out

    def with_axis(self) -> "StackedArray":
        """The same rows with an axis of length 1 after the first."""
        return StackedArray([part[:, None] for part in self.parts])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All rows in memory."""
        if copy is False:
            raise ValueError("rows in several files can only be copied into one array")
        whole = np.concatenate(self.parts)
        return whole if dtype is None else whole.astype(dtype, copy=False)
