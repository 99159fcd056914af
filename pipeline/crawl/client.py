"""Sends one HTTP request at a time: checked by the guard, at the pace of its host, with a limit on the body's size."""

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

from m3h.pipeline.crawl.faults import CrawlFault
from m3h.pipeline.crawl.guard import AddressRefused, Guard, GuardedResolver
from m3h.pipeline.crawl.hosts import Hosts, TurnTooLate, host_of
from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.crawl.urls import redirect_target
from m3h.schemas.errors import MachineError, UsageError
from m3h.schemas.machine import fault_message, is_exhausted, number_of

REDIRECTS = frozenset({301, 302, 303, 307, 308})
NEVER = float("inf")
deadline: ContextVar[float] = ContextVar("deadline", default=NEVER)
"""The time at which the current task gives up its picture, on the event loop's clock."""

Response = aiohttp.ClientResponse
T = TypeVar("T")


class PoliteConnector(aiohttp.TCPConnector):
    """Hands out a connection only when it is the host's turn, and only to an address that the guard allows.

    The request follows at once, so that its host sees it at that time.
    """

    def __init__(self, rules: CrawlRules, guard: Guard, hosts: Hosts) -> None:
        super().__init__(
            resolver=GuardedResolver(guard),
            socket_factory=guard.open_socket,
            ssl=tls_context(rules),
            limit=0,  # the number of pictures under way limits the connections
            limit_per_host=rules.host_concurrency,
            ttl_dns_cache=60,
            keepalive_timeout=5.0,
        )
        self._guard = guard
        self._hosts = hosts

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """A connection to the request's host. When the server closes it during the wait, a new one is opened.

        Args:
            req: aiohttp's request.
            traces: passed on to aiohttp.
            timeout: passed on to aiohttp.
        """
        connection = await self._checked_connection(req, traces, timeout)
        try:
            await self._hosts.get(host_of(req.url)).wait_for_turn(deadline.get())
        except BaseException:
            connection.close()
            raise
        if connection.transport is None or connection.transport.is_closing():
            connection.close()
            return await self._checked_connection(req, traces, timeout)
        return connection

    async def _checked_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
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
    """Certificates are always checked. `crawl.ca_file` adds certificate authorities to those of the system."""
    context = ssl.create_default_context()
    if rules.ca_file is not None:
        try:
            context.load_verify_locations(rules.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"crawl.ca_file {rules.ca_file}: not readable as PEM certificates ({error}).") from error
    return context


@dataclass
class Client:
    """An HTTP session without cookies, environment proxies, automatic redirects or decompression."""

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

    async def get(
        self,
        url: URL,
        headers: Mapping[str, str],
        check: Callable[[URL], Awaitable[None]],
        *,
        handle: "ResponseHandler[T]",
    ) -> T:
        """Send a GET request, follow redirects, and return what `handle` makes of the response.

        TurnTooLate is raised when a host cannot be asked before the deadline.

        Args:
            url: the URL to ask for.
            headers: headers beside those of every request.
            check: called with the URL of each hop before the request; raises CrawlFault to refuse it.
            handle: called with the first response that is not a redirect.

        Raises:
            CrawlFault: more than `crawl.max_redirects` redirects, a loop of them, or any expected failure.
            MachineError: this machine has run out of a resource, such as open files.
        """
        seen: set[URL] = set()
        while url not in seen:
            seen.add(url)
            if len(seen) > self.rules.max_redirects + 1:
                raise CrawlFault("crawl_redirects", f"more than {self.rules.max_redirects}")
            self.guard.check_url(url)
            await check(url)
            try:
                async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                    if response.status not in REDIRECTS:
                        return await handle(response)
                    url = _redirect_target(response)
            except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
                if is_exhausted(error):  # not the fault of any server
                    raise MachineError(fault_message(number_of(error), "this machine")) from error
                raise fault_of(error) from error
        raise CrawlFault("crawl_redirects", f"a loop: {url}")

    def raise_if_throttled(self, response: Response) -> None:
        """CrawlFault when the response asks for a pause. Its host then gets no request for as long as it asks."""
        requested, host = retry_after(response.headers), self.hosts.get(host_of(response.url))
        if response.status != 429 and (response.status != 503 or requested is None):
            host.answered()
            return
        seconds = host.refused(requested or 0.0, self.rules)
        raise CrawlFault("crawl_throttled", f"{response.status}, to wait {seconds:.0f} s", response.status)


