"""One crawl meets every behaviour of the server 25 times; the server's own log shows whether it behaves well."""

import asyncio
import itertools
import logging
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from m3h.pipeline.crawl.fetch import Fetched, Target, crawl
from m3h.schemas.errors import ImageFault
from tests.pipeline.crawl.conftest import rules_for, validator
from tests.pipeline.crawl.hostile import ADDRESSES, BEHAVIOURS, EXPECTED, Request, serving

pytestmark = pytest.mark.slow

TIMES = 25
RATE = 10
CONCURRENCY = 256
MAX_BYTES = 200_000
DEADLINE = 6.0
SPARE_BYTES = 100 * 2**20
READ_SECONDS = 0.8
HELD_UP_SECONDS = READ_SECONDS / 2
ATTEMPTS = 3


@dataclass(frozen=True)
class Ran:
    """reasons: of each behaviour's pictures. log: by address. grown: bytes of memory more than before, at most."""

    reasons: dict[str, list[str]]
    seconds: list[float]
    log: dict[str, list[Request]]
    stalls: list[tuple[float, float]]
    grown: int

    @property
    def held_up(self) -> bool:
        """Whether the machine stood still for so long that a server which answers may seem to have stalled, or so often
        that most requests say nothing of the pace.
        """
        longest = max((end - begin for begin, end in self.stalls), default=0.0)
        return longest >= HELD_UP_SECONDS or sum(map(len, self.judged.values())) <= sum(map(len, self.log.values())) / 4

    @property
    def judged(self) -> dict[str, list[float]]:
        """By address, when requests came after which the server was not held up for a second."""

        def is_quiet(at: float) -> bool:
            return not any(begin < at + 1 and at <= end for begin, end in self.stalls)

        return {address: [one.at for one in found if is_quiet(one.at)] for address, found in self.log.items()}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Server and crawler share this machine: a crawl in which others held them up for too long is no witness."""
    for _ in range(ATTEMPTS):
        found = crawl_all(tmp_path_factory.mktemp("server"))
        if not found.held_up:
            break
    return found


def crawl_all(folder: Path) -> Ran:
    reasons: dict[str, list[str]] = defaultdict(list)
    seconds: list[float] = []

    def settle(fetched: Fetched) -> None:
        reason = fetched.reason
        if fetched.body:
            try:
                validator(fetched.body)
            except ImageFault as fault:
                reason = fault.reason
        reasons[fetched.url.split("/")[3]].append(reason)
        seconds.append(fetched.seconds)

    async def story(targets: list[Target]) -> None:
        rules = rules_for(
            server, host_rate=RATE, concurrency=CONCURRENCY, max_bytes=MAX_BYTES, deadline_seconds=DEADLINE,
            connect_seconds=1.0, read_seconds=READ_SECONDS,
        )  # fmt: skip
        async for _ in crawl(targets, rules, lambda fetched: asyncio.to_thread(settle, fetched)):
            pass

    with serving(folder) as server:
        targets = [Target(server.url(name, i)) for i in range(TIMES) for name in BEHAVIOURS]
        assert len(targets) > 2_000
        with watching_memory() as memory:
            asyncio.run(story(targets))
    log: dict[str, list[Request]] = defaultdict(list)
    for request in server.log:
        log[request.address].append(request)
    counts = len(targets), len(server.log), max(seconds), memory.grown / 2**20
    logging.info("%d pictures, %d requests, longest %.2f s, grown by %.0f MiB", *counts)
    return Ran(reasons, seconds, log, server.stalls, memory.grown)


class watching_memory:
    """How much this process grows, sampled ten times a second."""

    def __enter__(self) -> "watching_memory":
        process = psutil.Process()
        self.grown, before = 0, process.memory_info().rss
        self._stop = threading.Event()

        def watch() -> None:
            while not self._stop.wait(0.1):
                self.grown = max(self.grown, process.memory_info().rss - before)

        self._thread = threading.Thread(target=watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_every_picture_has_its_expected_result(ran: Ran) -> None:
    excused = {"crawl_stalled"} if ran.held_up else set()
    assert {name: set(reasons) - (excused - {EXPECTED[name]}) for name, reasons in ran.reasons.items()} == {
        name: {reason} for name, reason in EXPECTED.items()
    }
    assert {len(reasons) for reasons in ran.reasons.values()} == {TIMES}


def test_no_download_takes_a_second_longer_than_its_deadline(ran: Ran) -> None:
    """The time in which the machine itself stood still aside."""
    held_up = sum(end - begin for begin, end in ran.stalls)
    assert max(ran.seconds) <= DEADLINE + 1 + held_up


def test_memory_is_bounded_by_the_bodies_under_way(ran: Ran) -> None:
    assert ran.grown < CONCURRENCY * MAX_BYTES + SPARE_BYTES


def test_no_host_sees_more_than_its_rate_in_any_second(ran: Ran) -> None:
    """Of the seconds in which the server itself was not held up; its log is no witness of the others."""
    judged = ran.judged
    assert sum(map(len, judged.values())) > sum(map(len, ran.log.values())) / 4
    most = max(
        sum(first <= request.at < first + 1 for request in ran.log[address])
        for address, times in judged.items()
        for first in times
    )
    assert RATE - 2 <= most <= RATE  # and the pace is used


def test_a_host_that_asks_for_a_pause_gets_it(ran: Ran) -> None:
    """A request that was on its way when the answer came back is no breach: 0.3 s are given for it."""
    pauses = {"throttles_once": 1.0, "throttles_for_an_hour": 3600.0, "down_for_an_hour": 3600.0}
    for name, pause in pauses.items():
        pictures = [request.at for request in ran.log[ADDRESSES[name]] if request.path.endswith(".jpg")]
        assert pictures
        after = [at - pictures[0] for at in pictures if at > pictures[0] + 0.3]
        assert not [seconds for seconds in after if seconds < pause - 0.05], name


def test_nothing_is_requested_that_a_site_forbids(ran: Ran) -> None:
    for name in ("robots_forbid", "robots_forbid_us", "robots_are_down", "robots_disconnect", "reserves_in_a_file"):
        paths = {request.path for request in ran.log[ADDRESSES[name]]}
        assert not [path for path in paths if path.endswith(".jpg")], name


def test_the_files_of_a_site_are_requested_once(ran: Ran) -> None:
    counts = [
        sum(request.path == path for request in requests)
        for (name, address), path in itertools.product(ADDRESSES.items(), ("/robots.txt", "/.well-known/tdmrep.json"))
        if EXPECTED[name] == "" and (requests := ran.log[address])
    ]
    assert set(counts) == {1}
