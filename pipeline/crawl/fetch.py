"""Downloads many pictures at once, each within its deadline and every host at its own pace."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import TypeVar, overload

from m3h.pipeline.crawl.client import Client
from m3h.pipeline.crawl.download import Fetched, Fetcher
from m3h.pipeline.crawl.frontier import Frontier, Target
from m3h.pipeline.crawl.guard import Guard
from m3h.pipeline.crawl.hosts import Host, Hosts, TurnTooLate
from m3h.pipeline.crawl.rules import CrawlRules

__all__ = ["Fetched", "Target", "crawl"]

WINDOW = 2_000
"""Number of targets that are read ahead, so that hosts can take turns."""

R = TypeVar("R")
Process = Callable[[Fetched], Awaitable[object]]


@overload
def crawl(targets: Iterable[Target], rules: CrawlRules) -> AsyncIterator[Fetched]: ...
@overload
def crawl(
    targets: Iterable[Target], rules: CrawlRules, process: Callable[[Fetched], Awaitable[R]]
) -> AsyncIterator[R]: ...
async def crawl(targets: Iterable[Target], rules: CrawlRules, process: Process | None = None) -> AsyncIterator[object]:
    """Download every target once and yield the results in the order in which they end.

    A picture counts as under way until the caller asks for the next result. So at most `crawl.concurrency` bodies are
    in memory. UsageError when `crawl.contact` is empty.

    Args:
        targets: the URLs to download.
        rules: the limits and the pace.
        process: awaited with each Fetched; its result is yielded instead, unless it is None.
    """
    rules.require_contact()
    hosts = Hosts(rules)
    async with Client(rules, Guard(rules), hosts) as client:
        downloads = _Downloads(client, Frontier(iter(targets), hosts, WINDOW, patience=rules.patience_seconds), process)
        try:
            async with aclosing(downloads.results()) as results:
                async for result in results:
                    yield result
        finally:
            await downloads.stop()


class _Downloads:
    """The pictures under way."""

    def __init__(self, client: Client, frontier: Frontier, process: Process | None) -> None:
        self._fetcher = Fetcher(client)
        self._frontier = frontier
        self._process = process
        self._limit = client.rules.concurrency
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended: deque[asyncio.Task[object]] = deque()
        self._wake = asyncio.Event()

    async def results(self) -> AsyncGenerator[object, None]:
        """The result of each picture, processed by `process` if it is given."""
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
        while len(self._tasks) < self._limit and (picked := self._frontier.pick(now)):
            task = asyncio.create_task(self._download(*picked))
            self._tasks.add(task)
            task.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[object]) -> None:
        self._ended.append(task)
        self._wake.set()

    async def _sleep(self) -> None:
        """Wait until a picture ends, or until a host may be asked again and a download may start."""
        wake_at = self._frontier.wake_at() if len(self._tasks) < self._limit else None
        timer = wake_at and asyncio.get_running_loop().call_at(wake_at, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer:
            timer.cancel()

    async def _download(self, target: Target, host: Host) -> object:
        """The processed result; None for a target that goes back to the frontier to wait for its host."""
        try:
            fetched = await self._fetcher.fetch(target, host)
        except TurnTooLate:
            self._frontier.done(host, back=target)
            return None
        self._frontier.done(host)
        return await self._process(fetched) if self._process else fetched

    async def stop(self) -> None:
        """Cancel everything that is under way. Its results are lost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fetcher.policies.close()
