"""The hashes of a dataset's pictures, in a file. To compute a shard, only its own lines are read."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from m3h.schemas.files import publish
from m3h.schemas.shards import shard_count, shard_slice

_LINE = 65
"""Bytes of a line: 64 hex digits and the line's end."""


@dataclass(frozen=True)
class ImageList:
    """A sorted list of picture hashes in the file `path`. per_shard: number of pictures in a shard."""

    path: Path
    per_shard: int

    def write(self, images: Iterable[str]) -> None:
        """Write the file. images: sha256 as 64 hex digits, sorted."""

        def lines(temp: Path) -> None:
            with open(temp, "w", encoding="ascii") as file:
                file.writelines(f"{image}\n" for image in images)

        publish(self.path, lines)

    @property
    def shards(self) -> int:
        """The number of shards that the pictures fill."""
        return shard_count(self.path.stat().st_size // _LINE, self.per_shard)

    def shard(self, index: int) -> list[str]:
        """The hashes of one shard's pictures."""
        lines = shard_slice(index, self.per_shard)
        with open(self.path, "rb") as file:
            file.seek(lines.start * _LINE)
            return file.read((lines.stop - lines.start) * _LINE).decode("ascii").split()
