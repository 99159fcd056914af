"""Which picture is next: of the hosts that may be asked now, each in its turn."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.crawl.hosts import Host, Hosts, host_of


@dataclass(frozen=True)
class Target:
    """A URL to fetch. etag, last_modified: as the server gave them when it was last fetched, or ""."""

    url: str
    etag: str = ""
    last_modified: str = ""


class Frontier:
    """A window over the targets, sorted by host, so that a slow host does not hold up the others.

    Targets are read only as far as the window reaches. A host is in line, asleep (until it may be asked again), or
    waiting for one of its pictures to end.
    """

    def __init__(self, targets: Iterator[Target], hosts: Hosts, window: int, patience: float) -> None:
        self._targets = targets
        self._hosts = hosts
        self._window = window
        self._patience = patience
        self._waiting: defaultdict[str, deque[Target]] = defaultdict(deque)
        self._held = 0
        self._line: deque[str] = deque()  # names of hosts
        self._asleep: list[tuple[float, str]] = []
        self._placed: set[str] = set()  # in line or asleep
        self._ended = False

    def pick(self, now: float) -> tuple[Target, Host] | None:
        """A target whose host may be asked now; None where there is none."""
        self._fill()
        while self._asleep and self._asleep[0][0] <= now:
            self._line.append(heapq.heappop(self._asleep)[1])
        while self._line:
            name = self._line.popleft()
            self._placed.discard(name)
            waiting = self._waiting[name]
            host = self._hosts.of(name)
            if not waiting:
                del self._waiting[name]
            elif host.under_way < host.most:
                if now < (ready := host.ready_at()) <= now + self._patience:
                    self._placed.add(name)
                    heapq.heappush(self._asleep, (ready, name))
                    continue
                target = waiting.popleft()
                self._held -= 1
                host.under_way += 1
                self._place(name)
                return target, host
        return None

    def wake_at(self) -> float | None:
        """When the next sleeping host may be asked."""
        return self._asleep[0][0] if self._asleep else None

    def done(self, host: Host, back: Target | None = None) -> None:
        """A picture of `host` ended; or it must wait, and comes back as the host's next one."""
        host.under_way -= 1
        if back is not None:
            self._waiting[host.name].appendleft(back)
            self._held += 1
        self._place(host.name)

    @property
    def empty(self) -> bool:
        """Whether every target was picked."""
        return self._ended and not self._held

    def _place(self, name: str) -> None:
        if self._waiting.get(name) and name not in self._placed:
            self._placed.add(name)
            self._line.append(name)

    def _fill(self) -> None:
        while not self._ended and self._held < self._window:
            target = next(self._targets, None)
            if target is None:
                self._ended = True
                return
            name = host_of(target.url)
            self._waiting[name].append(target)
            self._held += 1
            self._place(name)
