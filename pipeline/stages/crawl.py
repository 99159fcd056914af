"""The image stage of a build that fetches its pictures: every URL once, and all URLs of a host in one task.

A picture that the dump itself holds is not fetched.

Only URLs and ledger rows cross a shuffle. URLs are grouped by host before they are fetched. So one task on one machine
limits the requests to a host, however many workers a cluster has.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.image_rules import fetchable
from m3h.pipeline.crawl.crawler import CrawlSummary, crawl_into
from m3h.pipeline.crawl.fetch import Target
from m3h.pipeline.crawl.job import CRAWL, CrawlJob, crawled_image, crawled_post, group_of
from m3h.pipeline.crawl.ledger import CrawlRow
from m3h.pipeline.images.validator import validator_of
from m3h.pipeline.stages.images import IMAGE_ROWS, ImageRowOutput, Images, ImagesOut
from m3h.pipeline.stages.progress import Report, Reporter
from m3h.pipeline.stages.routing import DROPPED, KEEP, DroppedOutput, Filter, Joined, JoinPosts, route
from m3h.schemas.posts import Post


class _ReportedSummary(CrawlSummary):
    """Counts that are reported while they grow."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def add(self, row: CrawlRow) -> None:
        super().add(row)
        self._reporter.add(1, dropped=[row.reason] if row.reason else [])

    def skip(self) -> None:
        super().skip()
        self._reporter.add(copied=1)


def crawl_group(group: int, urls: Iterable[str], job: CrawlJob) -> Iterator[tuple[str, CrawlRow]]:
    """Fetch the URLs of a group that are not in its ledger yet.

    Args:
        group: the number of the group; one task fetches it.
        urls: the group's URLs; one can come several times.
        job: the settings that all tasks share.

    Yields:
        Every URL with its row of the ledger.
    """
    targets = [Target(url) for url in sorted(set(urls))]
    name = job.ledger_name(group)
    reporter = Reporter(CRAWL, job.progress)
    reporter.begin()
    crawl_into(
        job.folder, targets, job.rules, validator=validator_of(job.image).inspect,
        recrawl=job.recrawl, retry=job.retried, name=name, ledgers=job.ledgers, summary=_ReportedSummary(reporter),
    )  # fmt: skip
    reporter.end()
    yield from job.settled(group, [target.url for target in targets]).items()


@dataclass
class CrawledImages(beam.PTransform[PCollection[Post], ImagesOut]):
    """Like Images, but the pictures are fetched. held: takes those that the dumps bring themselves."""

    job: CrawlJob
    held: Images

    @no_annotations
    def expand(self, posts: PCollection[Post]) -> ImagesOut:
        """Fetch what the dumps do not hold."""
        held = self.held
        here = posts | "held" >> beam.Filter(held.holds) | "of dumps" >> held
        there = self._fetched(posts | "not held" >> beam.Filter(lambda post: not held.holds(post)))
        return ImagesOut(
            (here.keep, there.keep) | "kept" >> beam.Flatten(),
            (here.rows, there.rows) | "rows" >> beam.Flatten(),
            [*here.dropped, *there.dropped],
            here.found,
        )

    @no_annotations
    def _fetched(self, posts: PCollection[Post]) -> ImagesOut:
        """Fetch by host, then join the row of each URL with its posts."""
        named = posts | "fetchable" >> Filter(fetchable)
        by_url = named.keep | "by url" >> beam.Map(_by_url)
        job = self.job

        def fetched(group: tuple[int, Iterable[str]]) -> Iterator[tuple[str, CrawlRow]]:
            return crawl_group(*group, job)

        rows = (
            by_url
            | beam.Keys()
            | beam.Distinct()
            | "expected" >> Report(CRAWL, job.progress, opens=False, what="expected")
            | "by host" >> beam.Map(_by_host)
            | beam.GroupByKey()
            | "fetch" >> beam.FlatMap(fetched)
        )
        settled = (
            (by_url, rows)
            | "join" >> JoinPosts()
            | "admit" >> beam.FlatMap(_settled).with_outputs(DROPPED, IMAGE_ROWS, main=KEEP)
        )
        return ImagesOut(settled[KEEP], settled[IMAGE_ROWS], [named.dropped, settled[DROPPED]], settled[KEEP])


def _by_url(post: Post) -> tuple[str, Post]:
    return post.images[0].url, post


def _by_host(url: str) -> tuple[int, str]:
    return group_of(url), url


def _settled(joined: Joined) -> Iterator[Post | DroppedOutput | ImageRowOutput]:
    _, (posts, (row,)) = joined
    if image := crawled_image(row):
        image_row: ImageRowOutput = TaggedOutput(IMAGE_ROWS, image)
        yield image_row
    for post in posts:
        yield from route(crawled_post(post, row))
