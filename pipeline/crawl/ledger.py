"""The ledger stores the result of every URL, in a journal while the crawl runs and in a table after it has ended.

    crawl.parquet         one row per URL, sorted by URL; replaced as a whole at the end of a crawl
    crawl.journal.jsonl   rows of the running crawl, appended one by one; removed once they are in the table
    crawl.run.json        only during a build: the parameters of the run that ended, so that it is not repeated

Each row is written to the journal at once, so a killed crawl loses no row. It is synced to the disk within a second, so
a power failure loses at most the rows of one second. A picture is on the disk before its row.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from m3h.pipeline.images.store import StoredImage
from m3h.pipeline.text.pii import stored_path, stored_url
from m3h.schemas.errors import IntegrityError
from m3h.schemas.files import publish_json, publish_table, read_json
from m3h.schemas.inside import file_in
from m3h.schemas.parquet import read_parquet

SYNC_SECONDS = 1.0
"""Most seconds between two syncs of the journal to the disk, while rows are added."""

CRAWL_SCHEMA = pa.schema(
    [
        ("url", pa.string()),
        ("status", pa.string()),  # stored, not_modified (the picture of an earlier crawl is still current) or failed
        ("reason", pa.string()),  # of a failure: one of faults.REASONS, or an image_… reason of the validator
        ("detail", pa.string()),
        ("http_status", pa.int32()),  # of the last response; 0 without one
        ("final_url", pa.string()),
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("fetched_at", pa.string()),  # UTC, to the second
        ("attempts", pa.int32()),
        ("image_sha256", pa.string()),  # this and the following columns are those of StoredImage; empty for a failure
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("phash", pa.string()),
        ("keypoints", pa.string()),
    ]
)

STABLE_SCHEMA = pa.schema([field for field in CRAWL_SCHEMA if field.name not in ("fetched_at", "attempts")])
"""The schema of a dataset's tables, without the columns that differ between two crawls of the same pictures."""


@dataclass(frozen=True)
class CrawlRow:
    """The row of one URL, with the columns of CRAWL_SCHEMA."""

    url: str
    status: str
    reason: str = ""
    detail: str = ""
    http_status: int = 0
    final_url: str = ""
    etag: str = ""
    last_modified: str = ""
    fetched_at: str = ""
    attempts: int = 0
    image_sha256: str = ""
    bytes: int = 0
    width: int = 0
    height: int = 0
    mode: str = ""
    phash: str = ""
    keypoints: str = ""

    def masked(self) -> "CrawlRow":
        """As a dataset stores it: without what names a person. `Ledger.know_again` finds it by its URL."""
        return replace(
            self, url=stored_url(self.url), final_url=stored_url(self.final_url), detail=stored_path(self.detail)
        )

    def picture(self) -> dict[str, Any]:
        """The fields of its StoredImage by name."""
        return {name: getattr(self, name) for name in PICTURE_FIELDS}


PICTURE_FIELDS = tuple(field.name for field in fields(StoredImage))


