"""What a crawl's ledger says of its pictures is what this version of the program says of them."""

from dataclasses import replace
from pathlib import Path

from m3h.pipeline.crawl.job import CrawlJob
from m3h.pipeline.crawl.ledger import CrawlRow, read_table, write_table
from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.images.store import StoredImage, keep
from m3h.pipeline.images.validator import validator_of
from m3h.pipeline.rules import ImageRules
from m3h.schemas.inside import picture_file
from tests.pipeline.fakes import picture

URL = "https://h.example/1.jpg"
RULES = ImageRules()


def crawled(tmp_path: Path) -> tuple[CrawlJob, CrawlRow]:
    """A crawl of one picture, and its row."""
    job = CrawlJob(tmp_path / "dataset", tmp_path / "ledgers", tmp_path / "staged", CrawlRules(), RULES)
    data = picture(tmp_path / "1.jpg", 1).read_bytes()
    stored: StoredImage = validator_of(RULES).inspect(data)
    keep(job.dataset, stored.image_sha256, data)
    return job, CrawlRow(URL, "stored", http_status=200, etag="e", **vars(stored))


def settled(job: CrawlJob, row: CrawlRow) -> CrawlRow:
    """The row of a ledger with `row`, once the crawl has ended."""
    write_table(job.ledgers / f"{job.ledger_name(0)}.parquet", [row])
    after = job.settled(0, [URL])[URL]
    (staged,) = read_table(job.staged / "images" / f"{job.ledger_name(0)}.parquet").values()
    assert staged.keypoints == after.keypoints
    return after


def test_features_of_an_earlier_version_are_made_again_from_the_store(tmp_path: Path) -> None:
    job, row = crawled(tmp_path)
    assert row.keypoints
    earlier = replace(row, keypoints=row.keypoints.partition(":")[2])
    assert settled(job, row) == row
    assert settled(job, earlier) == row


def test_they_stay_as_they_are_where_the_picture_is_not_in_the_store_or_there_is_none(tmp_path: Path) -> None:
    job, row = crawled(tmp_path)
    earlier = replace(row, keypoints=row.keypoints.partition(":")[2])
    picture_file(job.folder, row.image_sha256).unlink()
    failed = CrawlRow(URL, "failed", "crawl_http_4xx")
    assert settled(job, earlier) == earlier
    assert settled(job, failed) == failed
