"""Downloads one picture. The result is its bytes, "not modified", or a failure with one reason."""

import asyncio
import traceback
from dataclasses import dataclass, field
from typing import TypedDict

from yarl import URL

from m3h.pipeline.crawl.client import Client, Response, deadline, read_body, with_retries
from m3h.pipeline.crawl.faults import CrawlFault, one_line
from m3h.pipeline.crawl.frontier import Target
from m3h.pipeline.crawl.hosts import Host, TurnTooLate
from m3h.pipeline.crawl.optout import refusing_directive, reserves_mining
from m3h.pipeline.crawl.policies import Policies
from m3h.pipeline.crawl.sizes import variants
from m3h.pipeline.crawl.urls import parse_url


@dataclass(frozen=True)
class Fetched:
    """The result of one target.

    status: fetched (`body` is set), not_modified (the picture of an earlier crawl is still current) or failed.
    reason, detail: of a failure, see faults.REASONS; else "". http_status: of the last response, 0 without one.
    final_url: the last URL that was requested. attempts: number of attempts, 0 when no request was sent.
    seconds: how long it took.
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


class _HeaderFields(TypedDict):
    """The fields of Fetched that come from a response's header."""

    status: str
    http_status: int
    final_url: str
    etag: str
    last_modified: str


class _ResponseFields(_HeaderFields, total=False):
    """The fields of Fetched that come from a response."""

    body: bytes


@dataclass
class _Download:
    """The state of one download."""

    target: Target
    url: URL = field(default_factory=URL)  # the last URL that was requested
    attempts: int = 0
    requested: bool = False  # whether a request was sent


class Fetcher:
    """Downloads pictures, each within its deadline."""

    def __init__(self, client: Client) -> None:
        self.policies = Policies(client)
        self._client = client
        self._rules = client.rules

    async def fetch(self, target: Target, host: Host) -> Fetched:
        """Download `target`. TurnTooLate when no request was sent yet and the host must be waited for."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        deadline.set(started + self._rules.deadline_seconds)
        download = _Download(target)
        try:
            fields = await asyncio.wait_for(self._fetch_size(download), self._rules.deadline_seconds)
            return Fetched(target.url, attempts=download.attempts, seconds=loop.time() - started, **fields)
        except CrawlFault as error:
            fault = error
        except asyncio.TimeoutError:
            fault = CrawlFault("crawl_timeout", f"not complete within {self._rules.deadline_seconds:g} s")
        except TurnTooLate as late:
            if not download.requested and late.host is host and late.seconds <= self._rules.patience_seconds:
                raise
            fault = CrawlFault("crawl_throttled", str(late))
        except Exception:  # a bug of ours loses only this picture; its traceback is kept and the crawl exits with 1
            fault = CrawlFault("crawl_error")
            fault.detail = traceback.format_exc()
        return Fetched(
            target.url, "failed", fault.reason, fault.detail, fault.status, str(download.url),
            attempts=download.attempts, seconds=loop.time() - started,
        )  # fmt: skip

    async def _fetch_size(self, download: _Download) -> _ResponseFields:
        """The picture in the preferred size, or as the URL has it when that size does not exist."""
        *preferred, original = variants(parse_url(download.target.url), self._rules.image_size)
        for url in preferred:
            try:
                return await self._fetch_url(url, download)
            except CrawlFault as fault:
                if fault.reason != "crawl_gone":
                    raise
        return await self._fetch_url(original, download)

    async def _fetch_url(self, first_url: URL, download: _Download) -> _ResponseFields:
        headers = {}
        if download.target.etag:
            headers["If-None-Match"] = download.target.etag
        if download.target.last_modified:
            headers["If-Modified-Since"] = download.target.last_modified

        async def check(url: URL) -> None:
            download.requested |= url is not first_url
            download.url = url
            await self.policies.check(url)

        async def request() -> _ResponseFields:
            download.attempts += 1
            try:
                return await self._client.get(
                    first_url, headers, check, handle=lambda response: self._handle(response, bool(headers))
                )
            except TurnTooLate:
                download.attempts -= 1
                raise
            except CrawlFault:
                download.requested = True
                raise

        return await with_retries(request, self._rules)

    async def _handle(self, response: Response, conditional: bool) -> _ResponseFields:
        """The response's fields of Fetched. CrawlFault when it does not carry a picture that we may use.

        conditional: whether the request had a condition, so that 304 is a valid status.
        """
        self._client.raise_if_throttled(response)
        unchanged = response.status == 304 and conditional
        if not unchanged and (reason := status_reason(response.status)):
            raise CrawlFault(reason, f"{response.status} {response.reason or ''}", response.status)
        self._raise_if_opted_out(response)
        fields: _ResponseFields = {
            "status": "not_modified" if unchanged else "fetched",
            "http_status": response.status,
            "final_url": str(response.url),
            "etag": _condition_header(response, "ETag"),
            "last_modified": _condition_header(response, "Last-Modified"),
        }
        if not unchanged:
            fields["body"] = await self._read_picture(response)
        return fields

    async def _read_picture(self, response: Response) -> bytes:
        if (encoding := response.headers.get("Content-Encoding", "identity").lower()) != "identity":
            raise CrawlFault("crawl_encoded", encoding, response.status)
        if response.content_type in DOCUMENT_TYPES and "Content-Type" in response.headers:
            raise CrawlFault("crawl_not_image", response.content_type, response.status)
        body = await read_body(response, self._rules.max_bytes)
        if not body:
            raise CrawlFault("crawl_empty", "", response.status)
        return body

    def _raise_if_opted_out(self, response: Response) -> None:
        if self._rules.x_robots_tag:
            directive = refusing_directive(response.headers.getall("X-Robots-Tag", []), self._rules.user_agent)
            if directive:
                raise CrawlFault("crawl_noai", directive, response.status)
        if self._rules.tdm and reserves_mining(response.headers):
            raise CrawlFault("crawl_tdm", "tdm-reservation: 1", response.status)


DOCUMENT_TYPES = frozenset({"text/html", "application/xhtml+xml", "application/json", "text/xml", "application/xml"})
"""Content types whose body is not read. With any other type the bytes decide, because servers often name it wrongly."""


def status_reason(status: int) -> str | None:
    """The reason for a failure with this HTTP status. None for a status that comes with a picture."""
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


def _condition_header(response: Response, name: str) -> str:
    """The value of ETag or Last-Modified; "" when it cannot be sent back unchanged with a later request."""
    value = response.headers.get(name, "")
    return value if value.isascii() and value.isprintable() and one_line(value) == value else ""
