"""The hostile server, crawl rules that allow its addresses, and the validator for its pictures."""

from collections.abc import Iterator
from typing import Any

import pytest

from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.images.store import StoredImage
from m3h.pipeline.images.validator import validator_of
from m3h.pipeline.rules import ImageRules
from tests.pipeline.crawl.hostile import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def rules_for(server: Server, **changes: Any) -> CrawlRules:
    """Rules with a fast pace and generous time limits that allow the server's addresses and ports."""
    fields: dict[str, Any] = {
        "contact": "me@example.org",
        "deadline_seconds": 120.0,
        "connect_seconds": 60.0,
        "read_seconds": 60.0,
        "retries": 1,
        "backoff_seconds": 0.1,
        "max_bytes": 200_000,
        "host_rate": 50.0,
        "ports": tuple(sorted(set(server.ports.values()))),
        "allow": ("127.0.0.0/8",),
        "ca_file": server.ca_file,
    }
    return CrawlRules(**{**fields, **changes})


SHORT = {
    "crawl_timeout": {"deadline_seconds": 1.0},
    "crawl_stalled": {"read_seconds": 0.4},
    "crawl_connect": {"connect_seconds": 0.4},
    "crawl_throttled": {"deadline_seconds": 10.0},  # a 429 without Retry-After pauses for less, an hour is more
}
"""For each reason that depends on a time limit: the setting that makes this limit short."""


def validator(body: bytes) -> StoredImage:
    return validator_of(ImageRules()).inspect(body)
