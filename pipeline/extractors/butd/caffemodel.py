"""Reads the layers of a .caffemodel and their arrays. The file is a protobuf message `NetParameter` of Caffe (BVLC).

Only names and blobs are read, so Caffe is not needed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from m3h.pipeline.extractors.file_kinds import refuse_other_kinds
from m3h.schemas.errors import UsageError

Field = tuple[int, int | memoryview]
"""The number of a field, and its value: a varint or bytes."""

LAYER, NAME, BLOBS = 100, 1, 7
DATA, SHAPE, DIM, OLD_SHAPE = 5, 7, 1, (1, 2, 3, 4)
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def read_caffemodel(path: Path) -> dict[str, list[np.ndarray]]:
    """Each layer's blobs by its name, as `{name: [b.data for b in blobs] for name, blobs in net.params.items()}`."""
    refuse_other_kinds(path, "a .caffemodel")
    layers: dict[str, list[np.ndarray]] = {}
    try:
        for number, layer in _fields(memoryview(path.read_bytes())):
            if number != LAYER or isinstance(layer, int):
                continue
            name, blobs = "", []
            for inner, value in _fields(layer):
                if inner == NAME and not isinstance(value, int):
                    name = bytes(value).decode()
                elif inner == BLOBS and not isinstance(value, int):
                    blobs.append(_blob(value))
            if blobs:
                layers[name] = blobs
    except (IndexError, ValueError, OverflowError) as error:
        raise UsageError(f"weights {path}: not readable as a .caffemodel ({error}).") from error
    return layers


def _blob(message: memoryview) -> np.ndarray:
    data = np.zeros(0, np.float32)
    shape, old_shape = [], {}
    for number, value in _fields(message):
        if number == DATA and not isinstance(value, int):
            data = np.frombuffer(value, "<f4")
        elif number == SHAPE and not isinstance(value, int):
            shape = [n for inner, dims in _fields(value) if inner == DIM for n in _integers(dims)]
        elif number in OLD_SHAPE and isinstance(value, int):
            old_shape[number] = value
    return data.reshape(shape or [old_shape[i] for i in OLD_SHAPE if i in old_shape])


def _integers(packed: int | memoryview) -> list[int]:
    if isinstance(packed, int):
        return [packed]
    found, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        found.append(value)
    return found


def _fields(message: memoryview) -> Iterator[Field]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_EIGHT, _FOUR):
            length = 8 if kind == _EIGHT else 4
        else:
            raise ValueError(f"a field of wire type {kind} at byte {at}")
        if at + length > len(message):
            raise ValueError(f"a field of {length} bytes, {len(message) - at} are left")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError(f"a number of more than 64 bits at byte {at}")
