"""URLs in, pictures' bytes or faults out: each within its deadline, many at once, every host at its own pace."""

import asyncio
import re
import traceback
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from yarl import URL

from pipeline.crawl.client import Answer, Client, deadline, read, with_retries
from pipeline.crawl.faults import CrawlFault, plain
from pipeline.crawl.frontier import Frontier, Target
from pipeline.crawl.guard import Guard
from pipeline.crawl.hosts import Host, Hosts, NotYet
from pipeline.crawl.optout import refusing_directive, reserves_mining
from pipeline.crawl.policies import Policies
from pipeline.crawl.rules import CrawlRules
from pipeline.crawl.sizes import variants

__all__ = ["Fetched", "Target", "crawl"]

WINDOW = 2_000
"""Targets read ahead, so that hosts can take turns."""

R = TypeVar("R")


@dataclass(frozen=True)
class Fetched:
    """What became of one target.

    status: fetched (`body` is there), not_modified (the server says that what we have still stands) or failed.
    reason, detail: of a failure, see faults.REASONS; else "". http_status: of the last answer, 0 without one.
    final_url: the last URL asked for. attempts: how often; 0 where nothing was asked. seconds: how long it took.
    """

    url: str
    status: str
    reason: str = ""
    detail: str = ""
    http_status: int = 0
    final_url: str = ""
    etag: str = ""
    last_modified: str = ""
    body: bytes = b""
    attempts: int = 0
    seconds: float = 0.0


@overload
def crawl(targets: Iterable[Target], rules: CrawlRules) -> AsyncIterator[Fetched]: ...
@overload
def crawl(
    targets: Iterable[Target], rules: CrawlRules, settle: Callable[[Fetched], Awaitable[R]]
) -> AsyncIterator[R]: ...
async def crawl(
    targets: Iterable[Target], rules: CrawlRules, settle: Callable[[Fetched], Awaitable[Any]] | None = None
) -> AsyncIterator[Any]:
    """Every target once, in the order they end. UsageError where `crawl.contact` is empty.

    settle: awaited with each Fetched; what it returns is yielded in its place. A picture counts as under way until the
    caller asks for the next one, so never more than `crawl.concurrency` bodies are alive.
    """
    rules.require_contact()
    hosts = Hosts(rules)
    async with Client(rules, Guard(rules), hosts) as client:
        work = _Work(client, Frontier(iter(targets), hosts, WINDOW, rules.patience_seconds), settle)
        try:
            async with aclosing(work.results()) as results:
                async for result in results:
                    yield result
        finally:
            await work.stop()


