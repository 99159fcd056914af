"""Commands that use the network: crawl."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import LifoQueue
from typing import Annotated, TextIO

import typer

from pipeline.commands.options import CORES, JsonOption, ProgressOption
from pipeline.images import StoredImage
from pipeline.rules import ImageRules
from schemas.console import DONE, FAILED, say
from schemas.errors import UsageError


def crawl_command(
    urls: Annotated[str, typer.Option("--urls", help="File with one URL a line, or - for standard input.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the pictures and crawl.parquet.")],
    config: Annotated[Path | None, typer.Option("--config", help="YAML file with any of the fields.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE, over the file.")] = None,
    recrawl: Annotated[bool, typer.Option("--recrawl", help="Ask again for every URL whether it changed.")] = False,
    retry_reason: Annotated[
        list[str] | None, typer.Option("--retry-reason", help="Ask again for URLs that failed so, such as crawl_dns.")
    ] = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Image URLs -> a folder of pictures and the status of every URL. The same command goes on after an interruption.

    \b
    python -m pipeline crawl --urls urls.txt --out pictures --set crawl.contact=me@example.org
    python -m pipeline crawl --urls urls.txt --out pictures --config build.yaml --retry-reason crawl_throttled crawl_dns
    zcat urls.gz | python -m pipeline crawl --urls - --out pictures --config build.yaml --set crawl.host_rate=2
    """
    from pipeline.config import BuildConfig
    from pipeline.crawl.fetch import Target
    from pipeline.crawl.room import CrawlSummary, crawl_into
    from pipeline.progress import Watch
    from pipeline.tally import Count
    from schemas.config import resolve

    settings = resolve(BuildConfig, config, set_ or ())
    summary = CrawlSummary()
    total, began = _count(urls), time.time()

    def look() -> dict[str, tuple[Count, int | None]]:
        settled = summary.statuses.total()
        count = Count(settled, summary.known, dropped=summary.reasons.copy(), began=began, ended=time.time())
        return {"crawl": (count, total)}

    with _opened(urls) as lines, _gates(settings.image) as gate, Watch(look, progress, "crawl"):
        targets = (Target(url) for line in lines if (url := line.strip()))
        crawl_into(
            out, targets, settings.crawl, gate,
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
    return FAILED if summary.broken else DONE


@contextlib.contextmanager
def _gates(rules: ImageRules) -> Iterator[Callable[[bytes], StoredImage]]:
    """As many gates as there are cores, each started when it is first needed."""
    from pipeline.gate import Gate

    free: LifoQueue[Gate] = LifoQueue()

    def inspect(body: bytes) -> StoredImage:
        gate = free.get()
        try:
            return gate.inspect(body)
        finally:
            free.put(gate)

    with contextlib.ExitStack() as all_of_them:
        for _ in range(CORES):
            free.put(all_of_them.enter_context(Gate(rules)))
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
    """Lines of the file, for the progress; None where that is not known before its end."""
    if urls == "-" or not Path(urls).is_file():
        return None
    with open(urls, "rb") as file:
        return sum(1 for line in file if line.strip())
