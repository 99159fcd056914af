"""What a site's own files allow: robots.txt (RFC 9309) and /.well-known/tdmrep.json, fetched once an origin."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from protego import Protego
from yarl import URL

from pipeline.crawl.client import Answer, Client, deadline, read, with_retries
from pipeline.crawl.faults import CrawlFault
from pipeline.crawl.hosts import NotYet, host_of
from pipeline.crawl.optout import tdm_rules

FILE_BYTES = 500 * 1024  # RFC 9309 asks for at least so many; what follows is not read
BYTES_KEPT = 32 * 1024 * 1024
GOOD_SECONDS, BAD_SECONDS = 24 * 3600.0, 300.0
"""How long an origin's files count (RFC 9309: at most a day), and how long its failure to give them does."""
INLINE_BYTES = 20_000  # longer files are parsed in a thread


@dataclass(frozen=True)
class Policy:
    """robots, tdm: None where everything is allowed. fault: why nothing is. size: about the bytes it takes."""

    robots: Protego | None
    tdm: Protego | None
    fault: CrawlFault | None
    until: float
    size: int = 1000


class Policies:
    """The files of all origins, the least used forgotten first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._rules = client.rules
        self._known: OrderedDict[URL, Policy] = OrderedDict()
        self._size = 0
        self._fetching: dict[URL, asyncio.Task[Policy]] = {}

    async def check(self, url: URL) -> None:
        """CrawlFault where the site does not want `url` fetched."""
        if not (self._rules.robots or self._rules.tdm):
            return
        policy = await self._of(url.origin())
        agent = self._rules.user_agent
        if policy.fault:
            raise CrawlFault(policy.fault.reason, policy.fault.detail, policy.fault.status, final=True)
        if policy.robots and not policy.robots.can_fetch(str(url), agent):
            raise CrawlFault("crawl_robots", str(url))
        if policy.tdm and not policy.tdm.can_fetch(str(url), agent):
            raise CrawlFault("crawl_tdm", f"tdmrep.json: {url}")

    async def close(self) -> None:
        """End what is still being fetched."""
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    async def _of(self, origin: URL) -> Policy:
        now = asyncio.get_running_loop().time()
        known = self._known.get(origin)
        if known and known.until > now:
            self._known.move_to_end(origin)
            return known
        if origin not in self._fetching:
            task = self._fetching[origin] = asyncio.create_task(self._fetch(origin))
            task.add_done_callback(lambda done: self._keep(origin, done))
        return await asyncio.shield(self._fetching[origin])

    def _keep(self, origin: URL, done: asyncio.Task[Policy]) -> None:
        del self._fetching[origin]
        if done.cancelled() or done.exception():
            return
        if old := self._known.pop(origin, None):
            self._size -= old.size
        self._known[origin] = done.result()
        self._size += done.result().size
        while self._size > BYTES_KEPT:
            self._size -= self._known.popitem(last=False)[1].size

    async def _fetch(self, origin: URL) -> Policy:
        """At most three quarters of a picture's deadline, so that those who wait for it learn its fault in time."""
        loop = asyncio.get_running_loop()
        robots, rules = b"", None
        if self._rules.robots:
            try:
                robots = await self._within(self._rules.deadline_seconds / 2, self._robots_file(origin))
            except CrawlFault as fault:
                return Policy(None, None, _about_robots(fault), loop.time() + BAD_SECONDS)
            rules = await _parsed(robots)
        tdm = await self._tdm_file(origin, rules) if self._rules.tdm else b""
        if rules:
            self._slow_down(origin, rules)
        return Policy(rules, tdm_rules(tdm), None, loop.time() + GOOD_SECONDS, len(robots) + len(tdm) + 1000)

    async def _within(self, seconds: float, work: Coroutine[Any, Any, bytes]) -> bytes:
        deadline.set(asyncio.get_running_loop().time() + seconds)
        try:
            return await asyncio.wait_for(work, seconds)
        except asyncio.TimeoutError as error:
            raise CrawlFault("crawl_timeout", f"nothing in {seconds:g} s") from error

    async def _robots_file(self, origin: URL) -> bytes:
        """RFC 9309: what the server says is not there (4xx, or redirects without end) forbids nothing."""

        async def judge(answer: Answer) -> bytes:
            self._client.heed_throttling(answer)
            if answer.status >= 500:
                raise CrawlFault("crawl_http_5xx", str(answer.status), answer.status)
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise CrawlFault("crawl_encoded", answer.headers["Content-Encoding"], answer.status)
            return await read(answer, FILE_BYTES, cut=True) if answer.status == 200 else b""

        url = origin.with_path("/robots.txt")
        try:
            return await with_retries(lambda: self._client.follow(url, {}, _anything, judge), self._rules)
        except CrawlFault as fault:
            if fault.reason == "crawl_redirects":
                return b""
            raise

    async def _tdm_file(self, origin: URL, rules: Protego | None) -> bytes:
        """Where the file cannot be had, nothing is reserved."""

        async def judge(answer: Answer) -> bytes:
            self._client.heed_throttling(answer)
            return await read(answer, FILE_BYTES) if answer.status == 200 else b""

        url = origin.with_path("/.well-known/tdmrep.json")
        if rules and not rules.can_fetch(str(url), self._rules.user_agent):
            return b""
        try:
            return await self._within(self._rules.deadline_seconds / 4, self._client.follow(url, {}, _anything, judge))
        except (CrawlFault, NotYet):
            return b""

    def _slow_down(self, origin: URL, rules: Protego) -> None:
        agent = self._rules.user_agent
        delay = rules.crawl_delay(agent) or 0.0
        if rate := rules.request_rate(agent):
            delay = max(delay, rate.seconds / max(rate.requests, 1))
        self._client.hosts.of(host_of(origin)).slow_down(delay)


async def _anything(_: URL) -> None:
    """A site's own files are not themselves subject to them."""


async def _parsed(body: bytes) -> Protego:
    text = body.decode("utf-8", "replace")
    return Protego.parse(text) if len(body) < INLINE_BYTES else await asyncio.to_thread(Protego.parse, text)


def _about_robots(fault: CrawlFault) -> CrawlFault:
    reason = "crawl_robots_unreachable" if fault.reason == "crawl_http_5xx" else fault.reason
    return CrawlFault(reason, f"robots.txt: {fault.detail}", fault.status, final=True)
