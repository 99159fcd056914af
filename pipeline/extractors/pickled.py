"""Arrays out of a pickle, and nothing else: whatever would call anything but numpy's or torch's rebuilding is refused.

What is rebuilt takes no more memory than the file is long, since every number lies in it, and no more time, since only
names and numbers are keys. So the reader is the one that pickle has in Python: to the one in C nine bytes may say that
it shall reserve gigabytes.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from schemas.errors import UsageError

MAX_BYTES = 4 << 30
"""A larger pickle is none of the published ones, which have 260 MB."""


def read_pickle(path: Path) -> Any:
    """Dictionaries, lists, numbers, text, numpy arrays and torch tensors. UsageError for any other content."""
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"weights {path}: expected a pickle of at most {MAX_BYTES:,} bytes. Is it the file you meant?")
    try:
        return _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()  # Python 2 wrote some of them
    except Exception as error:  # a damaged pickle may raise anything, says Python's documentation
        raise UsageError(f"weights {path}: not readable as a pickle of arrays: {error}.") from error


class _Named(dict[Any, Any]):
    """A dictionary of names: a key of nested tuples would take ages to hash."""

    def __setitem__(self, name: Any, value: Any) -> None:
        if type(name) not in (str, int):
            raise pickle.UnpicklingError(f"expected names of arrays, found a {type(name).__name__} in place of one")
        super().__setitem__(name, value)


def _named(pairs: Iterable[Sequence[Any]] = ()) -> _Named:
    found = _Named()
    for name, value in pairs:
        found[name] = value
    return found


_PythonUnpickler: Any = pickle._Unpickler
_SETS = {code[0] for code in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET)}


class _ArraysOnly(_PythonUnpickler):
    dispatch: ClassVar[dict[int, Any]] = {c: load for c, load in _PythonUnpickler.dispatch.items() if c not in _SETS}

    def _load_empty_dict(self) -> None:
        self.append(_Named())

    def _load_dict(self) -> None:
        items = self.pop_mark()
        self.append(_named(zip(items[::2], items[1::2], strict=True)))

    def _load_bytearray(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.EMPTY_DICT[0]] = _load_empty_dict
    dispatch[pickle.DICT[0]] = _load_dict
    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray

    def find_class(self, module: str, name: str) -> Any:
        found = _allowed().get((module, name))
        if found is None:
            raise pickle.UnpicklingError(
                f"expected arrays alone, found {module}.{name}, which would run code. Nothing was run; do not load "
                "this file elsewhere either, unless you trust where it is from"
            )
        return found


def _allowed() -> Mapping[tuple[str, str], Any]:
    import numpy as np

    numpy_modules = ("numpy.core", "numpy._core")
    return {
        ("collections", "OrderedDict"): _named,
        ("numpy", "ndarray"): "only ever handed to _reconstruct, which does without",
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _bytes,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch.storage", "_load_from_bytes"): _storage,
        **{(f"{module}.multiarray", "_reconstruct"): _empty_array for module in numpy_modules},
        **{(f"{module}.multiarray", "scalar"): _scalar for module in numpy_modules},
        **{(f"{module}.numeric", "_frombuffer"): _array for module in numpy_modules},
    }


def _bytes(text: str, encoding: str) -> bytes:
    """How old pickles write bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"expected bytes as latin1, found {encoding}")
    return text.encode("latin1")


def _empty_array(kind: Any, shape: Any, code: Any) -> Any:
    """numpy's own would reserve whatever memory `shape` asks for; the values come later and bring their size."""
    import numpy as np

    return np.ndarray((0,), np.int8)


def _scalar(dtype: Any, data: Any = b"") -> Any:
    import numpy as np

    return np.frombuffer(data, _plain(dtype), count=1)[0]


def _array(data: Any, dtype: Any, shape: Any, order: str) -> Any:
    import numpy as np

    return np.frombuffer(data, _plain(dtype)).reshape(shape, order=order)  # type: ignore[call-overload]


def _plain(dtype: Any) -> Any:
    if dtype.hasobject:
        raise pickle.UnpicklingError("expected numbers, found an array of objects")
    return dtype


def refuse_packed(file: Path | io.BytesIO) -> None:
    """UnpicklingError for a zip with packed members: torch packs none, and packed ones may become any size."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as whole:
            if any(member.compress_type != zipfile.ZIP_STORED for member in whole.infolist()):
                raise pickle.UnpicklingError("expected numbers as they are, found them packed")


def _storage(data: bytes) -> Any:
    import torch

    refuse_packed(io.BytesIO(data))
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_unused: Any) -> Any:
    import torch

    numbers, dtype = storage._untyped_storage, storage.dtype
    held = numbers.nbytes() // dtype.itemsize
    needed = 0 if 0 in size else 1 + offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or needed > held:  # torch would make the storage larger
        raise pickle.UnpicklingError(f"a tensor of {tuple(size)} needs {needed} numbers and brings {held}")
    return torch.empty(0, dtype=dtype).set_(numbers, offset, tuple(size), tuple(stride))
