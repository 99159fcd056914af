"""Chooses the next picture among the hosts that may be asked now. Hosts take turns."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from m3h.pipeline.crawl.hosts import Host, Hosts, host_of


@dataclass(frozen=True)
class Target:
    """A URL to download. etag, last_modified: as the server sent them in an earlier crawl, or ""."""

    url: str
    etag: str = ""
    last_modified: str = ""


class Frontier:
    """A window over the targets, grouped by host, so that a slow host does not delay the others.

    Targets are read only as far as the window reaches. A host is in one of three states: ready, sleeping until it may
    be asked again, or waiting until one of its pictures ends.
    """

    def __init__(self, targets: Iterator[Target], hosts: Hosts, window: int, *, patience: float) -> None:
        """Start with an empty window.

        Args:
            targets: the URLs to download, in order.
            hosts: the pace of every host.
            window: most targets that are read ahead.
            patience: longest pause of a host, in seconds, that is waited for. With a longer pause the host's targets
                are handed out at once, and fail.
        """
        self._targets = targets
        self._hosts = hosts
        self._window = window
        self._patience = patience
        self._waiting: defaultdict[str, deque[Target]] = defaultdict(deque)
        self._waiting_count = 0
        self._ready: deque[str] = deque()  # names of hosts
        self._sleeping: list[tuple[float, str]] = []
        self._queued: set[str] = set()  # names of the ready and the sleeping hosts
        self._ended = False

    def pick(self, now: float) -> tuple[Target, Host] | None:
        """A target whose host may be asked now; None when there is none. now: the event loop's time."""
        self._fill()
        while self._sleeping and self._sleeping[0][0] <= now:
            self._ready.append(heapq.heappop(self._sleeping)[1])
        while self._ready:
            name = self._ready.popleft()
            self._queued.discard(name)
            waiting = self._waiting[name]
            host = self._hosts.get(name)
            if not waiting:
                del self._waiting[name]
            elif host.under_way < host.max_under_way:
                if now < (ready_at := host.ready_at()) <= now + self._patience:
                    self._queued.add(name)
                    heapq.heappush(self._sleeping, (ready_at, name))
                    continue
                target = waiting.popleft()
                self._waiting_count -= 1
                host.under_way += 1
                self._queue(name)
                return target, host
        return None

    def wake_at(self) -> float | None:
        """The time at which the next sleeping host may be asked; None when no host sleeps."""
        return self._sleeping[0][0] if self._sleeping else None

    def done(self, host: Host, back: Target | None = None) -> None:
        """A picture of `host` ended. back: the target, when it must wait and shall be the host's next one."""
        host.under_way -= 1
        if back is not None:
            self._waiting[host.name].appendleft(back)
            self._waiting_count += 1
        self._queue(host.name)

    @property
    def empty(self) -> bool:
        """Whether every target was picked."""
        return self._ended and not self._waiting_count

    def _queue(self, name: str) -> None:
        if self._waiting.get(name) and name not in self._queued:
            self._queued.add(name)
            self._ready.append(name)

    def _fill(self) -> None:
        while not self._ended and self._waiting_count < self._window:
            target = next(self._targets, None)
            if target is None:
                self._ended = True
                return
            name = host_of(target.url)
            self._waiting[name].append(target)
            self._waiting_count += 1
            self._queue(name)
