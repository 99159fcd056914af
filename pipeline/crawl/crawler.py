"""Runs a crawl: URLs in, pictures in a content-addressed store and a ledger with the result of every URL out."""

import asyncio
import os
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

from m3h.pipeline.crawl.faults import REASONS, one_line
from m3h.pipeline.crawl.fetch import Fetched, Target, crawl
from m3h.pipeline.crawl.ledger import CrawlRow, Ledger
from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.images.store import StoredImage
from m3h.schemas.errors import ImageFault, M3hError, UsageError, unknown_name
from m3h.schemas.files import publish_bytes, temp_files
from m3h.schemas.inside import file_in, picture_file
from m3h.schemas.lock import alone

Validator = Callable[[bytes], StoredImage]
"""Checks the bytes of a picture, and raises ImageFault to refuse it. It is called from several threads at once."""

MAX_LOOKUPS = 32
"""Most host names that are looked up at once. A resolver can take long for a name that does not answer."""


@dataclass
class CrawlSummary:
    """Counts of one run, in URLs.

    known: URLs with a result of an earlier run, and repeated URLs; they are not requested again.
    """

    known: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, row: CrawlRow) -> None:
        """Count a URL with its result."""
        self.statuses[row.status] += 1
        if row.reason:
            self.reasons[row.reason] += 1

    def skip(self) -> None:
        """Count a URL that need not be requested."""
        self.known += 1

    @property
    def settled(self) -> int:
        """URLs that have a result, of this run or known before."""
        return self.known + self.statuses.total()

    @property
    def bugs(self) -> int:
        """Pictures that failed because of a bug in this program."""
        return self.reasons["crawl_error"]


def crawl_into(
    folder: Path,
    targets: Iterable[Target],
    rules: CrawlRules,
    *,
    validator: Validator,
    recrawl: bool = False,
    retry: Collection[str] = (),
    name: str = "crawl",
    ledgers: Path | None = None,
    summary: CrawlSummary | None = None,
) -> CrawlSummary:
    """Download every target once. Store valid pictures as `folder`/ab/<sha256>.jpg and all results in crawl.parquet.

    A URL that already has a result is not requested again, except with `retry` or `recrawl`. When a crawl was killed,
    the same call continues it and requests no URL twice. UsageError when `rules` has no contact, `retry` contains an
    unknown reason, or another crawl writes the same ledger.

    Args:
        folder: the image store, created if it does not exist.
        targets: the URLs to download.
        rules: the limits and the pace.
        validator: decides which pictures are kept.
        recrawl: request every URL again and ask the server whether it has changed.
        retry: reasons of failures; URLs that failed for one of them are requested again.
        name: the name of the ledger, for several tasks that share a folder.
        ledgers: another folder for the new ledger. The old ledger is then read from `folder` and stays as it is.
        summary: counts that are updated during the crawl; a new object when None.

    Returns:
        The counts of this run.

    Raises:
        M3hError: the disk cannot be written.
    """
    rules.require_contact()
    _check_reasons(retry)
    summary = CrawlSummary() if summary is None else summary
    ledger = Ledger(ledgers, name, earlier=folder) if ledgers else Ledger(folder, name)
    with _alone(ledgers or folder, name):
        if not ledgers:  # with a separate ledger folder, other tasks may be writing pictures here
            _remove_temp_files(folder)
        ledger.begin({"recrawl": recrawl, "retry": sorted(retry)})
        targets = _known_again(targets, ledger) if ledgers else targets
        store = _PictureStore(folder, validator, dict(ledger.rows))
        try:
            remaining = _remaining(targets, ledger, summary, recrawl=recrawl, retry=frozenset(retry))
            conditional = (store.with_condition(target) for target in remaining)
            asyncio.run(_run(conditional, rules, store, ledger=ledger, summary=summary))
        except OSError as error:  # errors of the network are results; this one comes from the disk
            ledger.close()
            raise M3hError(
                f"{folder}: cannot be written ({error}). Repair this; the same command continues the crawl."
            ) from error
        except BaseException:
            ledger.close()
            raise
        ledger.finish()
    return summary


def _known_again(targets: Iterable[Target], ledger: Ledger) -> list[Target]:
    """The targets, whose masked rows in an earlier table have their URLs again."""
    listed = list(targets)
    ledger.know_again(target.url for target in listed)
    return listed


def _check_reasons(reasons: Iterable[str]) -> None:
    """UsageError for a reason that neither the crawler nor the validator gives."""
    for reason in reasons:
        if reason not in REASONS and not reason.startswith("image_"):
            raise unknown_name("reason", reason, REASONS)


