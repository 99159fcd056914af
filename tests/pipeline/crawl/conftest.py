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
    """Short times and a fast pace; the server's addresses and ports are allowed."""
    fields: dict[str, Any] = {
        "contact": "me@example.org",
        "deadline_seconds": 4.0,
        "connect_seconds": 0.6,
        "read_seconds": 0.6,
        "retries": 1,
        "backoff_seconds": 0.1,
        "max_bytes": 200_000,
        "host_rate": 50.0,
        "ports": tuple(sorted(set(server.ports.values()))),
        "allow": ("127.0.0.0/8",),
        "ca_file": server.ca_file,
    }
    return CrawlRules(**{**fields, **changes})


def gate(body: bytes) -> StoredImage:
    return gate_of(ImageRules()).inspect(body)
