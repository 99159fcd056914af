"""What a build or retry would change about a dataset's posts, found out in a temporary folder.

A further dump can join two groups: then posts move to another split, or are dropped. A folder of pictures that is named
again can give posts other pictures.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from m3h.pipeline.build.sources import fetches_pictures, given_sources, joined_sources
from m3h.pipeline.config import config_of
from m3h.pipeline.dataset.found_pictures import FoundPictures
from m3h.pipeline.dataset.publish import columns
from m3h.pipeline.dataset.remembered import refuse_unnamed_files
from m3h.pipeline.dataset.suppression_list import read_suppression_list
from m3h.pipeline.readers.usable import refuse_unreadable
from m3h.pipeline.runtime.temporary_folder import temporary_folder
from m3h.schemas.config import as_plain
from m3h.schemas.errors import UsageError
from m3h.schemas.inside import file_in, refuse_strange
from m3h.schemas.manifest import Manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class SplitMove:
    """One post's move. before: its split. after: its new split, "" where it is dropped (`dropped` has the reason)."""

    post_id: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.post_id}: {self.before} -> {self.after or 'dropped'}"


def moves(before: Path, after: Path) -> list[SplitMove]:
    """The posts of the folder `before` that have another split, or none, in the folder `after`, sorted by id."""
    new_split = dict(columns(after, "posts", ("post_id", "split")))
    return sorted(
        SplitMove(post, split, new_split.get(post, ""))
        for post, split in columns(before, "posts", ("post_id", "split"))
        if new_split.get(post, "") != split
    )


def announce(moving: Sequence[SplitMove], *, brief: bool) -> None:
    """One line a post, or, where it is to be brief, one for all."""
    if brief and moving:
        gone = sum(not move.after for move in moving)
        log.warning("note: %d posts leave, and %d have another split.", gone, len(moving) - gone)
        return
    for move in moving:
        log.warning("note: post %s", move)


@dataclass(frozen=True)
class Reading:
    """How records are read for a forecast.

    images: folder with pictures. None where the dataset's folders have them.
    workers: number of processes.
    beam_flags: flags for Beam.
    """

    images: Path | None
    workers: int
    beam_flags: Sequence[str] = ()


def predicted_moves(dataset: Path, dumps: Sequence[str], reading: Reading) -> list[SplitMove]:
    """The moves that a `build` with further dumps would make.

    All records are read and cleaned in a temporary folder.

    Args:
        dataset: The dataset's folder. It is not changed.
        dumps: Paths or patterns of the further dumps.
        reading: How they are read.

    Raises:
        UsageError: The dataset's pictures are fetched, so this would need the network.
    """
    with _foreseen(dataset, dumps, reading, look_again=False) as after:
        return moves(dataset, after)


def predicted_changes(dataset: Path, reading: Reading) -> list[str]:
    """The ids of the posts that a `retry` with this folder of pictures would give another picture, or none; sorted.

    Args:
        dataset: The dataset's folder. It is not changed.
        reading: The folder, and how records are read.

    Raises:
        UsageError: The dataset's pictures are fetched, so this would need the network.
    """
    with _foreseen(dataset, (), reading, look_again=True) as after:
        shown = dict(columns(after, "posts", ("post_id", "image_sha256")))
        before = columns(dataset, "posts", ("post_id", "image_sha256"))
        return sorted(post for post, image in before if shown.get(post) != image)


@contextmanager
def _foreseen(dataset: Path, dumps: Sequence[str], reading: Reading, *, look_again: bool) -> Iterator[Path]:
    """A temporary folder with the records as they would be. look_again: whether the folders come before the store."""
    from m3h.pipeline.build.records_graph import RecordsJob, build_records, works_in_rounds
    from m3h.pipeline.runtime.runner import run_pipeline

    refuse_strange(dataset)
    known = Manifest.read(dataset)
    config = config_of(known.config)
    refuse_unnamed_files(dataset, known.config, as_plain(config), features=())
    with temporary_folder(".m3h-plan-", dataset.absolute().parent) as scratch:
        fetches = reading.images is None and fetches_pictures(known)
        given = given_sources(dumps, "", file_in(scratch, "stdin"), images=reading.images, crawl=fetches)
        refuse_unreadable(given.dumps, config.read)
        sources = joined_sources(dataset, known, given)
        if sources.crawl:
            raise UsageError(f"{dataset}: fetches its pictures, and plan asks no network; build announces moves.")
        found = FoundPictures.of(dataset.absolute(), known, look_again=look_again)
        forgotten = read_suppression_list(dataset, known)
        in_rounds = works_in_rounds(config.execution, sources.bytes)
        job = RecordsJob(
            sources, scratch, scratch, config, file_in(scratch, "tallies.json"), forgotten, found=found,
            in_rounds=in_rounds,
        )  # fmt: skip
        run_pipeline(lambda root: build_records(root, job), reading.beam_flags, reading.workers)
        yield scratch
