"""Each host's pace: a minimum time between requests, pauses it asked for, and whose turn it is."""

import asyncio
import math
from collections import OrderedDict

from yarl import URL

from pipeline.crawl.rules import CrawlRules

HOSTS_KEPT = 10_000
"""Hosts remembered at once; of those at rest, the longest unused go first."""


def host_of(url: str | URL) -> str:
    """The host whose limit a URL counts against: its name in ASCII and lower case, without port; "" for no URL.

    The key by which a cluster divides the work, so that one host's pace is kept by one task.
    """
    try:
        return ((URL(url) if isinstance(url, str) else url).raw_host or "").lower().rstrip(".")
    except ValueError:
        return ""


class NotYet(Exception):
    """The host wants no request before the picture's deadline. seconds: how long it wants to be left alone."""

    def __init__(self, host: "Host", seconds: float) -> None:
        super().__init__(f"{host.name} wants no request for {seconds:.0f} s")
        self.host = host
        self.seconds = seconds


class Host:
    """One host's pace. Times are of the event loop's clock.

    Turns are given one after the other, each when the one before is really over: a loop that was held up lets nobody
    catch up.
    """

    def __init__(self, name: str, spacing: float, most: int, lead: float) -> None:
        self.name = name
        self.under_way = 0  # pictures, not requests
        self.most = most
        self._spacing = spacing
        self._lead = lead
        self._last = -math.inf
        self._blocked_until = -math.inf
        self._in_line = 0
        self._line = asyncio.Lock()

    def block(self, seconds: float) -> None:
        """No request to this host for so long."""
        self._blocked_until = max(self._blocked_until, asyncio.get_running_loop().time() + seconds)

    def slow_down(self, seconds: float) -> None:
        """At least so long between two requests (robots.txt: Crawl-delay)."""
        self._spacing = max(self._spacing, seconds)

    def ready_at(self) -> float:
        """When a picture may start: a little before its first request may go out."""
        return max(self._blocked_until, self._last + self._spacing * (1 + self._in_line) - self._lead)

    def at_rest(self, now: float) -> bool:
        """Whether nothing would be forgotten with it."""
        return not self.under_way and not self._in_line and self._next() < now

    def _next(self) -> float:
        return max(self._blocked_until, self._last + self._spacing)

    async def turn(self, deadline: float) -> None:
        """Return when the next request may go out, to the moment. NotYet where that is after `deadline`."""
        loop = asyncio.get_running_loop()
        self._refuse_late(max(loop.time(), self._next()) + self._in_line * self._spacing, deadline)
        self._in_line += 1
        try:
            async with self._line:
                while (slot := self._next()) > (now := loop.time()):
                    self._refuse_late(slot, deadline)
                    await asyncio.sleep(slot - now)
                self._last = now
        finally:
            self._in_line -= 1

    def _refuse_late(self, slot: float, deadline: float) -> None:
        if slot > deadline:
            raise NotYet(self, slot - asyncio.get_running_loop().time())


class Hosts:
    """All hosts under way."""

    def __init__(self, rules: CrawlRules) -> None:
        self._rules = rules
        self._known: OrderedDict[str, Host] = OrderedDict()

    def of(self, name: str) -> Host:
        """The host of this name; the same object as long as it matters."""
        host = self._known.get(name)
        if host is None:
            self._forget()
            rules = self._rules
            lead = min(1.0, rules.deadline_seconds / 4)
            host = self._known[name] = Host(name, rules.spacing, rules.host_concurrency, lead)
        self._known.move_to_end(name)
        return host

    def _forget(self) -> None:
        if len(self._known) < HOSTS_KEPT:
            return
        now = asyncio.get_running_loop().time()
        for name in [name for name, host in self._known.items() if host.at_rest(now)][: HOSTS_KEPT // 2]:
            del self._known[name]