class _Work:
    """The pictures under way."""

    def __init__(self, client: Client, frontier: Frontier, settle: Callable[[Fetched], Awaitable[Any]] | None) -> None:
        self._fetcher = _Fetcher(client)
        self._frontier = frontier
        self._settle = settle
        self._most = client.rules.concurrency
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended: deque[asyncio.Task[Any]] = deque()
        self._event = asyncio.Event()

    async def results(self) -> AsyncGenerator[Any, None]:
        """What `settle` made of each picture."""
        while True:
            self._start()
            if not self._tasks and self._frontier.empty:
                return
            if not self._ended:
                await self._sleep()
            while self._ended:
                task = self._ended.popleft()
                result = task.result()
                if result is not None:
                    yield result
                    del result
                self._tasks.discard(task)
                del task
                self._start()

    def _start(self) -> None:
        now = asyncio.get_running_loop().time()
        while len(self._tasks) < self._most and (picked := self._frontier.pick(now)):
            task = asyncio.create_task(self._one(*picked))
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._ended.append(task)
        self._event.set()

    async def _sleep(self) -> None:
        """Until a picture ends, or a host may be asked again and there is room for it."""
        wake = self._frontier.wake_at() if len(self._tasks) < self._most else None
        timer = wake and asyncio.get_running_loop().call_at(wake, self._event.set)
        await self._event.wait()
        self._event.clear()
        if timer:
            timer.cancel()

    async def _one(self, target: Target, host: Host) -> Any:
        """None for a target that went back to wait for its host."""
        try:
            fetched = await self._fetcher.fetch(target, host)
        except NotYet:
            self._frontier.done(host, back=target)
            return None
        self._frontier.done(host)
        return await self._settle(fetched) if self._settle else fetched

    async def stop(self) -> None:
        """End what is under way; its results are lost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fetcher.policies.close()


@dataclass
class _Course:
    """How far one picture has come."""

    target: Target
    url: URL = field(default_factory=URL)
    attempts: int = 0
    asked: bool = False  # a request went out


class _Fetcher:
    """One picture at a time."""

    def __init__(self, client: Client) -> None:
        self.policies = Policies(client)
        self._client = client
        self._rules = client.rules

    async def fetch(self, target: Target, host: Host) -> Fetched:
        """`target` within its deadline. NotYet where its host must be waited for and nothing was asked yet."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        deadline.set(started + self._rules.deadline_seconds)
        course = _Course(target)
        try:
            answer = await asyncio.wait_for(self._sizes(course), self._rules.deadline_seconds)
            return Fetched(target.url, attempts=course.attempts, seconds=loop.time() - started, **answer)
        except CrawlFault as error:
            fault = error
        except asyncio.TimeoutError:
            fault = CrawlFault("crawl_timeout", f"not whole in {self._rules.deadline_seconds:g} s")
        except NotYet as late:
            if not course.asked and late.host is host and late.seconds <= self._rules.patience_seconds:
                raise
            fault = CrawlFault("crawl_throttled", str(late))
        except Exception:  # a bug of ours: it costs one picture, keeps its traceback, and the crawl says so at its end
            fault = CrawlFault("crawl_error")
            fault.detail = traceback.format_exc()
        return Fetched(
            target.url, "failed", fault.reason, fault.detail, fault.status, str(course.url),
            attempts=course.attempts, seconds=loop.time() - started,
        )  # fmt: skip

    async def _sizes(self, course: _Course) -> dict[str, Any]:
        *others, given = variants(parsed(course.target.url), self._rules.image_size)
        for url in others:
            try:
                return await self._size(url, course)
            except CrawlFault as fault:
                if fault.reason != "crawl_gone":
                    raise
        return await self._size(given, course)

    async def _size(self, url: URL, course: _Course) -> dict[str, Any]:
        headers = {}
        if course.target.etag:
            headers["If-None-Match"] = course.target.etag
        if course.target.last_modified:
            headers["If-Modified-Since"] = course.target.last_modified

        async def allowed(url: URL) -> None:
            course.asked |= url is not first
            course.url = url
            await self.policies.check(url)

        async def once() -> dict[str, Any]:
            course.attempts += 1
            try:
                return await self._client.follow(first, headers, allowed, lambda answer: self._judge(answer, headers))
            except NotYet:
                course.attempts -= 1
                raise
            except CrawlFault:
                course.asked = True
                raise

        first = url
        return await with_retries(once, self._rules)

    async def _judge(self, answer: Answer, asked: dict[str, str]) -> dict[str, Any]:
        """Fields of Fetched. CrawlFault where this is no picture for us."""
        self._client.heed_throttling(answer)
        unchanged = answer.status == 304 and bool(asked)
        if not unchanged and (reason := status_reason(answer.status)):
            raise CrawlFault(reason, f"{answer.status} {answer.reason or ''}", answer.status)
        self._heed_optout(answer)
        found = {
            "status": "not_modified" if unchanged else "fetched",
            "http_status": answer.status,
            "final_url": str(answer.url),
            "etag": _validator(answer, "ETag"),
            "last_modified": _validator(answer, "Last-Modified"),
        }
        if unchanged:
            return found
        if (encoding := answer.headers.get("Content-Encoding", "identity").lower()) != "identity":
            raise CrawlFault("crawl_encoded", encoding, answer.status)
        if answer.content_type in NOT_PICTURES and "Content-Type" in answer.headers:
            raise CrawlFault("crawl_not_image", answer.content_type, answer.status)
        body = await read(answer, self._rules.max_bytes)
        if not body:
            raise CrawlFault("crawl_empty", "", answer.status)
        return {**found, "body": body}

    def _heed_optout(self, answer: Answer) -> None:
        if self._rules.x_robots_tag:
            word = refusing_directive(answer.headers.getall("X-Robots-Tag", []), self._rules.user_agent)
            if word:
                raise CrawlFault("crawl_noai", word, answer.status)
        if self._rules.tdm and reserves_mining(answer.headers):
            raise CrawlFault("crawl_tdm", "tdm-reservation: 1", answer.status)


NOT_PICTURES = frozenset({"text/html", "application/xhtml+xml", "application/json", "text/xml", "application/xml"})
"""Content types of which no byte is read. Any other is judged by the bytes: servers often name a picture wrongly."""


def status_reason(status: int) -> str | None:
    """The fault that a status is; None for one that comes with the picture."""
    if status in (200, 203):
        return None
    if status == 204:
        return "crawl_empty"
    if status in (404, 410):
        return "crawl_gone"
    if status in (401, 402, 403, 407, 451):
        return "crawl_denied"
    if 400 <= status < 500:
        return "crawl_http_4xx"
    return "crawl_http_5xx" if 500 <= status < 600 else "crawl_protocol"


_NO_URL = re.compile("[\x00-\x20\x7f\ud800-\udfff]")


def parsed(url: str) -> URL:
    """A target's URL. CrawlFault where it is none."""
    if _NO_URL.search(url):
        raise CrawlFault("crawl_bad_url", f"a space or control character: {url!r}")
    try:
        return URL(url).with_fragment(None)
    except ValueError as error:
        raise CrawlFault("crawl_bad_url", f"{url}: {error}") from error


def _validator(answer: Answer, name: str) -> str:
    """ETag or Last-Modified, where it can be sent back as it came."""
    value = answer.headers.get(name, "")
    return value if value.isascii() and value.isprintable() and plain(value) == value else ""
