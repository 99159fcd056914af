"""The crawl of a build: what its tasks share, which task fetches a URL, and what becomes of the posts of one."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from m3h.pipeline.cleaning.groups import Verdict
from m3h.pipeline.cleaning.local_features import is_current
from m3h.pipeline.crawl.faults import REASONS
from m3h.pipeline.crawl.hosts import host_of
from m3h.pipeline.crawl.ledger import STABLE_SCHEMA, CrawlRow, read_table, write_table
from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.images.store import ImageRow, StoredImage
from m3h.pipeline.images.validator import validator_of
from m3h.pipeline.rules import ImageRules
from m3h.schemas.errors import ImageFault
from m3h.schemas.features import canonical_json
from m3h.schemas.inside import file_in, folder_in, picture_file
from m3h.schemas.posts import Dropped, Post

GROUPS = 64
"""Tasks a crawl falls into. Fixed, because a later crawl looks for a URL in the ledger of its group."""

CRAWL = "crawl"
"""The stage that counts URLs."""


@dataclass(frozen=True)
class CrawlJob:
    """A crawl into the image store of `dataset`. again: reasons for which a URL that failed is asked for again.

    ledgers: where they are written until the crawl is finished; earlier ones lie beside the pictures. staged: folder of
    the files that will be moved into the dataset. recrawl: ask for every URL whether its picture changed. progress:
    folder of the run's tallies. mask: whether the staged tables name nobody.
    """

    dataset: Path
    ledgers: Path
    staged: Path
    rules: CrawlRules
    image: ImageRules
    again: frozenset[str] = frozenset()
    recrawl: bool = False
    progress: Path | None = None
    mask: bool = True

    @property
    def folder(self) -> Path:
        """The image store."""
        return folder_in(self.dataset, "images")

    def ledger_name(self, group: int) -> str:
        """Of a group's ledger. Pictures that other rules let pass, or other sizes, are another crawl."""
        judged_by = canonical_json([self.image.model_dump(mode="json"), self.rules.image_size])
        return f"crawl-{hashlib.sha256(judged_by.encode()).hexdigest()[:8]}-{group:02d}"

    def settled(self, group: int, urls: Iterable[str]) -> dict[str, CrawlRow]:
        """What became of a group's URLs, once their crawl has ended. It is staged for the dataset, without its times.

        Rows of URLs that no record names any more are left out, as their pictures are. Pictures whose features are of
        an earlier version are looked at again: they are in the store, and need not be fetched.
        """
        name = f"{self.ledger_name(group)}.parquet"
        known = read_table(file_in(self.ledgers, name))
        rows = {url: self._with_current_features(known[url]) for url in urls}
        staged = map(CrawlRow.masked, rows.values()) if self.mask else rows.values()
        write_table(file_in(self.staged, f"images/{name}"), staged, STABLE_SCHEMA)
        return rows

    def _with_current_features(self, row: CrawlRow) -> CrawlRow:
        """The row as it is where its picture cannot be read: features of two versions are never compared."""
        if not is_current(row.keypoints):
            with suppress(OSError, ImageFault):
                data = picture_file(self.folder, row.image_sha256).read_bytes()
                return replace(row, **vars(validator_of(self.image).inspect(data)))
        return row

    @property
    def retried(self) -> list[str]:
        """The reasons that are the crawler's business."""
        return sorted(r for r in self.again if r in REASONS or (r.startswith("image_") and r != "image_missing"))


def group_of(url: str) -> int:
    """The task that fetches a URL: all URLs of a host have one."""
    return int.from_bytes(hashlib.sha256(host_of(url).encode()).digest()[:8], "big") % GROUPS


def crawled_post(post: Post, row: CrawlRow) -> Verdict:
    """A post of the URL that `row` is about, with the picture's hash, or dropped for what became of the URL."""
    if row.status == "failed":
        return Dropped.of(post, "image", row.reason, detail=row.detail)
    return post.having(image_sha256=row.image_sha256)


def crawled_image(row: CrawlRow) -> ImageRow | None:
    """The row of a picture that was fetched; None of a URL that failed."""
    return None if row.status == "failed" else ImageRow.stored(StoredImage(**row.picture()), "", row.url)
