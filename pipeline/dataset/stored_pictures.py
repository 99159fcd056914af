"""Which pictures of the store kept posts show: the pictures that features are computed of.

Posts and the list of pictures are in files whose order has nothing to do with each other, and may be many. So the
hashes that posts show are first divided by their first digits, in temporary files. The list is sorted by hash: beside
one of its files, one division is in memory.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow.compute as pc

from m3h.pipeline.dataset.tables import IMAGE_LIST_PATTERN, checked_hash
from m3h.pipeline.runtime.temporary_folder import temporary_folder
from m3h.schemas.errors import IntegrityError
from m3h.schemas.inside import files_in
from m3h.schemas.parquet import read_parquet
from m3h.schemas.shards import KEY

_DIGITS = 2
_HASH_BYTES = 32
_GATHERED = 1 << 17
"""Hashes that wait in memory before they are written: 4 MB."""


def stored_images(records: Path) -> Iterator[str]:
    """Hashes of the pictures of kept posts whose bytes are in the store, sorted.

    Raises:
        IntegrityError: A post or the list names something else than a hash, or the list is not sorted.
    """
    lists = files_in(records, IMAGE_LIST_PATTERN)
    if not lists:
        return
    with temporary_folder("m3h-shown-") as folder:
        shown = _Shown(folder)
        for part in files_in(records, "posts/part-*.parquet"):
            shown.add(filter(None, pc.unique(read_parquet(part, columns=[KEY])[KEY]).to_pylist()), part)
        before = ""
        for part in lists:
            rows = read_parquet(part, columns=[KEY, "status"])
            for image in rows[KEY].filter(pc.equal(rows["status"], "stored")).to_pylist():
                if checked_hash(image, part) <= before:
                    raise IntegrityError(f"{part}: expected the pictures in the order of their hashes. Run verify.")
                before = image
                if image in shown:
                    yield image


class _Shown:
    """The hashes that posts show, on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: dict[str, bytearray] = defaultdict(bytearray)
        self._number = 0
        self._division = ""
        self._hashes: frozenset[bytes] = frozenset()

    def add(self, images: Iterable[str], part: Path) -> None:
        """Those of a file of posts."""
        for image in images:
            self._waiting[checked_hash(image, part)[:_DIGITS]] += bytes.fromhex(image)
            self._number += 1
        if self._number > _GATHERED:
            self._write()

    def _write(self) -> None:
        for division, hashes in self._waiting.items():
            with open(self._folder / division, "ab") as file:
                file.write(hashes)
        self._waiting.clear()
        self._number = 0

    def __contains__(self, image: str) -> bool:
        """Cheap where hashes are asked for in their order."""
        if image[:_DIGITS] != self._division:
            self._write()
            self._division = image[:_DIGITS]
            file = self._folder / self._division
            data = file.read_bytes() if file.is_file() else b""
            self._hashes = frozenset(data[i : i + _HASH_BYTES] for i in range(0, len(data), _HASH_BYTES))
        return bytes.fromhex(image) in self._hashes
