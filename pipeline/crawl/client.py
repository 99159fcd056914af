"""One request at a time: through the guard, at its host's pace, its answer read up to a limit."""

import asyncio
import email.utils
import itertools
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
from aiohttp.http_exceptions import TransferEncodingError
from yarl import URL

from pipeline.crawl.faults import CrawlFault
from pipeline.crawl.guard import Guard, GuardedResolver, Refused
from pipeline.crawl.hosts import Hosts, NotYet, host_of
from pipeline.crawl.rules import CrawlRules
from schemas.errors import MachineError, UsageError
from schemas.machine import is_exhausted, number_of, told

REDIRECTS = frozenset({301, 302, 303, 307, 308})
NEVER = float("inf")
deadline: ContextVar[float] = ContextVar("deadline", default=NEVER)
"""When the picture of this task is given up, on the event loop's clock."""

Answer = aiohttp.ClientResponse
T = TypeVar("T")


class PoliteConnector(aiohttp.TCPConnector):
    """A connection is handed out at its host's turn, the request follows at once; and only to whom we meant."""

    def __init__(self, rules: CrawlRules, guard: Guard, hosts: Hosts) -> None:
        super().__init__(
            resolver=GuardedResolver(guard),
            socket_factory=guard.open_socket,
            ssl=tls_context(rules),
            limit=0,  # as many as pictures are under way
            limit_per_host=rules.host_concurrency,
            ttl_dns_cache=60,
            keepalive_timeout=5.0,
        )
        self._guard = guard
        self._hosts = hosts

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """A connection to the request's host, at its turn; a fresh one where the server closed it during the wait."""
        connection = await self._checked(req, traces, timeout)
        try:
            await self._hosts.of(host_of(req.url)).turn(deadline.get())
        except BaseException:
            connection.close()
            raise
        if connection.transport is None or connection.transport.is_closing():
            connection.close()
            return await self._checked(req, traces, timeout)
        return connection

    async def _checked(self, req: Any, traces: Any, timeout: Any) -> Any:
        connection = await super().connect(req, traces, timeout)
        peer = connection.transport and connection.transport.get_extra_info("peername")
        try:
            if not peer:
                raise aiohttp.ServerDisconnectedError
            self._guard.check_socket(peer)
        except BaseException:
            connection.close()
            raise
        return connection


def tls_context(rules: CrawlRules) -> ssl.SSLContext:
    """Certificates are checked, always; `crawl.ca_file` adds authorities."""
    context = ssl.create_default_context()
    if rules.ca_file is not None:
        try:
            context.load_verify_locations(rules.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"crawl.ca_file {rules.ca_file}: not readable as PEM certificates ({error}).") from error
    return context


