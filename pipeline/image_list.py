"""The hashes of a dataset's pictures, in a file: whoever computes a shard reads the lines of that shard alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.files import publish
from schemas.shards import shard_count, shard_slice

_LINE = 65
"""Bytes: 64 hex digits and the line's end."""


@dataclass(frozen=True)
class ImageList:
    """Of pictures, of which none is in memory; sorted. per_shard: how many make a shard."""

    path: Path
    per_shard: int

    def write(self, images: Iterable[str]) -> None:
        """images: sha256 as 64 hex digits, sorted."""

        def lines(temp: Path) -> None:
            with open(temp, "w", encoding="ascii") as file:
                file.writelines(f"{image}\n" for image in images)

        publish(self.path, lines)

    @property
    def shards(self) -> int:
        """How many shards they make."""
        return shard_count(self.path.stat().st_size // _LINE, self.per_shard)

    def shard(self, index: int) -> list[str]:
        """The pictures of one shard."""
        mine = shard_slice(index, self.per_shard)
        with open(self.path, "rb") as file:
            file.seek(mine.start * _LINE)
            return file.read((mine.stop - mine.start) * _LINE).decode("ascii").split()
