"""Reads what a site allows: robots.txt (RFC 9309) and /.well-known/tdmrep.json, requested once per origin."""

import asyncio
import codecs
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass

from protego import Protego
from yarl import URL

from m3h.pipeline.crawl.client import Client, Response, deadline, read_body, with_retries
from m3h.pipeline.crawl.faults import CrawlFault
from m3h.pipeline.crawl.hosts import TurnTooLate, host_of
from m3h.pipeline.crawl.optout import tdm_rules

FILE_BYTES = 500 * 1024  # bytes that are read of a file; RFC 9309 asks for at least so many
CACHE_BYTES = 32 * 1024 * 1024
POLICY_SECONDS, FAILURE_SECONDS = 24 * 3600.0, 300.0
"""How long an origin's files are valid (RFC 9309: at most a day), and how long a failed request for them is."""
INLINE_BYTES = 20_000  # longer files are parsed in a thread


@dataclass(frozen=True)
class Policy:
    """What one origin allows.

    robots, tdm: the rules; None allows everything. fault: why nothing is allowed. until: end of validity, on the event
    loop's clock. size: bytes of memory, approximately.
    """

    robots: Protego | None
    tdm: Protego | None
    fault: CrawlFault | None
    until: float
    size: int = 1000


class Policies:
    """The policies of all origins. When they take too much memory, the least recently used are forgotten."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._rules = client.rules
        self._known: OrderedDict[URL, Policy] = OrderedDict()
        self._size = 0
        self._fetching: dict[URL, asyncio.Task[Policy]] = {}

    async def check(self, url: URL) -> None:
        """CrawlFault when the site does not allow `url` to be requested."""
        if not (self._rules.robots or self._rules.tdm):
            return
        policy = await self._policy_of(url.origin())
        agent = self._rules.user_agent
        if policy.fault:
            raise CrawlFault(policy.fault.reason, policy.fault.detail, policy.fault.status, final=True)
        if policy.robots and not policy.robots.can_fetch(str(url), agent):
            raise CrawlFault("crawl_robots", str(url))
        if policy.tdm and not policy.tdm.can_fetch(str(url), agent):
            raise CrawlFault("crawl_tdm", f"tdmrep.json: {url}")

    async def close(self) -> None:
        """Cancel the requests that are under way."""
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    async def _policy_of(self, origin: URL) -> Policy:
        now = asyncio.get_running_loop().time()
        known = self._known.get(origin)
        if known and known.until > now:
            self._known.move_to_end(origin)
            return known
        if origin not in self._fetching:
            task = self._fetching[origin] = asyncio.create_task(self._fetch(origin))
            task.add_done_callback(lambda task: self._keep(origin, task))
        return await asyncio.shield(self._fetching[origin])

    def _keep(self, origin: URL, task: asyncio.Task[Policy]) -> None:
        del self._fetching[origin]
        if task.cancelled() or task.exception():
            return
        if old := self._known.pop(origin, None):
            self._size -= old.size
        self._known[origin] = task.result()
        self._size += task.result().size
        while self._size > CACHE_BYTES:
            self._size -= self._known.popitem(last=False)[1].size

    async def _fetch(self, origin: URL) -> Policy:
        """Takes at most three quarters of a picture's deadline, so that waiting pictures fail with the right reason."""
        loop = asyncio.get_running_loop()
        robots, rules = b"", None
        if self._rules.robots:
            try:
                robots = await _with_timeout(self._rules.deadline_seconds / 2, self._robots_file(origin))
            except CrawlFault as fault:
                return Policy(None, None, _robots_fault(fault), loop.time() + FAILURE_SECONDS)
            rules = await _parsed(robots)
        tdm = await self._tdm_file(origin, rules) if self._rules.tdm else b""
        if rules:
            self._slow_down(origin, rules)
        return Policy(rules, tdm_rules(tdm), None, loop.time() + POLICY_SECONDS, len(robots) + len(tdm) + 1000)

    async def _robots_file(self, origin: URL) -> bytes:
        """The bytes of robots.txt. RFC 9309: with a 4xx status or too many redirects, nothing is forbidden."""

        async def handle(response: Response) -> bytes:
            self._client.raise_if_throttled(response)
            if response.status >= 500:
                raise CrawlFault("crawl_http_5xx", str(response.status), response.status)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise CrawlFault("crawl_encoded", response.headers["Content-Encoding"], response.status)
            return await read_body(response, FILE_BYTES, truncate=True) if response.status == 200 else b""

        url = origin.with_path("/robots.txt")
        try:
            return await with_retries(lambda: self._client.get(url, {}, _allow, handle=handle), self._rules)
        except CrawlFault as fault:
            if fault.reason == "crawl_redirects":
                return b""
            raise

    async def _tdm_file(self, origin: URL, rules: Protego | None) -> bytes:
        """The bytes of tdmrep.json. When the request fails, nothing is reserved."""

        async def handle(response: Response) -> bytes:
            self._client.raise_if_throttled(response)
            return await read_body(response, FILE_BYTES) if response.status == 200 else b""

        url = origin.with_path("/.well-known/tdmrep.json")
        if rules and not rules.can_fetch(str(url), self._rules.user_agent):
            return b""
        try:
            request = self._client.get(url, {}, _allow, handle=handle)
            return await _with_timeout(self._rules.deadline_seconds / 4, request)
        except (CrawlFault, TurnTooLate):
            return b""

    def _slow_down(self, origin: URL, rules: Protego) -> None:
        agent = self._rules.user_agent
        delay = rules.crawl_delay(agent) or 0.0
        if rate := rules.request_rate(agent):
            delay = max(delay, rate.seconds / max(rate.requests, 1))
        self._client.hosts.get(host_of(origin)).slow_down(delay)


async def _with_timeout(seconds: float, request: Coroutine[object, object, bytes]) -> bytes:
    deadline.set(asyncio.get_running_loop().time() + seconds)
    try:
        return await asyncio.wait_for(request, seconds)
    except asyncio.TimeoutError as error:
        raise CrawlFault("crawl_timeout", f"no result within {seconds:g} s") from error


async def _allow(_: URL) -> None:
    """Allow every URL: the rules of robots.txt and tdmrep.json do not apply to these files themselves."""


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def robots_text(body: bytes) -> str:
    """The text of a robots.txt.

    RFC 9309 demands UTF-8. Sites also serve it with a byte-order mark, which would hide the first line from a parser,
    and in UTF-16, which would hide every line.
    """
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    if b"\0" in body[:2]:  # no text in UTF-8 has that
        return body.decode("utf-16-be" if body[:1] == b"\0" else "utf-16-le", "replace")
    return body.decode("utf-8", "replace")


async def _parsed(body: bytes) -> Protego:
    text = robots_text(body)
    return Protego.parse(text) if len(body) < INLINE_BYTES else await asyncio.to_thread(Protego.parse, text)


def _robots_fault(fault: CrawlFault) -> CrawlFault:
    """The fault of the pictures of an origin when its robots.txt failed with `fault`."""
    reason = "crawl_robots_unreachable" if fault.reason == "crawl_http_5xx" else fault.reason
    return CrawlFault(reason, f"robots.txt: {fault.detail}", fault.status, final=True)
