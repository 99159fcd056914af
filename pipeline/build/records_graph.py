"""The records' part of a build, as one Beam pipeline: read, clean, split, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
from apache_beam.pvalue import PCollection

from m3h.pipeline.build.sources import Sources
from m3h.pipeline.cleaning.candidates import Item
from m3h.pipeline.cleaning.single_posts import rules_of_single_posts
from m3h.pipeline.config import BuildConfig
from m3h.pipeline.crawl.job import CRAWL, CrawlJob
from m3h.pipeline.dataset.found_pictures import FOUND_PER_FILE, FoundPictures, found_row, masked_found_row
from m3h.pipeline.dataset.suppression_list import NOBODY, SuppressionList
from m3h.pipeline.dataset.tables import DROPPED as DROPPED_ROWS
from m3h.pipeline.dataset.tables import DROPPED_PER_FILE, FOUND, POSTS
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.images.embedded import Embedded
from m3h.pipeline.images.store import ImageRow
from m3h.pipeline.progress.stage import SPLIT, WRITE
from m3h.pipeline.rules import CleanRules, ExecutionRules
from m3h.pipeline.stages.clean import Language, Text
from m3h.pipeline.stages.crawl import CrawledImages
from m3h.pipeline.stages.dedup import Dedup
from m3h.pipeline.stages.image_list import WriteImageList
from m3h.pipeline.stages.images import Images, ImagesOut
from m3h.pipeline.stages.near_duplicates import Pair, PictureLinks, TextLinks
from m3h.pipeline.stages.progress import Report
from m3h.pipeline.stages.rare_hashtags import KeptByRule, RareHashtags
from m3h.pipeline.stages.read import ReadDumps
from m3h.pipeline.stages.routing import Filter
from m3h.pipeline.stages.split import Split
from m3h.pipeline.stages.write import WriteJson, WriteParts
from m3h.pipeline.text.pii import masked_dropped, masked_post
from m3h.schemas.posts import Dropped, Post, dropped_row, post_row


@dataclass(frozen=True)
class RecordsJob:
    """What the records' pipeline needs to know.

    sources: the dumps and where their pictures are.
    dataset: folder with the image store.
    out: folder in which posts, dropped records and the list of images are written.
    tallies: file for the number of records that were read.
    forgotten: the records that must stay out.
    crawl: how pictures are fetched; None where they are in folders or in the dumps.
    progress: folder of the run's tallies; None where nothing is tallied.
    found: what the records of the finished dataset were found to show; None where there is none.
    kept_by_rule: file for the number of posts that each rule on rare hashtags keeps; None where nobody asks.
    unread: file for the number of posts in which a field could not be read, by field; None for none.
    in_rounds: whether decisions over all posts are made in rounds by many workers, not by one process each. What is
        written is the same.
    """

    sources: Sources
    dataset: Path
    out: Path
    config: BuildConfig
    tallies: Path
    forgotten: SuppressionList = NOBODY
    crawl: CrawlJob | None = None
    progress: Path | None = None
    found: FoundPictures | None = None
    kept_by_rule: Path | None = None
    unread: Path | None = None
    in_rounds: bool = False


ROUNDS_FROM = 4 << 30
"""Bytes of dumps from which on `auto` works in rounds: some two million tweets as they are, or some twenty million
compressed, for which one process needs up to 15 GB (docs/scale.md). Rounds take a little more processor time."""


def works_in_rounds(execution: ExecutionRules, dumps_bytes: int) -> bool:
    """Whether decisions over all posts are made in rounds.

    Args:
        execution: what is asked for.
        dumps_bytes: size of the dumps, compressed or not.
    """
    if execution.global_steps == "auto":
        return dumps_bytes >= ROUNDS_FROM
    return execution.global_steps == "rounds"


_SHARD_BYTES = 1 << 21
"""Bytes of dumps for one text shard: about a thousand posts."""

STAGES = ("read", "text", "language", CRAWL, "image", "duplicates", "rare_hashtags", SPLIT, WRITE)
"""The stages that report progress, in their order. Those that drop records have the names that `dropped` uses."""


def build_records(root: beam.Pipeline, job: RecordsJob) -> None:
    """Connect the stages in the order of the rules: text, language, image, duplicates, rare hashtags (§4).

    A picture costs many times what its text costs. So no picture is fetched or decoded of a post that leaves for
    its text, or for the number of its pictures.
    """
    config = job.config
    all_dropped: list[PCollection[Dropped]] = []

    def with_report(stage: str, kept: PCollection[Post], dropped: Sequence[PCollection[Dropped]]) -> PCollection[Post]:
        """Report a stage's outputs, collect its dropped records, and return its kept posts.

        Args:
            stage: The name it reports under.
            kept: The posts that it keeps.
            dropped: The records that it drops, in any number of collections.
        """
        for i, records in enumerate(dropped):
            all_dropped.append(records | f"{stage}: dropped {i}" >> Report(stage, job.progress, opens=False))
        reported: PCollection[Post] = kept | f"{stage}: kept" >> Report(stage, job.progress)
        return reported

    embedded = Embedded(Workspace(job.dataset).embedded, config.image.max_bytes)
    read = (
        root
        | "dumps" >> beam.Create(job.sources.dumps)
        | beam.Reshuffle()
        | "read" >> ReadDumps(config.read, embedded, job.forgotten, job.progress)
    )
    read.tally | "tally" >> WriteJson(job.tallies, sum)
    if job.unread:
        read.unread | "unread" >> WriteJson(job.unread, sum)
    posts = with_report("read", read.keep, [read.dropped])
    ready = read.ready | "read: ready" >> Report("read", job.progress, opens=False)

    posts, unfit = _fit(posts, config.clean)
    text = Text(config.clean, config.text, Workspace(job.dataset).text_cache, text_shards(job.sources))
    for name, stage in (("text", text), ("language", Language(config.clean))):
        routed = posts | name >> stage
        posts = with_report(name, routed.keep, [routed.dropped])
    images = _settled(posts, job)
    posts = with_report("image", images.keep, [*unfit["image"], *images.dropped])
    pictures = images.rows | "keypoints" >> beam.Map(_keypoints)
    distinct = (posts, pictures) | "duplicates" >> Dedup(config.clean, job.in_rounds)
    posts = with_report("duplicates", distinct.keep, [*unfit["duplicates"], *distinct.dropped])
    if job.kept_by_rule:
        kept_by_rule = KeptByRule(config.clean.min_hashtag_count, job.in_rounds)
        posts | "kept by rule" >> kept_by_rule | WriteJson(job.kept_by_rule, sum)
    routed = posts | "rare hashtags" >> RareHashtags(config.clean, config.text, job.in_rounds)
    posts = with_report("rare_hashtags", routed.keep, [routed.dropped])

    posts = (posts, ready) | "all kept" >> beam.Flatten()
    links = near_links(posts, pictures, config.clean, in_rounds=job.in_rounds)
    split = (posts, links) | "split" >> Split(config.split, job.in_rounds)
    known = ready | "url only" >> beam.Map(url_only_row)
    rows = (images.rows, known) | "all images" >> beam.Flatten()
    _write(with_report("split", split, []), all_dropped, rows, job=job)


def _fit(
    posts: PCollection[Post], rules: CleanRules
) -> tuple[PCollection[Post], dict[str, list[PCollection[Dropped]]]]:
    """Posts that keep the rules of single posts, and by stage those that do not."""
    unfit: dict[str, list[PCollection[Dropped]]] = {"image": [], "duplicates": []}
    for stage, name, rule in rules_of_single_posts(rules):
        posts, dropped = posts | name >> Filter(rule)
        unfit[stage].append(dropped)
    return posts, unfit


def _settled(posts: PCollection[Post], job: RecordsJob) -> ImagesOut:
    """The pictures of posts, found or fetched; what was found is written."""
    held = Images(job.sources.images, job.dataset, job.config.image, job.found, job.sources.homes)
    images: ImagesOut = posts | "images" >> (CrawledImages(job.crawl, held) if job.crawl else held)
    row = masked_found_row if job.config.text.mask else found_row
    images.found | "write found" >> WriteParts(job.out, FOUND, FOUND_PER_FILE, row)
    return images


def text_shards(sources: Sources) -> int:
    """The number of text shards, so that the texts of one take seconds to read."""
    return 1 + sources.bytes // _SHARD_BYTES


def near_links(
    posts: PCollection[Post], pictures: PCollection[Item], rules: CleanRules, *, in_rounds: bool
) -> PCollection[Pair]:
    """Pairs of traits that near duplicates share.

    Args:
        posts: The posts among which duplicates are looked for.
        pictures: (image_sha256, keypoints) of these posts' pictures, and perhaps of others.
        rules: Which duplicates count.
        in_rounds: Whether no worker may hold all texts and pictures' features.
    """
    found: list[PCollection[Pair]] = []
    if rules.near_text:
        found.append(posts | "near texts" >> TextLinks(rules, in_rounds))
    if rules.near_images:
        found.append((posts, pictures) | "near pictures" >> PictureLinks(rules, in_rounds))
    links: PCollection[Pair] = found | "links" >> beam.Flatten(pipeline=posts.pipeline)
    return links


def _write(
    kept: PCollection[Post], dropped: list[PCollection[Dropped]], images: PCollection[ImageRow], *, job: RecordsJob
) -> None:
    if job.config.text.mask:
        kept = kept | "mask posts" >> beam.Map(masked_post)
        dropped = [records | f"mask dropped {i}" >> beam.Map(masked_dropped) for i, records in enumerate(dropped)]
    written: Report[int] = Report(WRITE, job.progress, size=int)
    write_posts = WriteParts(job.out, POSTS, job.config.shards.posts, post_row)
    kept | "write posts" >> write_posts | "posts written" >> written
    write_dropped = WriteParts(job.out, DROPPED_ROWS, DROPPED_PER_FILE, dropped_row)
    dropped | "all dropped" >> beam.Flatten() | "write dropped" >> write_dropped | "dropped written" >> written
    images | "write images" >> WriteImageList(job.out, job.config.shards.posts, job.config.text.mask)


def _keypoints(row: ImageRow) -> Item:
    return row.image_sha256, row.keypoints or ""


def url_only_row(post: Post) -> ImageRow:
    """The image row of a post whose picture is known only by its URL."""
    return ImageRow.url_only(post.image_sha256, post.images[0].url)
