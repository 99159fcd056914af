"""The image door of a build that fetches its pictures: every URL once, each host by one task alone.

Only URLs and ledger rows cross a shuffle. URLs are keyed by their host before they are fetched, so one host's pace is
kept by one task on one machine, however many workers a cluster has.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from pipeline.crawl.faults import REASONS
from pipeline.crawl.fetch import Target
from pipeline.crawl.hosts import host_of
from pipeline.crawl.ledger import STABLE_SCHEMA, CrawlRow, read_table, write_table
from pipeline.crawl.room import CrawlSummary, crawl_into
from pipeline.crawl.rules import CrawlRules
from pipeline.gate import gate_of
from pipeline.rules import ImageRules
from pipeline.stages.doors import DROPPED, KEEP, Verdict, route
from pipeline.stages.images import IMAGE_ROWS, count_reason
from pipeline.stages.report import Report, Reporter
from pipeline.stages.shuffle import pack_post, unpack_post
from schemas.features import canonical_json
from schemas.posts import Dropped, Post

GROUPS = 64
"""Tasks a crawl falls into. Fixed, because a later crawl looks for a URL in the ledger of its group."""


@dataclass(frozen=True)
class CrawlJob:
    """A crawl into the image store of `dataset`. again: reasons for which a URL that failed is asked for again.

    ledgers: where they are written until the build is finished; earlier ones lie beside the pictures. recrawl: ask for
    every URL whether its picture changed. progress: folder of the run's tallies.
    """

    dataset: Path
    ledgers: Path
    rules: CrawlRules
    image: ImageRules
    again: frozenset[str] = frozenset()
    recrawl: bool = False
    progress: Path | None = None

    @property
    def folder(self) -> Path:
        """The image store."""
        return self.dataset / "images"

    def ledger_name(self, group: int) -> str:
        """Of a group's ledger. Pictures that other rules let pass, or other sizes, are another crawl."""
        judged_by = canonical_json([self.image.model_dump(mode="json"), self.rules.image_size])
        return f"crawl-{hashlib.sha256(judged_by.encode()).hexdigest()[:8]}-{group:02d}"

    def publish_ledgers(self, out: Path) -> None:
        """Put what became of every URL beside the list of pictures of a finished crawl, without its times."""
        for table in sorted(self.ledgers.glob("*.parquet")):
            write_table(out / "images" / table.name, read_table(table).values(), STABLE_SCHEMA)

    @property
    def retried(self) -> list[str]:
        """The reasons that are the crawler's business."""
        return sorted(r for r in self.again if r in REASONS or (r.startswith("image_") and r != "image_missing"))


def group_of(url: str) -> int:
    """The task that fetches a URL: all URLs of a host have one."""
    return int.from_bytes(hashlib.sha256(host_of(url).encode()).digest()[:8], "big") % GROUPS


CRAWL = "crawl"
"""The stage that counts URLs."""


class _Told(CrawlSummary):
    """Counts that are reported as they grow."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def add(self, row: CrawlRow) -> None:
        super().add(row)
        self._reporter.add(1, [row.reason] if row.reason else [])

    def skip(self) -> None:
        super().skip()
        self._reporter.add(copied=1)


def crawl_group(group: int, urls: Iterable[str], job: CrawlJob) -> Iterator[tuple[str, CrawlRow]]:
    """Fetch what is not in the group's ledger yet; every URL with its row."""
    targets = [Target(url) for url in sorted(set(urls))]
    name = job.ledger_name(group)
    reporter = Reporter(CRAWL, job.progress)
    reporter.begin()
    crawl_into(
        job.folder, targets, job.rules, gate_of(job.image).inspect,
        recrawl=job.recrawl, retry=job.retried, name=name, ledgers=job.ledgers, summary=_Told(reporter),
    )  # fmt: skip
    reporter.end()
    rows = read_table(job.ledgers / f"{name}.parquet")
    yield from ((target.url, rows[target.url]) for target in targets)


def admit(url: str, posts: Iterable[Post], rows: Iterable[CrawlRow]) -> Iterator[Any]:
    """All posts of one URL: with the picture's hash, or dropped for what became of it."""
    (row,) = rows
    if row.status == "failed":
        for post in posts:
            yield TaggedOutput(DROPPED, Dropped.of(post, "image", row.reason, row.detail))
        return
    yield TaggedOutput(IMAGE_ROWS, {"status": "stored", "path": "", "url": url, **row.picture()})
    for post in posts:
        yield post.having(image_sha256=row.image_sha256)


def fetchable(post: Post) -> Verdict:
    """A post with exactly one picture that has a URL; any other goes."""
    verdict = count_reason(post)
    if isinstance(verdict, Dropped) or post.images[0].url:
        return verdict
    return Dropped.of(post, "image", "no_url", post.images[0].path)


@dataclass
class CrawledImages(beam.PTransform):
    """As Images, but the pictures are fetched."""

    job: CrawlJob

    def expand(self, posts: Any) -> Any:
        """Fetch by host, then bring each URL's row to its posts."""
        named = posts | "fetchable" >> beam.Map(fetchable) | beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)
        by_url = named[KEEP] | "by url" >> beam.Map(lambda post: (post.images[0].url, pack_post(post)))
        job = self.job
        rows = (
            by_url
            | beam.Keys()
            | beam.Distinct()
            | "expected" >> Report(CRAWL, job.progress, opens=False, what="expected")
            | "by host" >> beam.WithKeys(group_of)
            | beam.GroupByKey()
            | "fetch" >> beam.FlatMapTuple(lambda group, urls: crawl_group(group, urls, job))
        )
        settled = (
            {"posts": by_url, "rows": rows}
            | beam.CoGroupByKey()
            | "admit"
            >> beam.FlatMapTuple(
                lambda url, both: admit(url, map(unpack_post, both["posts"]), both["rows"])
            ).with_outputs(DROPPED, IMAGE_ROWS, main=KEEP)
        )
        return settled[KEEP], settled[IMAGE_ROWS], [named[DROPPED], settled[DROPPED]]
