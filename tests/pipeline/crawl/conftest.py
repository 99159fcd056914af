"""The hostile server, rules that reach it, and the gate that judges what it sends."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.crawl.rules import CrawlRules
from pipeline.gate import gate_of
from pipeline.images import StoredImage
from pipeline.rules import ImageRules
from tests.pipeline.crawl.hostile import Server, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as running:
        yield running


def rules_for(server: Server, **changes: Any) -> CrawlRules:
    """A fast pace, and times that only a dead machine needs; the server's addresses and ports are allowed."""
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
    "crawl_throttled": {"deadline_seconds": 10.0},  # a bare 429 pauses for less, an hour is more
}
"""Of each reason that a clock decides, the one time that is short."""


def gate(body: bytes) -> StoredImage:
    return gate_of(ImageRules()).inspect(body)
