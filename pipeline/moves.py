"""Which posts of a dataset a further dump moves to another split, or takes out: two groups it joins become one."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import BuildConfig
from pipeline.forgotten import read_forgotten
from pipeline.graph import RecordsJob, build_records
from pipeline.publish import columns
from pipeline.runner import run_pipeline
from pipeline.sources import given_sources, joined_sources
from schemas.errors import UsageError
from schemas.manifest import Manifest


@dataclass(frozen=True, order=True)
class Move:
    """One post. before: its split; after: its split then, "" where it would be dropped, `dropped` tells why."""

    post_id: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.post_id}: {self.before} -> {self.after or 'dropped'}"


def moves(before: Path, after: Path) -> list[Move]:
    """What becomes of the posts of one dataset folder in another, where it is not what they were; sorted by id."""
    then = dict(columns(after, "posts", ("post_id", "split")))
    now = columns(before, "posts", ("post_id", "split"))
    return sorted(Move(post, split, then.get(post, "")) for post, split in now if then.get(post, "") != split)


def foresee(
    dataset: Path, dumps: Sequence[str], images: Path | None, workers: int, beam_flags: Sequence[str] = ()
) -> list[Move]:
    """What `build` with further dumps would move. All records are read and cleaned, in a folder that is then removed.

    UsageError for a dataset whose pictures are fetched: that would ask the network.
    """
    known = Manifest.read(dataset)
    config = BuildConfig.model_validate(known.config)
    with tempfile.TemporaryDirectory(prefix=".m3h-plan-", dir=dataset.absolute().parent) as folder:
        scratch = Path(folder)
        given = given_sources(dumps, "", scratch / "stdin", images, crawl=False)
        sources = joined_sources(dataset, known, given)
        if sources.crawl:
            raise UsageError(
                f"--dumps: {dataset} fetches its pictures, and plan asks no network; build announces moves."
            )
        forgotten = read_forgotten(dataset, known)
        job = RecordsJob(sources, scratch, scratch, config, scratch / "tallies.json", forgotten)
        run_pipeline(lambda root: build_records(root, job), beam_flags, workers)
        return moves(dataset, scratch)
