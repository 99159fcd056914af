"""One picture: asked for, judged by the answer's header, read whole, or failed with its one reason."""

import asyncio
import re
import traceback
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from pipeline.crawl.client import Answer, Client, deadline, read, with_retries
from pipeline.crawl.faults import CrawlFault, plain
from pipeline.crawl.frontier import Target
from pipeline.crawl.hosts import Host, NotYet
from pipeline.crawl.optout import refusing_directive, reserves_mining
from pipeline.crawl.policies import Policies
from pipeline.crawl.sizes import variants


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


@dataclass
class _Course:
    """How far one picture has come."""

    target: Target
    url: URL = field(default_factory=URL)
    attempts: int = 0
    asked: bool = False  # a request went out


class Fetcher:
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