async def _run(
    targets: Iterator[Target], rules: CrawlRules, store: "_PictureStore", *, ledger: Ledger, summary: CrawlSummary
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(MAX_LOOKUPS, "lookup"))
    with ThreadPoolExecutor((os.cpu_count() or 1) + 4) as pool:
        async for row in crawl(targets, rules, lambda fetched: loop.run_in_executor(pool, store.store, fetched)):
            ledger.add(row)
            summary.add(row)


def _remaining(
    targets: Iterable[Target], ledger: Ledger, summary: CrawlSummary, *, recrawl: bool, retry: Collection[str]
) -> Iterator[Target]:
    """The targets that must be requested, each once. The others are counted as known."""
    requested: set[str] = set()
    for original in targets:
        # a lone surrogate cannot be stored in a table
        target = replace(original, url=original.url.encode("utf-8", "replace").decode())
        known = ledger.rows.get(target.url)
        needed = known is None or recrawl or known.reason in retry
        if not needed or target.url in ledger.done or target.url in requested:
            summary.skip()
            continue
        requested.add(target.url)
        yield target


class _PictureStore:
    """Pictures by the hash of their bytes. earlier: rows of earlier crawls, for conditional requests."""

    def __init__(self, folder: Path, validator: Validator, earlier: dict[str, CrawlRow]) -> None:
        self._folder = folder
        self._validator = validator
        self._earlier = earlier

    def with_condition(self, target: Target) -> Target:
        """`target` with the ETag and the date of the last crawl, if the picture of that crawl is still stored."""
        known = self._with_picture(target.url)
        if known is None or target.etag or target.last_modified:
            return target
        return Target(target.url, known.etag, known.last_modified)

    def store(self, fetched: Fetched) -> CrawlRow:
        """Store the picture of one result, and return its row."""
        row = CrawlRow(
            fetched.url, fetched.status, fetched.reason, fetched.detail, fetched.http_status, fetched.final_url,
            fetched.etag, fetched.last_modified, datetime.now(timezone.utc).isoformat(timespec="seconds"),
            fetched.attempts,
        )  # fmt: skip
        if fetched.status == "not_modified":
            return self._unchanged(row)
        if fetched.status == "failed":
            return self._kept(row)
        try:
            stored = self._validator(fetched.body)
            path = self.path(stored.image_sha256)
            if not path.exists():
                publish_bytes(path, fetched.body)
        except ImageFault as fault:
            return self._kept(replace(row, status="failed", reason=fault.reason, detail=one_line(fault.detail)))
        except (OSError, M3hError):
            raise
        except Exception:  # a bug of the validator loses only this picture, and its traceback is kept
            return self._kept(replace(row, status="failed", reason="crawl_error", detail=traceback.format_exc()))
        return replace(row, status="stored", **vars(stored))

    def _unchanged(self, row: CrawlRow) -> CrawlRow:
        """The row of a picture that has not changed. The response's ETag and date replace the earlier ones."""
        earlier = self._earlier.get(row.url)
        if earlier is None:  # the caller set the ETag or the date itself, and has the picture
            return row
        conditions = {name: getattr(row, name) or getattr(earlier, name) for name in ("etag", "last_modified")}
        return replace(row, **conditions, **earlier.picture())

    def _kept(self, failed: CrawlRow) -> CrawlRow:
        """The row of a failure. A picture that an earlier crawl stored stays; the row then says both."""
        if (earlier := self._with_picture(failed.url)) is None:
            return failed
        conditions = {name: getattr(earlier, name) for name in ("etag", "last_modified")}
        return replace(failed, status="stored", **conditions, **earlier.picture())

    def _with_picture(self, url: str) -> CrawlRow | None:
        """The row of an earlier crawl, if its picture is still stored."""
        row = self._earlier.get(url)
        return row if row and row.image_sha256 and self.path(row.image_sha256).is_file() else None

    def path(self, image_sha256: str) -> Path:
        """The file of a picture."""
        return picture_file(self._folder, image_sha256)


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Make sure that no other crawl writes this ledger at the same time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: not a folder that can be written ({error.strerror}).") from error
    with alone(file_in(folder, f".{name}.lock"), f"{folder}: another crawl is writing here. Wait for it, or end it."):
        yield


def _remove_temp_files(folder: Path) -> None:
    """Remove incomplete files of a killed crawl."""
    for path in temp_files(folder):
        path.unlink(missing_ok=True)
