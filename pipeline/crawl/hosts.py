"""Each host's pace: a minimum time between requests, pauses it asked for, and whose turn it is."""

import asyncio
from collections import OrderedDict

from yarl import URL

from pipeline.crawl.rules import CrawlRules

HOSTS_KEPT = 10_000
"""Hosts remembered at once; of those at rest, the longest unused go first."""


def host_of(url: str) -> str:
    """The host whose limit a URL counts against: its name in ASCII and lower case, without port; "" for no URL.

    The key by which a cluster divides the work, so that one host's pace is kept by one task.
    """
    try:
        return (URL(url).raw_host or "").lower().rstrip(".")
    except ValueError:
        return ""


class NotYet(Exception):
    """The host wants no request before the picture's deadline. seconds: how long it wants to be left alone."""

    def __init__(self, host: "Host", seconds: float) -> None:
        super().__init__(f"{host.name} wants no request for {seconds:.0f} s")
        self.host = host
        self.seconds = seconds


class Host:
    """One host's pace. Times are of the event loop's clock."""

    def __init__(self, name: str, spacing: float, most: int, lead: float) -> None:
        self.name = name
        self.under_way = 0  # pictures, not requests
        self.most = most
        self._spacing = spacing
        self._lead = lead
        self._next = 0.0
        self._blocked_until = 0.0

    def block(self, seconds: float) -> None:
        """No request to this host for so long."""
        self._blocked_until = max(self._blocked_until, asyncio.get_running_loop().time() + seconds)

    def slow_down(self, seconds: float) -> None:
        """At least so long between two requests (robots.txt: Crawl-delay)."""
        if seconds > self._spacing:
            self._next += seconds - self._spacing
            self._spacing = seconds

    def ready_at(self) -> float:
        """When a picture may start: a little before its first request may go out."""
        return max(self._blocked_until, self._next - self._lead)

    def at_rest(self, now: float) -> bool:
        """Whether nothing would be forgotten with it."""
        return not self.under_way and max(self._blocked_until, self._next) < now

    async def turn(self, deadline: float) -> None:
        """Return when the next request may go out, to the moment. NotYet where that is after `deadline`."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            slot = max(now, self._next, self._blocked_until)
            if slot > deadline:
                raise NotYet(self, slot - now)
            self._next = slot + self._spacing
            if slot > now:
                await asyncio.sleep(slot - now)
            if self._blocked_until <= loop.time():
                return


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
