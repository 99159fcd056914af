"""Reads a pickle of arrays. Anything in the pickle that would call other code is refused.

The arrays take no more memory than the file is long, because the file contains every number. Reading takes no more time
than the length of the file, because only names and numbers may be keys. The reader is pickle's Python implementation:
in the C implementation, nine bytes of a file can make it reserve gigabytes.
torch's weights-only reader does not help: it reads torch's files, not plain pickles.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from m3h.pipeline.extractors.file_kinds import PICKLE, TEXT, refuse_other_kinds
from m3h.schemas.console import one_line
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import torch

MAX_BYTES = 4 << 30
"""Largest pickle that is read. The published ones have 260 MB."""


def read_pickle(path: Path) -> object:
    """The dictionaries, lists, numbers, texts, numpy arrays and torch tensors of a pickle. UsageError for others."""
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"weights {path}: expected a pickle of at most {MAX_BYTES:,} bytes. Is it the file you meant?")
    refuse_other_kinds(path, "a pickle of arrays", PICKLE, TEXT)  # the oldest pickles are text
    try:
        return _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()  # Python 2 wrote some of them
    except Exception as error:  # by Python's documentation, a damaged pickle may raise any error
        reason = one_line(str(error))[:300]
        raise UsageError(f"weights {path}: not readable as a pickle of arrays: {reason}.") from error


class _NameDict(dict[object, object]):
    """A dictionary whose keys are names or numbers. A key of nested tuples could take very long to hash."""

    def __setitem__(self, name: object, value: object) -> None:
        if type(name) not in (str, int):
            raise pickle.UnpicklingError(f"expected names of arrays, found a {type(name).__name__} in place of one")
        super().__setitem__(name, value)


def _name_dict(pairs: Iterable[Sequence[object]] = ()) -> _NameDict:
    result = _NameDict()
    for name, value in pairs:
        result[name] = value
    return result


_PythonUnpickler: Any = pickle._Unpickler
_SETS = {code[0] for code in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET)}


class _ArraysOnly(_PythonUnpickler):
    """Unpickles arrays. Sets are refused, and dictionaries become _NameDict."""

    dispatch: ClassVar[dict[int, Any]] = {c: load for c, load in _PythonUnpickler.dispatch.items() if c not in _SETS}

    def _load_empty_dict(self) -> None:
        self.append(_NameDict())

    def _load_dict(self) -> None:
        items = self.pop_mark()
        self.append(_name_dict(zip(items[::2], items[1::2], strict=True)))

    def _load_bytearray(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.EMPTY_DICT[0]] = _load_empty_dict
    dispatch[pickle.DICT[0]] = _load_dict
    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray

    def find_class(self, module: str, name: str) -> object:
        allowed = _allowed().get((module, name))
        if allowed is None:
            raise pickle.UnpicklingError(
                f"expected only arrays, found {module}.{name}, which would run code. Nothing was run; do not load "
                "this file elsewhere either, unless you trust its source"
            )
        return allowed


def _allowed() -> Mapping[tuple[str, str], object]:
    """What takes the place of each function or class that a pickle of arrays names.

    The unpickler calls these replacements with positional arguments.
    """
    from m3h.pipeline.extractors.numpy_pickles import REPLACEMENTS

    return {
        ("collections", "OrderedDict"): _name_dict,
        ("_codecs", "encode"): _bytes,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch.storage", "_load_from_bytes"): _storage,
        **REPLACEMENTS,
    }


def _bytes(text: str, encoding: str) -> bytes:
    """The bytes that an old pickle stores as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"expected bytes as latin1, found {encoding}")
    return text.encode("latin1")


def refuse_compressed(file: Path | io.BytesIO) -> None:
    """UnpicklingError for a zip with compressed members. torch compresses none, and they could become very large."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise pickle.UnpicklingError("expected uncompressed numbers, found compressed ones")


def _storage(data: bytes) -> object:
    import torch

    refuse_compressed(io.BytesIO(data))
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _tensor(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_unused: object) -> "torch.Tensor":
    import torch

    numbers, dtype = storage._untyped_storage, storage.dtype
    available = numbers.nbytes() // dtype.itemsize
    needed = 0 if 0 in size else 1 + offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or needed > available:  # torch would make the storage larger
        raise pickle.UnpicklingError(f"a tensor of {tuple(size)} needs {needed} numbers, the file has {available}")
    return torch.empty(0, dtype=dtype).set_(numbers, offset, tuple(size), tuple(stride))
