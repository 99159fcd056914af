"""What stands for numpy's functions and classes while a file of weights is read: numbers and arrays, nothing else.

torch's weights-only reader knows no numbers of numpy, so a checkpoint that kept `best_ap` as one is refused as a whole.
numpy's own functions would reserve the memory that a file asks for, and let its types overlap.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

_PLAIN = re.compile(r"[biufcSUO]\d*")
"""Types as pickles name them: a kind and a size. Records, times and types of our own are not plain."""


class NumberType:
    """In place of numpy.dtype: a plain type."""

    def __init__(self, code: object, *_align_and_copy: object) -> None:
        if not isinstance(code, str) or not _PLAIN.fullmatch(code):
            raise ValueError(f"expected numbers, found the type {str(code)[:20]!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Sequence[Any]) -> None:
        """Set the byte order. state: version, byte order, then what only other types have."""
        _version, order, *rest = state
        if order not in ("<", ">", "|", "=") or any(part is not None for part in rest[:3]):
            raise ValueError("expected numbers, found a type made of others")
        self.dtype = self.dtype.newbyteorder(order)


class Array(np.ndarray):
    """In place of numpy.ndarray: it is empty until its values come, with their own size."""

    def __new__(cls, *_shape: object) -> "Array":
        """Make an empty array, whatever shape is asked for."""
        return super().__new__(cls, (0,), np.int8)

    def __setstate__(self, state: Any) -> None:
        """Take the values. state: version, shape, type, order, bytes; a list in place of bytes for objects."""
        version, shape, number_type, fortran, values = state
        super().__setstate__((version, shape, number_type.dtype, fortran, values))


def _empty(*_arguments: object) -> Array:
    return Array()


def _number(number_type: NumberType, data: bytes = b"") -> object:
    return np.frombuffer(data, _numbers(number_type), count=1)[0]


def _array(data: bytes, number_type: NumberType, shape: Sequence[int], order: Literal["C", "F"]) -> np.ndarray:
    return np.frombuffer(data, _numbers(number_type)).reshape(shape, order=order)


def _numbers(number_type: NumberType) -> np.dtype:
    if number_type.dtype.hasobject:
        raise ValueError("expected numbers, found an array of objects")
    return number_type.dtype


_MODULES = ("numpy.core", "numpy._core")
REPLACEMENTS: Mapping[tuple[str, str], Any] = {
    ("numpy", "dtype"): NumberType,
    ("numpy", "ndarray"): Array,
    **{(f"{module}.multiarray", "_reconstruct"): _empty for module in _MODULES},
    **{(f"{module}.multiarray", "scalar"): _number for module in _MODULES},
    **{(f"{module}.numeric", "_frombuffer"): _array for module in _MODULES},
}
"""By module and name of what a pickle asks for."""
