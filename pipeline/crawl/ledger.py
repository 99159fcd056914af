"""What became of every URL: a journal while the crawl runs, a table once it has ended.

    crawl.parquet         one row a URL, sorted by URL; replaced whole at the end of a crawl
    crawl.journal.jsonl   rows of the crawl under way, appended one by one; gone once they are in the table
    crawl.run.json        in a dataset under work: which run ended, so that it is not made again

A row is handed to the system as soon as it is there, so a killed crawl loses none; it is on the disk within a second,
so a power cut loses at most that. Pictures are on the disk before their row.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.images import StoredImage
from schemas.errors import IntegrityError
from schemas.files import publish_json, publish_table, read_json
from schemas.parquet import read_parquet

SYNC_SECONDS = 1.0

CRAWL_SCHEMA = pa.schema(
    [
        ("url", pa.string()),
        ("status", pa.string()),  # stored, not_modified (the picture of an earlier crawl still stands) or failed
        ("reason", pa.string()),  # of a failure: pipeline.crawl.faults.REASONS, or image_… of the gate
        ("detail", pa.string()),
        ("http_status", pa.int32()),  # of the last answer; 0 without one
        ("final_url", pa.string()),
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("fetched_at", pa.string()),  # UTC, to the second
        ("attempts", pa.int32()),
        ("image_sha256", pa.string()),  # from here on as StoredImage; empty for a failure
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("phash", pa.string()),
        ("places", pa.string()),
    ]
)

STABLE_SCHEMA = pa.schema([field for field in CRAWL_SCHEMA if field.name not in ("fetched_at", "attempts")])
"""Of a dataset's tables: what two crawls of the same pictures have in common."""


@dataclass(frozen=True)
class CrawlRow:
    """One URL's row of CRAWL_SCHEMA."""

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
    places: str = ""

    def picture(self) -> dict[str, Any]:
        """The fields of its StoredImage."""
        return {name: getattr(self, name) for name in PICTURE_FIELDS}


PICTURE_FIELDS = tuple(field.name for field in fields(StoredImage))


class Ledger:
    """Rows of one crawl folder. rows: all known, by URL. done: the URLs settled by the run under way.

    earlier: folder of the table that this one takes the place of later; a run that ended is then still under way.
    """

    def __init__(self, folder: Path, name: str = "crawl", earlier: Path | None = None) -> None:
        self._earlier = earlier / f"{name}.parquet" if earlier else None
        self._ended = folder / f"{name}.run.json"
        self.table = folder / f"{name}.parquet"
        self.journal = folder / f"{name}.journal.jsonl"
        self.rows: dict[str, CrawlRow] = {}
        self.done: set[str] = set()

    def begin(self, run: Mapping[str, Any]) -> None:
        """Go on with an interrupted run of the same kind; one of another kind is put into the table first."""
        self._run = dict(run)
        if self._earlier and not self.table.is_file():
            self.rows = read_table(self._earlier)
        else:
            self.rows = read_table(self.table)
        if self._earlier and self._ended.is_file() and read_json(self._ended) == dict(run):
            self.done = set(self.rows)
        head, unfinished = read_journal(self.journal)
        self.rows.update(unfinished)
        if head == dict(run):
            self.done |= set(unfinished)
        elif unfinished:
            self._publish()
        self._open(fresh=head != dict(run))
        if head != dict(run):
            self._append({"run": dict(run)})

    def add(self, row: CrawlRow) -> None:
        """One URL is settled."""
        self.rows[row.url] = row
        self.done.add(row.url)
        self._append(vars(row))

    def finish(self) -> None:
        """The run ended: its rows go into the table, the journal goes."""
        self._publish()
        if self._earlier:
            publish_json(self._ended, self._run)
        self.close()
        self.journal.unlink()

    def close(self) -> None:
        """Leave the journal as it is, on the disk."""
        os.fsync(self._file)
        os.close(self._file)

    def _open(self, fresh: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if fresh else 0)
        self._file = os.open(self.journal, flags, 0o644)
        self._synced = time.monotonic()
        if not fresh:
            os.ftruncate(self._file, _whole_bytes(self.journal))  # a line cut short by a kill

    def _append(self, value: Mapping[str, Any]) -> None:
        line = (json.dumps(value, ensure_ascii=False) + "\n").encode()
        while line:
            line = line[os.write(self._file, line) :]
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._file)
            self._synced = time.monotonic()

    def _publish(self) -> None:
        write_table(self.table, self.rows.values())


def write_table(path: Path, rows: Iterable[CrawlRow], schema: pa.Schema = CRAWL_SCHEMA) -> None:
    """Rows as a table, sorted by URL."""
    plain = [vars(row) for row in sorted(rows, key=lambda row: row.url)]
    publish_table(path, pa.Table.from_pylist(plain, schema=schema))


def read_table(path: Path) -> dict[str, CrawlRow]:
    """Rows of a finished crawl by URL; none where there is no table. IntegrityError where it is no such table."""
    if not path.is_file():
        return {}
    table = read_parquet(path)
    if table.schema.names not in (CRAWL_SCHEMA.names, STABLE_SCHEMA.names):
        raise IntegrityError(f"{path}: expected the columns {CRAWL_SCHEMA.names}, got {table.schema.names}.")
    return {row["url"]: CrawlRow(**row) for row in table.to_pylist()}


def read_journal(path: Path) -> tuple[dict[str, Any] | None, dict[str, CrawlRow]]:
    """The kind of run, None without a journal, and its rows by URL. A last line without its end does not count."""
    if not path.is_file():
        return None, {}
    head: dict[str, Any] | None = None
    rows: dict[str, CrawlRow] = {}
    known = {field.name for field in fields(CrawlRow)}
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                value = json.loads(line)
                if head is None:
                    head = value["run"]
                elif set(value) == known:
                    rows[value["url"]] = CrawlRow(**value)
                else:
                    raise ValueError("other fields")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise IntegrityError(f"{path}: line {number} is damaged; remove the file to crawl anew.") from error
    return head, rows


def _whole_bytes(path: Path) -> int:
    """Size of the file up to its last line end."""
    with open(path, "rb") as file:
        return sum(len(line) for line in file if line.endswith(b"\n"))