class Ledger:
    """The results of a crawl.

    rows: the known results by URL. done: the URLs with a result of the current run.
    """

    def __init__(self, folder: Path, name: str = "crawl", earlier: Path | None = None) -> None:
        """A ledger without rows; `begin` reads them.

        Args:
            folder: where the ledger's files are.
            name: the beginning of the files' names.
            earlier: folder of an older table that the new one will replace. The current run then goes on until the
                new table is published, even after `finish`.
        """
        self._earlier_table = file_in(earlier, f"{name}.parquet") if earlier else None
        self._ended_run = file_in(folder, f"{name}.run.json")
        self.table = file_in(folder, f"{name}.parquet")
        self.journal = file_in(folder, f"{name}.journal.jsonl")
        self.rows: dict[str, CrawlRow] = {}
        self.done: set[str] = set()

    def begin(self, run: Mapping[str, object]) -> None:
        """Continue an interrupted run with the same parameters `run`, or start a new one.

        Rows of an interrupted run with other parameters are put into the table first.
        """
        self._run = dict(run)
        if self._earlier_table and not self.table.is_file():
            self.rows = read_table(self._earlier_table)
        else:
            self.rows = read_table(self.table)
        if self._earlier_table and self._ended_run.is_file() and read_json(self._ended_run) == dict(run):
            self.done = set(self.rows)
        interrupted_run, unfinished = read_journal(self.journal)
        same_run = interrupted_run == dict(run)
        self.rows.update(unfinished)
        if same_run:
            self.done |= set(unfinished)
        elif unfinished:
            self._publish()
        self._open(fresh=not same_run)
        if not same_run:
            self._append({"run": dict(run)})

    def know_again(self, urls: Iterable[str]) -> None:
        """Give rows of a finished dataset, which are masked, the URLs that they are about."""
        for url in urls:
            if (name := stored_url(url)) != url and (row := self.rows.pop(name, None)):
                self.rows.setdefault(url, replace(row, url=url))

    def add(self, row: CrawlRow) -> None:
        """Store the result of one URL."""
        self.rows[row.url] = row
        self.done.add(row.url)
        self._append(vars(row))

    def finish(self) -> None:
        """End the run: write the table and remove the journal."""
        self._publish()
        if self._earlier_table:
            publish_json(self._ended_run, self._run)
        self.close()
        self.journal.unlink()

    def close(self) -> None:
        """Sync the journal to the disk and leave it as it is."""
        os.fsync(self._file)
        os.close(self._file)

    def _open(self, fresh: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0)
        if self.journal.exists() and self.journal.stat().st_nlink > 1:  # it is the one file that is written in place
            raise IntegrityError(f"{self.journal}: has another name elsewhere (a hard link). Remove it.")
        self._file = os.open(self.journal, flags, 0o644)
        self._synced = time.monotonic()
        if not fresh:
            os.ftruncate(self._file, _complete_bytes(self.journal))  # a kill may have left an incomplete line

    def _append(self, value: Mapping[str, object]) -> None:
        line = (json.dumps(value, ensure_ascii=False) + "\n").encode()
        while line:
            line = line[os.write(self._file, line) :]
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._file)
            self._synced = time.monotonic()

    def _publish(self) -> None:
        write_table(self.table, self.rows.values())


def write_table(path: Path, rows: Iterable[CrawlRow], schema: pa.Schema = CRAWL_SCHEMA) -> None:
    """Write a table of rows, sorted by URL.

    Args:
        path: the Parquet file, replaced as a whole.
        rows: the rows in any order.
        schema: the columns to write: CRAWL_SCHEMA or STABLE_SCHEMA.
    """
    records = [vars(row) for row in sorted(rows, key=lambda row: row.url)]
    publish_table(path, pa.Table.from_pylist(records, schema=schema))


def read_table(path: Path) -> dict[str, CrawlRow]:
    """The rows of a finished crawl by URL; {} when the file does not exist. IntegrityError for another table."""
    if not path.is_file():
        return {}
    table = read_parquet(path)
    if table.schema.names not in (CRAWL_SCHEMA.names, STABLE_SCHEMA.names):
        raise IntegrityError(f"{path}: expected the columns {CRAWL_SCHEMA.names}, got {table.schema.names}.")
    return {row["url"]: CrawlRow(**row) for row in table.to_pylist()}


def read_journal(path: Path) -> tuple[dict[str, object] | None, dict[str, CrawlRow]]:
    """The parameters of the run and its rows by URL; (None, {}) without a journal.

    An incomplete last line is ignored.
    """
    if not path.is_file():
        return None, {}
    run: dict[str, object] | None = None
    rows: dict[str, CrawlRow] = {}
    names = {field.name for field in fields(CrawlRow)}
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                value = json.loads(line)
                if run is None:
                    run = value["run"]
                elif set(value) == names:
                    rows[value["url"]] = CrawlRow(**value)
                else:
                    raise ValueError("other fields")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise IntegrityError(f"{path}: line {number} is damaged. Remove the file to crawl again.") from error
    return run, rows


def _complete_bytes(path: Path) -> int:
    """The size of the file up to its last line end."""
    with open(path, "rb") as file:
        return sum(len(line) for line in file if line.endswith(b"\n"))