ResponseHandler = Callable[[Response], Awaitable[T]]


def _redirect_target(response: Response) -> URL:
    location = response.headers.get("Location")
    if not location:
        raise CrawlFault("crawl_redirects", "no Location", response.status)
    return redirect_target(response.url, location)


def fault_of(error: Exception) -> CrawlFault:
    """The CrawlFault for an error of the HTTP library before the body; `read_body` handles errors within the body."""
    if isinstance(error, CrawlFault):
        return error
    detail = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return CrawlFault("crawl_tls", detail)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return CrawlFault("crawl_dns", detail)
    if any(isinstance(e, AddressRefused) for e in (error, error.__cause__, getattr(error, "os_error", None))):
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


async def read_body(response: Response, limit: int, truncate: bool = False) -> bytes:
    """The body of a response.

    Args:
        response: a response whose header was read.
        limit: most bytes to return.
        truncate: whether a longer body is cut at `limit`; otherwise it is a fault as soon as its length is known.

    Raises:
        CrawlFault: the body is too large, incomplete or malformed, or no byte came in time.
    """
    if not truncate and (announced := response.content_length) is not None and announced > limit:
        raise CrawlFault("crawl_too_large", f"{announced} bytes announced, at most {limit}", response.status)
    chunks, size = [], 0
    try:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            chunks.append(chunk)
            if size > limit:
                if truncate:
                    break
                raise CrawlFault("crawl_too_large", f"more than {limit} bytes", response.status)
    except aiohttp.ClientPayloadError as error:
        malformed = isinstance(error.__cause__, TransferEncodingError) and "Not enough data" not in str(error.__cause__)
        raise CrawlFault("crawl_protocol" if malformed else "crawl_truncated", str(error), response.status) from error
    except asyncio.TimeoutError as error:
        raise CrawlFault("crawl_stalled", f"after {size} bytes", response.status) from error
    except (aiohttp.ClientConnectionError, OSError) as error:
        raise CrawlFault("crawl_truncated", f"after {size} bytes: {error}", response.status) from error
    return b"".join(chunks)[:limit]


def backoff(rules: CrawlRules, attempt: int) -> float:
    """Seconds to wait after attempt number `attempt` (from 0): random from 0 to a maximum that doubles each time."""
    return random.uniform(0, min(rules.backoff_max_seconds, rules.backoff_seconds * 2.0**attempt))  # noqa: S311


async def with_retries(request: Callable[[], Awaitable[T]], rules: CrawlRules) -> T:
    """The result of `request`. It is repeated after temporary faults while the task's deadline allows it.

    After the last attempt, the last fault is raised. The library stamina is not used: this module decides which faults
    are temporary, how long to wait, and what the deadline and the host allow, so only the loop would be left to it.
    """
    loop = asyncio.get_running_loop()
    last_fault: CrawlFault | None = None
    for attempt in itertools.count():
        try:
            return await request()
        except CrawlFault as fault:
            last_fault = fault
        except TurnTooLate:
            if last_fault is None:
                raise
            raise last_fault from None
        seconds = backoff(rules, attempt)
        if not last_fault.worth_a_retry or attempt >= rules.retries or loop.time() + seconds > deadline.get():
            raise last_fault
        await asyncio.sleep(seconds)
    raise AssertionError("unreachable")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the Retry-After header asks for, as a number or as a date. None when it is missing or malformed.

    A date is compared with the server's own Date header if there is one, because our clock may be wrong.
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
