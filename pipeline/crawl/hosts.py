"""The pace of each host: the time between two requests, the pauses that it asked for, and the order of requests."""

import asyncio
import math
import random
from collections import OrderedDict

from yarl import URL

from m3h.pipeline.crawl.rules import CrawlRules

MAX_HOSTS = 10_000
"""Most hosts that are remembered. When there are more, the idle ones that were unused longest are forgotten."""


def host_of(url: str | URL) -> str:
    """The host whose limit a URL counts against: its name in ASCII and lower case, without port; "" without a host.

    A cluster divides the work by this key, so that one task keeps the pace of a host.
    """
    try:
        return ((URL(url) if isinstance(url, str) else url).raw_host or "").lower().rstrip(".")
    except ValueError:
        return ""


def pause_of(rules: CrawlRules, refusals: int) -> float:
    """Seconds that a host is left alone after so many refusals in a row. They double, and no two hosts keep step."""
    at_least = rules.backoff_seconds * 2.0 ** min(refusals - 1, _MOST_DOUBLINGS)
    return min(rules.backoff_max_seconds, at_least * random.uniform(1, 2))  # noqa: S311


_MOST_DOUBLINGS = 30
"""More would be no number in the end."""


class TurnTooLate(Exception):
    """The next free turn of a host comes after the picture's deadline. seconds: until that turn."""

    def __init__(self, host: "Host", seconds: float) -> None:
        super().__init__(f"{host.name} takes no request for {seconds:.0f} s")
        self.host = host
        self.seconds = seconds


class Host:
    """The pace of one host. Times are on the event loop's clock.

    A turn comes only when the spacing since the last request has really passed. So the requests never become faster to
    make up for a delay of the event loop.
    """

    def __init__(self, name: str, spacing: float, max_under_way: int, *, lead: float) -> None:
        """A host that was not asked yet.

        Args:
            name: the host name, see `host_of`.
            spacing: least seconds between two requests.
            max_under_way: most pictures of this host that are downloaded at once.
            lead: seconds by which a picture starts before its first request may be sent.
        """
        self.name = name
        self.under_way = 0  # pictures, not requests
        self.max_under_way = max_under_way
        self._spacing = spacing
        self._lead = lead
        self._refusals = 0  # since its last other answer; those that it sent during a pause count once
        self._pause = 0.0  # the last one that a refusal led to
        self._last_request = -math.inf
        self._blocked_until = -math.inf
        self._in_line = 0
        self._turn_lock = asyncio.Lock()

    def block(self, seconds: float) -> None:
        """Send no request to this host for `seconds`."""
        self._blocked_until = max(self._blocked_until, asyncio.get_running_loop().time() + seconds)

    def refused(self, requested: float, rules: CrawlRules) -> float:
        """Note that the host asked for a pause, and give it one. Returns its seconds.

        The pauses double from one refusal to the next, and then the host rests. What it asks for is never undercut.

        Args:
            requested: the seconds that it asked for, 0 where it named none.
            rules: the limits and the pace.
        """
        if asyncio.get_running_loop().time() >= self._blocked_until:  # else it answers what was sent before the pause
            self._refusals += 1
            self._pause = pause_of(rules, self._refusals)
        if self._refusals >= rules.refusals:
            self._pause = max(self._pause, rules.rest_seconds)
        self.block(seconds := max(self._pause, requested))
        return seconds

    def answered(self) -> None:
        """Note that the host answered without asking for a pause."""
        self._refusals, self._pause = 0, 0.0

    @property
    def _gap(self) -> float:
        """Least seconds between two requests now. A host that refuses is asked by one picture at a time."""
        return max(self._spacing, self._pause)

    def slow_down(self, seconds: float) -> None:
        """Wait at least `seconds` between two requests (robots.txt: Crawl-delay)."""
        self._spacing = max(self._spacing, seconds)

    def ready_at(self) -> float:
        """The time at which a picture may start: a little before its first request may be sent."""
        return max(self._blocked_until, self._last_request + self._gap * (1 + self._in_line) - self._lead)

    def is_idle(self, now: float) -> bool:
        """Whether this host can be forgotten without losing a limit."""
        return not self.under_way and not self._in_line and self._next_turn() < now

    def _next_turn(self) -> float:
        return max(self._blocked_until, self._last_request + self._gap)

    async def wait_for_turn(self, deadline: float) -> None:
        """Return at the time when the next request may be sent. TurnTooLate when that is after `deadline`."""
        loop = asyncio.get_running_loop()
        self._check_deadline(max(loop.time(), self._next_turn()) + self._in_line * self._gap, deadline)
        self._in_line += 1
        try:
            async with self._turn_lock:
                while (turn := self._next_turn()) > (now := loop.time()):
                    self._check_deadline(turn, deadline)
                    await asyncio.sleep(turn - now)
                self._last_request = now
        finally:
            self._in_line -= 1

    def _check_deadline(self, turn: float, deadline: float) -> None:
        if turn > deadline:
            raise TurnTooLate(self, turn - asyncio.get_running_loop().time())


class Hosts:
    """All hosts of a crawl."""

    def __init__(self, rules: CrawlRules) -> None:
        self._rules = rules
        self._hosts: OrderedDict[str, Host] = OrderedDict()

    def get(self, name: str) -> Host:
        """The host of this name. It is the same object until the host is idle."""
        host = self._hosts.get(name)
        if host is None:
            self._forget_idle()
            rules = self._rules
            lead = min(1.0, rules.deadline_seconds / 4)
            host = self._hosts[name] = Host(name, rules.spacing, rules.host_concurrency, lead=lead)
        self._hosts.move_to_end(name)
        return host

    def _forget_idle(self) -> None:
        if len(self._hosts) < MAX_HOSTS:
            return
        now = asyncio.get_running_loop().time()
        for name in [name for name, host in self._hosts.items() if host.is_idle(now)][: MAX_HOSTS // 2]:
            del self._hosts[name]
