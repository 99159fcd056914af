"""The pace of a host and the order of targets, on a clock that jumps ahead instead of waiting."""

import asyncio
import math
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.crawl.client import backoff, retry_after
from m3h.pipeline.crawl.frontier import Frontier, Target
from m3h.pipeline.crawl.hosts import Host, Hosts, TurnTooLate, host_of, pause_of
from m3h.pipeline.crawl.rules import CrawlRules

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """A wait takes no real time, but it advances the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        found = super().select(0)
        if not found:
            assert timeout is not None, "everybody waits for nothing"
            self.now += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(work: Coroutine[Any, Any, T]) -> T:
    loop = _Loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def now() -> float:
    return asyncio.get_running_loop().time()


async def granted(host: Host, arrival: float, deadline: float = math.inf) -> float | None:
    await asyncio.sleep(arrival)
    try:
        await host.wait_for_turn(deadline)
    except TurnTooLate:
        return None
    return now()


def host(rate: float, name: str = "h") -> Host:
    return Hosts(CrawlRules(host_rate=rate)).get(name)


ARRIVALS = st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=60)


@given(st.floats(0.2, 40), ARRIVALS)
def test_no_second_of_the_servers_clock_sees_more_than_the_rate(rate: float, arrivals: list[float]) -> None:
    """Even when one request takes up to 100 ms longer than another: so the window is 1.1 s on our clock."""

    async def all_of_them() -> list[float]:
        one = host(rate)
        turns = await asyncio.gather(*(granted(one, a) for a in arrivals))
        return sorted(turn for turn in turns if turn is not None)

    times = run(all_of_them())
    assert len(times) == len(arrivals)
    for i, first in enumerate(times):
        assert sum(first <= other < first + 1.1 - 1e-6 for other in times[i:]) <= math.ceil(rate)


@given(st.floats(0.5, 20), ARRIVALS, st.floats(0, 10), st.floats(0, 10))
def test_no_request_is_sent_during_a_pause_of_the_host(
    rate: float, arrivals: list[float], at: float, seconds: float
) -> None:
    async def all_of_them() -> list[float | None]:
        one = host(rate)

        async def block() -> None:
            await asyncio.sleep(at)
            one.block(seconds)

        *times, _ = await asyncio.gather(*(granted(one, a) for a in arrivals), block())
        return times

    times = run(all_of_them())
    rounding = 1e-9  # of the loop's clock, which adds to a time of its own
    assert not [time for time in times if time is None or at < time < at + seconds - rounding]


def test_a_request_that_would_be_too_late_fails_at_once_and_takes_no_turn() -> None:
    async def story() -> tuple[float, float]:
        one = host(1.1)  # a second between two
        await one.wait_for_turn(10)
        one.block(5)
        with pytest.raises(TurnTooLate) as late:
            await one.wait_for_turn(deadline=4.9)
        assert now() == 0
        await one.wait_for_turn(deadline=5)
        return late.value.seconds, now()

    assert run(story()) == (5, 5)


def test_pauses_double_until_the_host_rests_and_an_answer_ends_them() -> None:
    rules = CrawlRules(host_rate=10, backoff_seconds=1, backoff_max_seconds=100, refusals=4, rest_seconds=3600)

    async def story() -> list[float]:
        one, pauses = host(10), []
        for _ in range(3):
            await one.wait_for_turn(math.inf)
            pauses.append(one.refused(0, rules))
            assert one.refused(0, rules) == pytest.approx(pauses[-1])  # under way when it refused: counts once
        await one.wait_for_turn(math.inf)
        one.answered()
        began = now()
        await one.wait_for_turn(math.inf)
        assert now() - began == pytest.approx(0.11)  # at its usual pace again
        pauses.append(one.refused(7, rules))
        for _ in range(3):
            await one.wait_for_turn(math.inf)
            pauses.append(one.refused(0, rules))
        return pauses

    first, second, third, asked_for, *more, rest = run(story())
    assert 1 <= first <= 2 <= second <= 4 <= third <= 8
    assert asked_for == 7  # what it asks for, where that is longer
    assert 2 <= more[0] <= 4 <= more[1] <= 8
    assert rest == 3600


def test_a_host_that_refused_is_asked_by_one_picture_after_the_other() -> None:
    rules = CrawlRules(host_rate=10, backoff_seconds=1)

    async def story() -> tuple[float, list[float]]:
        one = host(10)
        await one.wait_for_turn(math.inf)
        pause = one.refused(0, rules)
        return pause, [time for time in await asyncio.gather(*(granted(one, 0) for _ in range(3))) if time is not None]

    pause, times = run(story())
    assert times == pytest.approx([pause, 2 * pause, 3 * pause])


@given(st.integers(1, 5000), st.floats(0.1, 5), st.floats(0.1, 60))
def test_no_pause_is_longer_than_the_longest(refusals: int, base: float, most: float) -> None:
    assert min(base, most) <= pause_of(CrawlRules(backoff_seconds=base, backoff_max_seconds=most), refusals) <= most


def test_a_crawl_delay_counts_from_the_request_before_it_was_known() -> None:
    async def story() -> list[float]:
        one = host(11)  # a tenth of a second
        times = []
        for _ in range(3):
            await one.wait_for_turn(100)
            times.append(now())
            one.slow_down(3.0)
        return times

    assert run(story()) == pytest.approx([0, 3, 6])


def targets(*names: str) -> list[Target]:
    return [Target(f"http://{name[0]}.example/{name[1:]}.jpg") for name in names]


def picked(frontier: Frontier) -> str | None:
    found = frontier.pick(now())
    return found and found[0].url.removeprefix("http://").removesuffix(".jpg").replace(".example/", "")


def test_hosts_take_turns_and_none_exceeds_its_concurrency() -> None:
    async def story() -> list[str | None]:
        hosts = Hosts(CrawlRules(host_concurrency=2))
        frontier = Frontier(iter(targets("a1", "a2", "a3", "a4", "b1", "b2", "b3")), hosts, 100, patience=600)
        first = [picked(frontier) for _ in range(6)]
        frontier.done(hosts.get("a.example"))
        return [*first, picked(frontier), picked(frontier)]

    assert run(story()) == ["a1", "b1", "a2", "b2", None, None, "a3", None]


def test_a_pause_of_one_host_does_not_delay_the_others() -> None:
    async def story() -> list[str | None]:
        hosts = Hosts(CrawlRules())
        frontier = Frontier(iter(targets("a1", "a2", "b1")), hosts, 100, patience=600)
        hosts.get("a.example").block(7)
        found = [picked(frontier), picked(frontier)]
        wake = frontier.wake_at()
        assert wake == 7
        await asyncio.sleep(wake)
        return [*found, picked(frontier), picked(frontier), picked(frontier)]

    assert run(story()) == ["b1", None, "a1", "a2", None]


def test_a_host_with_too_long_a_pause_is_not_waited_for() -> None:
    async def story() -> str | None:
        hosts = Hosts(CrawlRules())
        hosts.get("a.example").block(601)
        return picked(Frontier(iter(targets("a1")), hosts, 100, patience=600))

    assert run(story()) == "a1"


def test_targets_are_read_only_as_far_as_the_window() -> None:
    read = 0

    def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield Target(f"http://h{read}.example/")

    async def story() -> list[int]:
        frontier = Frontier(endless(), Hosts(CrawlRules()), 10, patience=600)
        seen = []
        for _ in range(3):
            frontier.pick(now())
            seen.append(read)
        return seen

    assert run(story()) == [10, 11, 12]


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), max_size=20), st.data())
def test_every_target_ends_exactly_once_even_if_some_go_back(names: list[int], data: st.DataObject) -> None:
    async def story() -> list[str]:
        hosts = Hosts(CrawlRules(host_concurrency=2))
        wanted = [Target(f"http://{name}.example/{i}") for i, name in enumerate(names)]
        frontier = Frontier(iter(wanted), hosts, 7, patience=600)
        under_way: list[tuple[Target, Host]] = []
        ended: list[str] = []
        while True:
            if found := frontier.pick(now()):
                under_way.append(found)
            elif under_way:
                target, one = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
                if data.draw(st.integers(0, 3)) == 0:
                    one.block(5)
                    frontier.done(one, back=target)
                else:
                    frontier.done(one)
                    ended.append(target.url)
            elif frontier.empty:
                break
            else:
                wake = frontier.wake_at()
                assert wake is not None
                await asyncio.sleep(wake - now())
        assert sorted(ended) == sorted(target.url for target in wanted)
        return ended

    run(story())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://pbs.twimg.com/media/x.jpg", "pbs.twimg.com"),
        ("http://PBS.twimg.com.:8080/x", "pbs.twimg.com"),
        ("http://bücher.example/x", "xn--bcher-kva.example"),
        ("http://[2606:2800:220:1::1]/x", "2606:2800:220:1::1"),
        ("http://u@h.example/", "h.example"),
        ("http://[half/", ""),
        ("", ""),
        ("no url", ""),
    ],
)
def test_the_host_of_a_url(url: str, expected: str) -> None:
    assert host_of(url) == expected


@given(st.text(max_size=30))
def test_any_text_has_a_host_or_an_empty_one(text: str) -> None:
    assert isinstance(host_of(text), str)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", 0.0), (" 120 ", 120.0), ("-1", None), ("1.5", None), ("²", None), ("soon", None), ("", None)],
)
def test_retry_after_in_seconds(value: str, expected: float | None) -> None:
    assert retry_after({"Retry-After": value}) == expected


def test_retry_after_as_a_date() -> None:
    later = datetime.now(timezone.utc) + timedelta(seconds=100)
    found = retry_after({"Retry-After": format_datetime(later, usegmt=True)})
    assert found is not None
    assert 50 < found <= 100
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({}) is None


@given(st.integers(0, 40), st.floats(0.1, 5), st.floats(0.1, 60))
def test_the_wait_before_a_retry_stays_below_a_doubling_maximum(attempt: int, base: float, most: float) -> None:
    seconds = backoff(CrawlRules(backoff_seconds=base, backoff_max_seconds=most), attempt)
    assert 0 <= seconds <= min(most, base * 2**attempt)
