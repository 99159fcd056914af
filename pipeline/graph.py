"""The records' way through a build, as one Beam pipeline: read, clean, split, write."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam

from pipeline.config import BuildConfig
from pipeline.forgotten import NOBODY, Forgotten
from pipeline.parts import DROPPED as DROPPED_ROWS
from pipeline.parts import DROPPED_PER_FILE, IMAGE_LIST, IMAGES, POSTS
from pipeline.privacy import masked_dropped, masked_post
from pipeline.rules import CleanRules
from pipeline.run import WRITE
from pipeline.sources import Sources
from pipeline.stages.clean import Language, Text
from pipeline.stages.crawl import CRAWL, CrawledImages
from pipeline.stages.dedup import Dedup
from pipeline.stages.doors import DROPPED, KEEP
from pipeline.stages.images import Images
from pipeline.stages.near import PictureLinks, TextLinks
from pipeline.stages.rare import RareHashtags
from pipeline.stages.read import READY, TALLY, ReadDumps
from pipeline.stages.report import Report
from pipeline.stages.shuffle import Grouped, pack, pack_post, unpack, unpack_post
from pipeline.stages.split import Split
from pipeline.stages.write import WriteJson, WriteOne, WriteParts
from pipeline.state import BuildState
from schemas.posts import IMAGE_SCHEMA, Post, dropped_row, post_row


@dataclass(frozen=True)
class RecordsJob:
    """What the records' pipeline needs to know.

    dataset: where the image store is.
    out: where posts, dropped records and the list of images are written. crawl: where pictures are fetched.
    progress: folder of the run's tallies.
    """

    sources: Sources
    dataset: Path
    out: Path
    config: BuildConfig
    tallies: Path
    forgotten: Forgotten = NOBODY
    crawl: CrawledImages | None = None
    progress: Path | None = None


_SHARD_BYTES = 1 << 21
"""Of dumps: a thousand posts, more or less."""

STAGES = ("read", CRAWL, "image", "text", "language", "duplicates", "rare_hashtags", "split", WRITE)
"""As they report, in their order; those at which records leave bear the name that `dropped` has."""


def build_records(root: beam.Pipeline, job: RecordsJob) -> None:
    """Wire the stages in the order of the rules: image, text, language, duplicates, rare hashtags (§4)."""
    config = job.config
    gone: list[Any] = []

    def told(stage: str, kept: Any, *dropped: Any) -> Any:
        """Both ways out of a stage, with a report of what goes there."""
        for i, records in enumerate(dropped):
            gone.append(records | f"{stage}: dropped {i}" >> Report(stage, job.progress, opens=False))
        return kept | f"{stage}: kept" >> Report(stage, job.progress)

    read = (
        root
        | "dumps" >> beam.Create(job.sources.dumps)
        | beam.Reshuffle()
        | "read" >> ReadDumps(config.read, job.forgotten, job.progress)
    )
    read[TALLY] | "tally" >> WriteJson(job.tallies, sum)
    posts = told("read", read[KEEP], read[DROPPED])
    ready = read[READY] | "read: ready" >> Report("read", job.progress, opens=False)

    images = job.crawl or Images(job.sources.images, job.dataset, config.image)
    posts, image_rows, dropped = posts | "images" >> images
    posts = told("image", posts, *dropped)
    pictures = image_rows | "places" >> beam.Map(lambda row: (row["image_sha256"], row["places"]))
    text = Text(config.clean, config.text, BuildState(job.dataset).readings, text_shards(job.sources))
    for name, stage in (("text", text), ("language", Language(config.clean))):
        routed = posts | name >> stage
        posts = told(name, routed[KEEP], routed[DROPPED])
    posts, dropped = (posts, pictures) | "duplicates" >> Dedup(config.clean)
    posts = told("duplicates", posts, *dropped)
    routed = posts | "rare hashtags" >> RareHashtags(config.clean.min_hashtag_count)
    posts = told("rare_hashtags", routed[KEEP], routed[DROPPED])

    both = [some | f"pack {i}" >> beam.Map(pack_post) for i, some in enumerate((posts, ready))]
    posts = both | "all kept" >> beam.Flatten() | "unpack" >> beam.Map(unpack_post)
    kept = told("split", (posts, near_links(posts, pictures, config.clean)) | "split" >> Split(config.split))
    known = ready | "url only" >> beam.Map(url_only_row)
    images = (image_rows, known) | "all images" >> beam.Flatten() | "one row an image" >> FirstOfEach("image_sha256")
    _write(kept, gone, images, job)


def text_shards(sources: Sources) -> int:
    """So many that the texts of one take seconds to read."""
    return 1 + sources.bytes // _SHARD_BYTES


def near_links(posts: Any, pictures: Any, rules: CleanRules) -> Any:
    """Pairs of traits of near copies among `posts`. pictures: (image_sha256, places)."""
    found = []
    if rules.near_text:
        found.append(posts | "near texts" >> TextLinks(rules))
    if rules.near_images:
        found.append((posts, pictures) | "near pictures" >> PictureLinks(rules))
    return found | "links" >> beam.Flatten(pipeline=posts.pipeline)


def _write(kept: Any, gone: list[Any], images: Any, job: RecordsJob) -> None:
    if job.config.text.mask:
        kept = kept | "mask posts" >> beam.Map(masked_post)
        gone = [(records | f"mask dropped {i}" >> beam.Map(masked_dropped)) for i, records in enumerate(gone)]
    posts = WriteParts(job.out, POSTS, job.config.shards.posts)
    written = Report(WRITE, job.progress, size=int)
    kept | "post rows" >> beam.Map(post_row) | "write posts" >> posts | "posts written" >> written
    dropped = WriteParts(job.out, DROPPED_ROWS, DROPPED_PER_FILE)
    leaving = gone | "all dropped" >> beam.Flatten() | "dropped rows" >> beam.Map(dropped_row)
    leaving | "write dropped" >> dropped | "dropped written" >> written
    images | "write images" >> WriteOne(job.out / IMAGE_LIST, IMAGES)


def url_only_row(post: Post) -> dict[str, Any]:
    """images.parquet's row for a picture that is known by its URL alone."""
    row: dict[str, Any] = dict.fromkeys(IMAGE_SCHEMA.names)
    return row | {"image_sha256": post.image_sha256, "status": "url_only", "path": "", "url": post.images[0].url}


@dataclass
class FirstOfEach(beam.PTransform):
    """Rows -> one row a key, the smallest: several files may hold the same picture."""

    key: str

    def expand(self, rows: Any) -> Any:
        """By the smallest path and URL."""
        key = self.key
        return rows | Grouped(lambda row: row[key], pack, unpack) | beam.MapTuple(lambda _, group: _smallest(group))


def _smallest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return min(rows, key=lambda row: (row["path"], row["url"]))
