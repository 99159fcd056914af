"""A crawl from its URLs to pictures in a content-addressed store, and a ledger that tells of every URL."""

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

from pipeline.crawl.faults import REASONS, plain
from pipeline.crawl.fetch import Fetched, Target, crawl
from pipeline.crawl.ledger import CrawlRow, Ledger
from pipeline.crawl.rules import CrawlRules
from pipeline.images import StoredImage
from schemas.errors import ImageFault, M3hError, UsageError, unknown_name
from schemas.files import publish_bytes, temp_files
from schemas.lock import alone

Gate = Callable[[bytes], StoredImage]
"""Judges a picture's bytes, from several threads at once; ImageFault where it may not be kept."""

LOOKUPS = 32
"""Names looked up at once: a resolver can take long over a dead one."""


@dataclass
class CrawlSummary:
    """Counts of one run, in URLs. known: settled by an earlier run, or listed before; not asked for again."""

    known: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, row: CrawlRow) -> None:
        """One more URL is through."""
        self.statuses[row.status] += 1
        if row.reason:
            self.reasons[row.reason] += 1

    def skip(self) -> None:
        """One more URL need not be asked for."""
        self.known += 1

    @property
    def settled(self) -> int:
        """URLs that are through, whatever became of them."""
        return self.known + self.statuses.total()

    @property
    def broken(self) -> int:
        """Pictures that met a bug of ours."""
        return self.reasons["crawl_error"]


def crawl_into(
    folder: Path,
    targets: Iterable[Target],
    rules: CrawlRules,
    gate: Gate,
    *,
    recrawl: bool = False,
    retry: Collection[str] = (),
    name: str = "crawl",
    ledgers: Path | None = None,
    summary: CrawlSummary | None = None,
) -> CrawlSummary:
    """Fetch every target once; keep what passes the gate in `folder`/ab/<sha256>.jpg, and rows in crawl.parquet.

    A URL that has a row is not asked for again, unless it failed for a reason in `retry`, or with `recrawl`, which asks
    whether it changed. The same call finishes a crawl that was killed, and asks for nothing twice.
    name: of the ledger, where several tasks share a folder. ledgers: folder of ledgers that take the place of those in
    `folder` once more than this crawl is done. summary: filled as the crawl goes.
    UsageError where the rules lack a contact, `retry` names no reason, or another crawl runs here.
    """
    rules.require_contact()
    for reason in retry:
        if reason not in REASONS and not reason.startswith("image_"):
            raise unknown_name("reason", reason, REASONS)
    summary = CrawlSummary() if summary is None else summary
    ledger = Ledger(ledgers, name, earlier=folder) if ledgers else Ledger(folder, name)
    with _alone(ledgers or folder, name):
        if not ledgers:  # else others may be writing pictures here now
            _sweep(folder)
        ledger.begin({"recrawl": recrawl, "retry": sorted(retry)})
        store = _Store(folder, gate, dict(ledger.rows) if recrawl else {})
        try:
            chosen = _chosen(targets, ledger, recrawl, frozenset(retry), summary, store)
            asyncio.run(_run(chosen, rules, store, ledger, summary))
        except OSError as error:  # the network's are reasons of rows: this is the disk
            ledger.close()
            raise M3hError(f"{folder}: cannot be written ({error}). Mend that; the same command goes on.") from error
        except BaseException:
            ledger.close()
            raise
        ledger.finish()
    return summary


async def _run(
    targets: Iterator[Target], rules: CrawlRules, store: "_Store", ledger: Ledger, summary: CrawlSummary
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(LOOKUPS, "lookup"))
    with ThreadPoolExecutor((os.cpu_count() or 1) + 4) as pool:
        async for row in crawl(targets, rules, lambda fetched: loop.run_in_executor(pool, store.settle, fetched)):
            ledger.add(row)
            summary.add(row)


def _chosen(
    targets: Iterable[Target],
    ledger: Ledger,
    recrawl: bool,
    retry: Collection[str],
    summary: CrawlSummary,
    store: "_Store",
) -> Iterator[Target]:
    under_way: set[str] = set()
    for given in targets:
        target = replace(given, url=given.url.encode("utf-8", "replace").decode())  # what no table can hold goes
        known = ledger.rows.get(target.url)
        again = known is None or recrawl or known.reason in retry
        if not again or target.url in ledger.done or target.url in under_way:
            summary.skip()
            continue
        under_way.add(target.url)
        yield store.with_validators(target)


class _Store:
    """Pictures by the hash of their bytes. before: rows of earlier crawls, whose pictures may still stand."""

    def __init__(self, folder: Path, gate: Gate, before: dict[str, CrawlRow]) -> None:
        self._folder = folder
        self._gate = gate
        self._before = before

    def with_validators(self, target: Target) -> Target:
        """`target` with its ETag and date of the last crawl, where that picture is still here."""
        known = self._before.get(target.url)
        if known is None or target.etag or target.last_modified or not self.path(known.image_sha256).is_file():
            return target
        return Target(target.url, known.etag, known.last_modified)

    def settle(self, fetched: Fetched) -> CrawlRow:
        """The row of one target; its picture is stored first."""
        row = CrawlRow(
            fetched.url, fetched.status, fetched.reason, fetched.detail, fetched.http_status, fetched.final_url,
            fetched.etag, fetched.last_modified, datetime.now(timezone.utc).isoformat(timespec="seconds"),
            fetched.attempts,
        )  # fmt: skip
        if fetched.status == "not_modified":
            return self._still(row)
        if fetched.status == "failed":
            return row
        try:
            stored = self._gate(fetched.body)
            path = self.path(stored.image_sha256)
            if not path.exists():
                publish_bytes(path, fetched.body)
        except ImageFault as fault:
            return replace(row, status="failed", reason=fault.reason, detail=plain(fault.detail))
        except (OSError, M3hError):
            raise
        except Exception:  # a bug of the gate costs one picture and keeps its traceback
            return replace(row, status="failed", reason="crawl_error", detail=traceback.format_exc())
        return replace(row, status="stored", **vars(stored))

    def _still(self, row: CrawlRow) -> CrawlRow:
        """The picture of the last crawl, under the validators of this answer where it gave any."""
        before = self._before.get(row.url)
        if before is None:  # the caller brought the validators, and has the picture
            return row
        validators = {name: getattr(row, name) or getattr(before, name) for name in ("etag", "last_modified")}
        return replace(row, **validators, **before.picture())

    def path(self, image_sha256: str) -> Path:
        """Where a picture lies."""
        return self._folder / image_sha256[:2] / f"{image_sha256}.jpg"


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Only one crawl at a time may write one ledger."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: not a folder that can be written ({error.strerror}).") from error
    with alone(folder / f".{name}.lock", f"{folder}: another crawl is writing here; wait for it, or end it."):
        yield


def _sweep(folder: Path) -> None:
    """Remove what a killed crawl left half written."""
    for path in temp_files(folder):
        path.unlink(missing_ok=True)
