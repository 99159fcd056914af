"""URLs in, pictures' bytes or faults out: each within its deadline, many at once, every host at its own pace."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, TypeVar, overload

from pipeline.crawl.client import Client
from pipeline.crawl.frontier import Frontier, Target
from pipeline.crawl.guard import Guard
from pipeline.crawl.hosts import Host, Hosts, NotYet
from pipeline.crawl.picture import Fetched, Fetcher
from pipeline.crawl.rules import CrawlRules

__all__ = ["Fetched", "Target", "crawl"]

WINDOW = 2_000
"""Targets read ahead, so that hosts can take turns."""

R = TypeVar("R")


@overload
def crawl(targets: Iterable[Target], rules: CrawlRules) -> AsyncIterator[Fetched]: ...
@overload
def crawl(
    targets: Iterable[Target], rules: CrawlRules, settle: Callable[[Fetched], Awaitable[R]]
) -> AsyncIterator[R]: ...
async def crawl(
    targets: Iterable[Target], rules: CrawlRules, settle: Callable[[Fetched], Awaitable[Any]] | None = None
) -> AsyncIterator[Any]:
    """Every target once, in the order they end. UsageError where `crawl.contact` is empty.

    settle: awaited with each Fetched; what it returns is yielded in its place, unless it is None. A picture counts as
    under way until the caller asks for the next one, so never more than `crawl.concurrency` bodies are alive.
    """
    rules.require_contact()
    hosts = Hosts(rules)
    async with Client(rules, Guard(rules), hosts) as client:
        work = _Work(client, Frontier(iter(targets), hosts, WINDOW, rules.patience_seconds), settle)
        try:
            async with aclosing(work.results()) as results:
                async for result in results:
                    yield result
        finally:
            await work.stop()


class _Work:
    """The pictures under way."""

    def __init__(self, client: Client, frontier: Frontier, settle: Callable[[Fetched], Awaitable[Any]] | None) -> None:
        self._fetcher = Fetcher(client)
        self._frontier = frontier
        self._settle = settle
        self._most = client.rules.concurrency
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended: deque[asyncio.Task[Any]] = deque()
        self._event = asyncio.Event()

    async def results(self) -> AsyncGenerator[Any, None]:
        """What `settle` made of each picture."""
        while True:
            self._start()
            if not self._tasks and self._frontier.empty:
                return
            if not self._ended:
                await self._sleep()
            while self._ended:
                task = self._ended.popleft()
                result = task.result()
                if result is not None:
                    yield result
                    del result
                self._tasks.discard(task)
                del task
                self._start()

    def _start(self) -> None:
        now = asyncio.get_running_loop().time()
        while len(self._tasks) < self._most and (picked := self._frontier.pick(now)):
            task = asyncio.create_task(self._one(*picked))
            self._tasks.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._ended.append(task)
        self._event.set()

    async def _sleep(self) -> None:
        """Until a picture ends, or a host may be asked again and there is room for it."""
        wake = self._frontier.wake_at() if len(self._tasks) < self._most else None
        timer = wake and asyncio.get_running_loop().call_at(wake, self._event.set)
        await self._event.wait()
        self._event.clear()
        if timer:
            timer.cancel()

    async def _one(self, target: Target, host: Host) -> Any:
        """None for a target that went back to wait for its host."""
        try:
            fetched = await self._fetcher.fetch(target, host)
        except NotYet:
            self._frontier.done(host, back=target)
            return None
        self._frontier.done(host)
        return await self._settle(fetched) if self._settle else fetched

    async def stop(self) -> None:
        """End what is under way; its results are lost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fetcher.policies.close()