@dataclass
class Client:
    """A session: no cookies, no proxies of the environment, no redirects but our own, no decompression."""

    rules: CrawlRules
    guard: Guard
    hosts: Hosts

    async def __aenter__(self) -> "Client":
        rules = self.rules
        self._session = aiohttp.ClientSession(
            connector=PoliteConnector(rules, self.guard, self.hosts),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=rules.connect_seconds, sock_read=rules.read_seconds),
            headers={
                "User-Agent": rules.agent_header,
                "Accept": "image/jpeg, */*;q=0.5",
                "Accept-Encoding": "identity",
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def follow(
        self, url: URL, headers: Mapping[str, str], before: Callable[[URL], Awaitable[None]], judge: "Judge[T]"
    ) -> T:
        """GET with redirects, at most `crawl.max_redirects`: `before` may refuse each hop, `judge` makes of the answer
        what is wanted. CrawlFault for every expected failure, NotYet where a host's turn comes too late.
        """
        seen: set[URL] = set()
        while url not in seen:
            seen.add(url)
            if len(seen) > self.rules.max_redirects + 1:
                raise CrawlFault("crawl_redirects", f"more than {self.rules.max_redirects}")
            self.guard.check_url(url)
            await before(url)
            try:
                async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                    if answer.status not in REDIRECTS:
                        return await judge(answer)
                    url = _next(answer)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                if is_exhausted(error):  # no server is to blame
                    raise MachineError(told(number_of(error), "this machine")) from error
                raise fault_of(error) from error
        raise CrawlFault("crawl_redirects", f"a loop: {url}")

    def heed_throttling(self, answer: Answer) -> None:
        """CrawlFault where the answer asks for patience: its whole host is left alone, for as long as it says."""
        asked = retry_after(answer.headers)
        if answer.status == 429 or (answer.status == 503 and asked is not None):
            seconds = max(self.rules.backoff_seconds, backoff(self.rules, 1)) if asked is None else asked
            self.hosts.of(host_of(answer.url)).block(seconds)
            raise CrawlFault("crawl_throttled", f"{answer.status}, to wait {seconds:.0f} s", answer.status)


Judge = Callable[[Answer], Awaitable[T]]


def _next(answer: Answer) -> URL:
    location = answer.headers.get("Location")
    if not location:
        raise CrawlFault("crawl_redirects", "no Location", answer.status)
    try:
        return answer.url.join(URL(location)).with_fragment(None)
    except ValueError as error:
        raise CrawlFault("crawl_bad_url", f"redirected to {location!r}: {error}", answer.status) from error


def fault_of(error: Exception) -> CrawlFault:
    """The one cause of whatever the HTTP library raised before or in the header; `read` judges those in the body."""
    if isinstance(error, CrawlFault):
        return error
    detail = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return CrawlFault("crawl_tls", detail)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return CrawlFault("crawl_dns", detail)
    if any(isinstance(e, Refused) for e in (error, error.__cause__, getattr(error, "os_error", None))):
        return CrawlFault("crawl_forbidden_address", detail)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return CrawlFault("crawl_connect", detail)
    if isinstance(error, asyncio.TimeoutError):
        return CrawlFault("crawl_stalled", detail)
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return CrawlFault("crawl_disconnected", detail)
    if isinstance(error, aiohttp.InvalidURL):
        return CrawlFault("crawl_bad_url", detail)
    return CrawlFault("crawl_protocol", detail)


async def read(answer: Answer, limit: int, cut: bool = False) -> bytes:
    """The body, at most `limit` bytes. A longer one is cut off, or CrawlFault crawl_too_large as soon as it shows."""
    if not cut and (announced := answer.content_length) is not None and announced > limit:
        raise CrawlFault("crawl_too_large", f"{announced} bytes announced, at most {limit}", answer.status)
    chunks, size = [], 0
    try:
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            chunks.append(chunk)
            if size > limit:
                if cut:
                    break
                raise CrawlFault("crawl_too_large", f"more than {limit} bytes", answer.status)
    except aiohttp.ClientPayloadError as error:
        garbled = isinstance(error.__cause__, TransferEncodingError) and "Not enough data" not in str(error.__cause__)
        raise CrawlFault("crawl_protocol" if garbled else "crawl_truncated", str(error), answer.status) from error
    except asyncio.TimeoutError as error:
        raise CrawlFault("crawl_stalled", f"after {size} bytes", answer.status) from error
    except (aiohttp.ClientConnectionError, OSError) as error:
        raise CrawlFault("crawl_truncated", f"after {size} bytes: {error}", answer.status) from error
    return b"".join(chunks)[:limit]


def backoff(rules: CrawlRules, attempt: int) -> float:
    """Seconds before the next attempt, the first being 0: full jitter under a doubling ceiling."""
    return random.uniform(0, min(rules.backoff_max_seconds, rules.backoff_seconds * 2.0**attempt))  # noqa: S311


async def with_retries(once: Callable[[], Awaitable[T]], rules: CrawlRules) -> T:
    """`once`, and again after faults that may pass, as long as the task's deadline lets it. Raises the last fault."""
    loop = asyncio.get_running_loop()
    last: CrawlFault | None = None
    for attempt in itertools.count():
        try:
            return await once()
        except CrawlFault as fault:
            last = fault
        except NotYet:
            if last is None:
                raise
            raise last from None
        seconds = backoff(rules, attempt)
        if not last.worth_a_retry or attempt >= rules.retries or loop.time() + seconds > deadline.get():
            raise last
        await asyncio.sleep(seconds)
    raise AssertionError("unreachable")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the header asks for, spelled as a number or as a date; None where it is missing or neither.

    A date is compared with the server's own, where it states one: our clock may be wrong, or be set in between.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    try:
        now = email.utils.parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        now = time.time()
    return max(0.0, until - now)
