"""Commands that use the network: crawl."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import LifoQueue
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from m3h.pipeline.commands.options import CORES, JsonOption, ProgressOption
from m3h.schemas.console import DONE, FAILED, say, writable_folder
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    from m3h.pipeline.images.store import StoredImage
    from m3h.pipeline.rules import ImageRules


def crawl_command(
    urls: Annotated[str, typer.Option("--urls", help="File with one URL in each line, or - for standard input.")],
    out: Annotated[
        Path, typer.Option("--out", callback=writable_folder, help="Folder for the pictures and crawl.parquet.")
    ],
    config: Annotated[Path | None, typer.Option("--config", help="YAML file with any of the fields.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE, over the file.")] = None,
    recrawl: Annotated[
        bool, typer.Option("--recrawl", help="Ask again for every URL whether its picture has changed.")
    ] = False,
    retry_reason: Annotated[
        list[str] | None,
        typer.Option("--retry-reason", help="Fetch URLs that failed for these reasons again, such as crawl_dns."),
    ] = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Image URLs -> a folder of pictures and the status of every URL. If it is interrupted, the same command continues.

    \b
    m3h crawl --urls urls.txt --out pictures --set crawl.contact=me@example.org
    m3h crawl --urls urls.txt --out pictures --config build.yaml --retry-reason crawl_throttled crawl_dns
    zcat urls.gz | m3h crawl --urls - --out pictures --config build.yaml --set crawl.host_rate=2
    """
    from m3h.pipeline.config import BuildConfig
    from m3h.pipeline.crawl.crawler import CrawlSummary, crawl_into
    from m3h.pipeline.crawl.fetch import Target
    from m3h.pipeline.progress.counts import Count
    from m3h.pipeline.progress.monitor import Watch
    from m3h.schemas.config import resolve

    settings = resolve(BuildConfig, config, set_ or ())
    summary = CrawlSummary()
    total, began = _count(urls), time.time()

    def look() -> dict[str, tuple[Count, int | None]]:
        settled = summary.statuses.total()
        count = Count(settled, summary.known, dropped=summary.reasons.copy(), began=began, ended=time.time())
        return {"crawl": (count, total)}

    with _opened(urls) as lines, _validators(settings.image) as validator, Watch(look, progress, "crawl"):
        targets = (Target(url) for line in lines if (url := line.strip()))
        crawl_into(
            out, targets, settings.crawl, validator=validator,
            recrawl=recrawl, retry=retry_reason or (), summary=summary,
        )  # fmt: skip
    plain = {
        "stored": summary.statuses["stored"],
        "not_modified": summary.statuses["not_modified"],
        "failed": dict(sorted(summary.reasons.items())),
        "known": summary.known,
    }
    listed = ", ".join(f"{reason} {n}" for reason, n in summary.reasons.most_common())
    text = f"stored {plain['stored']}, not modified {plain['not_modified']}, failed {summary.statuses['failed']}"
    text += (f" ({listed})" if listed else "") + f", known before {summary.known}\npictures: {out}"
    say(plain, as_json, text)
    return FAILED if summary.bugs else DONE


@contextlib.contextmanager
def _validators(rules: "ImageRules") -> "Iterator[Callable[[bytes], StoredImage]]":
    """As many validators as there are cores. Each is started when it is first needed."""
    from m3h.pipeline.images.validator import Validator

    free: LifoQueue[Validator] = LifoQueue()

    def inspect(body: bytes) -> "StoredImage":
        validator = free.get()
        try:
            return validator.inspect(body)
        finally:
            free.put(validator)

    with contextlib.ExitStack() as validators:
        for _ in range(CORES):
            free.put(validators.enter_context(Validator(rules)))
        yield inspect


@contextlib.contextmanager
def _opened(urls: str) -> Iterator[TextIO]:
    if urls == "-":
        yield sys.stdin
        return
    if not Path(urls).is_file():
        raise UsageError(f"--urls {urls}: no such file.")
    with open(urls, encoding="utf-8", errors="replace") as file:
        yield file


def _count(urls: str) -> int | None:
    """The number of URLs in the file, for the progress; None for standard input."""
    if urls == "-" or not Path(urls).is_file():
        return None
    with open(urls, "rb") as file:
        return sum(1 for line in file if line.strip())
