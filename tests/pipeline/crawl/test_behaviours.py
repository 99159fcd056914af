"""Whatever a server does, its picture is fetched or fails in exactly its class, within the deadline."""

import hashlib

import pytest

from m3h.pipeline.crawl.crawler import crawl_into
from m3h.pipeline.crawl.faults import REASONS
from m3h.pipeline.crawl.fetch import Target
from m3h.pipeline.crawl.ledger import CrawlRow, read_table
from tests.pipeline.crawl.conftest import SHORT, rules_for, validator
from tests.pipeline.crawl.hostile import BEHAVIOURS, EXPECTED, Server


@pytest.fixture(scope="module")
def rows(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CrawlRow]:
    """One URL of every behaviour: those of one kind of time at once."""
    folder = tmp_path_factory.mktemp("all") / "out"
    settled = 0
    for short in ("", *SHORT):
        names = [name for name, reason in EXPECTED.items() if (reason if reason in SHORT else "") == short]
        rules = rules_for(server, concurrency=200, **SHORT.get(short, {}))
        summary = crawl_into(folder, [Target(server.url(name)) for name in names], rules, validator=validator)
        settled += summary.settled
        assert not summary.bugs
    assert settled == len(BEHAVIOURS)
    by_url = read_table(folder / "crawl.parquet")
    for row in by_url.values():
        if row.status == "stored":
            picture = (folder / row.image_sha256[:2] / f"{row.image_sha256}.jpg").read_bytes()
            assert hashlib.sha256(picture).hexdigest() == row.image_sha256
    return {name: by_url[server.url(name)] for name in BEHAVIOURS}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_every_behaviour_has_its_reason(rows: dict[str, CrawlRow], name: str) -> None:
    row = rows[name]
    assert (row.reason, row.status) == (EXPECTED[name], "failed" if EXPECTED[name] else "stored"), row.detail


def test_every_reason_of_a_behaviour_is_in_the_vocabulary() -> None:
    assert {reason for reason in EXPECTED.values() if reason.startswith("crawl_")} <= set(REASONS)
