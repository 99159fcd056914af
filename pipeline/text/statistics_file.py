"""Word statistics as one file that every process maps: a hash table from keys to a count and a frequency.

Read as dictionaries they cost each process seconds and hundreds of megabytes. The file is made once, at first use, in
the user's cache; the pages that are looked at are the system's, shared by all who map it.
"""

import logging
import mmap
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from zlib import crc32

import numpy as np

from m3h.schemas.errors import MachineError
from m3h.schemas.files import publish_bytes, user_cache

Entry = tuple[bytes, int, float]
"""A key, its count and its frequency."""

FORMAT = 3
"""Bump when the file is laid out otherwise, or when the same statistics give other entries."""

_MAGIC = b"m3h word statistics\n"
_HEADER = struct.Struct("=20sIQQI")  # magic, format, slots, bytes of the records, CRC-32 of all that follows
_RECORD = struct.Struct("=qdI")  # count, frequency, bytes of the key, which follows
_LONGEST_FILE = 1 << 32

logger = logging.getLogger(__name__)


class StatisticsFile:
    """data: what `packed` made; bytes, or a file that is mapped. ValueError where it is anything else."""

    def __init__(self, data: "bytes | mmap.mmap") -> None:
        if len(data) < _HEADER.size:
            raise ValueError("no header")
        magic, form, slots, size, checksum = _HEADER.unpack_from(data)
        start = _HEADER.size + 8 * slots
        if (magic, form) != (_MAGIC, FORMAT) or slots & (slots - 1) or len(data) != start + size:
            raise ValueError("another format or length")
        view = memoryview(data)
        if crc32(view[_HEADER.size :]) != checksum:
            raise ValueError("another checksum")
        self._data, self._mask = data, slots - 1
        table = view[_HEADER.size : start].cast("I")
        self._hashes, self._places = table[:slots], table[slots:]

    def get(self, key: bytes) -> tuple[int, float] | None:
        """The count and the frequency of a key; None for an unknown one."""
        hashed = crc32(key)
        slot = hashed & self._mask
        while place := self._places[slot]:
            if self._hashes[slot] == hashed:
                count, frequency, length = _RECORD.unpack_from(self._data, place)
                place += _RECORD.size
                if self._data[place : place + length] == key:
                    return count, frequency
            slot = (slot + 1) & self._mask
        return None


def packed(entries: Iterable[Entry]) -> bytes:
    """The bytes of a file: a header, hashes and places of the records by slot (open addressing), the records.

    entries: with distinct keys. A place is counted from the beginning of the file; 0 is an empty slot.
    """
    listed = list(entries)
    slots = 1 << max(1, (2 * len(listed)).bit_length())
    hashes, places = [0] * slots, [0] * slots
    records = bytearray()
    start = _HEADER.size + 8 * slots
    for key, count, frequency in listed:
        hashed = crc32(key)
        slot = hashed & (slots - 1)
        while places[slot]:
            slot = (slot + 1) & (slots - 1)
        hashes[slot], places[slot] = hashed, start + len(records)
        records += _RECORD.pack(count, frequency, len(key)) + key
    if start + len(records) >= _LONGEST_FILE:
        raise MachineError(f"word statistics of {len(listed)} entries do not fit into a file of 4 GB. Use fewer.")
    body = np.array([hashes, places], dtype=np.uint32).tobytes() + records
    return _HEADER.pack(_MAGIC, FORMAT, slots, len(records), crc32(body)) + body


def statistics_file(name: str, entries: Callable[[], Iterable[Entry]]) -> StatisticsFile:
    """The file of this name in the user's cache, made where it is not there or damaged.

    Args:
        name: of the statistics and their contents.
        entries: makes them; called only where the file has to be made.
    """
    path = cache_folder() / f"{name}-{FORMAT}.bin"
    try:
        return _mapped(path)
    except (OSError, ValueError):
        data = packed(entries())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        publish_bytes(path, data, lasting=False)
        return _mapped(path)
    except (OSError, ValueError, MachineError) as error:  # the cache only saves time
        logger.warning(f"{error} The word statistics are not kept, and are made again next time (XDG_CACHE_HOME).")
        return StatisticsFile(data)


def cache_folder() -> Path:
    """Where the files are kept."""
    return user_cache("statistics")


def _mapped(path: Path) -> StatisticsFile:
    with open(path, "rb") as file:
        return StatisticsFile(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
