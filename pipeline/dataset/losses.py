"""What a dataset would lose if staged records took the place of its own: kept posts, and pictures of the store."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from m3h.pipeline.dataset.tables import IMAGE_LIST_PATTERN
from m3h.schemas.files import sha256_file
from m3h.schemas.inside import file_in, files_in
from m3h.schemas.manifest import Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import IMAGE_LISTS

ALWAYS_ALLOWED = 10
"""Posts, and pictures, that may always leave, however small the dataset is."""

NOT_READ = "in no dump any more"
"""The reason of a post that no record has."""


@dataclass(frozen=True)
class Losses:
    """Posts and pictures that leave.

    kept, stored: how many posts and pictures the dataset has.
    posts, pictures: how many of these leave.
    reasons: why posts leave, as `stage: reason`, with their numbers.
    """

    kept: int = 0
    stored: int = 0
    posts: int = 0
    pictures: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def exceed(self, share: float) -> bool:
        """Whether more leaves than this share of the posts or of the pictures, and more than is always allowed."""
        pairs = ((self.posts, self.kept), (self.pictures, self.stored))
        return any(leaving > max(ALWAYS_ALLOWED, share * total) for leaving, total in pairs)

    def __str__(self) -> str:
        why = ", ".join(f"{reason} {number}" for reason, number in sorted(self.reasons.items()))
        posts = f"{self.posts} of {self.kept} posts" + (f" ({why})" if why else "")
        return f"{posts} and {self.pictures} of {self.stored} pictures"


def losses(dataset: Path, known: Manifest, staged: Path) -> Losses:
    """Compare the records of a finished dataset with staged ones. Only ids and hashes are read.

    Args:
        dataset: The dataset's folder. What a damaged file of it held is not known, and does not count.
        known: Its manifest.
        staged: The folder with the new records.
    """
    after = _column(files_in(staged, "posts/part-*.parquet"), "post_id")
    gone = [_missing(ids, after) for ids in _columns(_whole(dataset, known, "posts/part-"), "post_id")]
    pictures = _column(files_in(staged, IMAGE_LIST_PATTERN), "image_sha256", "stored")
    before = list(_columns(_whole(dataset, known, IMAGE_LISTS), "image_sha256", "stored"))
    lost = pa.chunked_array(gone, pa.string())
    return Losses(
        known.counts["kept"],
        sum(map(len, before)),
        len(lost),
        sum(len(_missing(hashes, pictures)) for hashes in before),
        _reasons(staged, lost),
    )


def _whole(dataset: Path, known: Manifest, prefix: str) -> Iterator[Path]:
    for name, entry in sorted(known.files.items()):
        path = file_in(dataset, name)
        if name.startswith(prefix) and path.is_file() and sha256_file(path) == entry.sha256:
            yield path


def _columns(parts: Iterable[Path], name: str, status: str = "") -> Iterator[pa.Array]:
    """A column of each part. status: of the rows that count; "" for all."""
    for part in parts:
        table = read_parquet(part, columns=[name, "status"] if status else [name])
        yield (table.filter(pc.equal(table["status"], status)) if status else table)[name].combine_chunks()


def _column(parts: Iterable[Path], name: str, status: str = "") -> pa.Array:
    return pa.chunked_array(list(_columns(parts, name, status)), pa.string()).combine_chunks()


def _missing(values: pa.Array, among: pa.Array) -> pa.Array:
    return values.filter(pc.invert(pc.is_in(values, value_set=among)))


def _reasons(staged: Path, lost: pa.ChunkedArray) -> Counter[str]:
    """One reason for each post that leaves: of the first of its records that was dropped."""
    why: dict[str, str] = {}
    for part in files_in(staged, "dropped/part-*.parquet"):
        rows = read_parquet(part, columns=["record_id", "stage", "reason"])
        for row in rows.filter(pc.is_in(rows["record_id"], value_set=lost.combine_chunks())).to_pylist():
            why.setdefault(row["record_id"], f"{row['stage']}: {row['reason']}")
    reasons = Counter(why.values())
    reasons[NOT_READ] += len(lost) - len(why)
    return +reasons
