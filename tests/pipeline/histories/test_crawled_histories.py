"""Random histories of datasets whose pictures are fetched. What may happen: `tests/pipeline/histories/worlds.py`."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.failing_host import FailingHost, failing_host
from tests.pipeline.histories.worlds import PARTS, POSTS, CrawledWorld
from tests.pipeline.warm import Warm

pytestmark = pytest.mark.slow

SEEDS = range(1000, 1000 + int(os.environ.get("M3H_HISTORIES", "5")))
COMMANDS = 4


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailingHost]:
    with failing_host(tmp_path_factory.mktemp("source"), len(PARTS) * POSTS) as host:
        yield host


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_the_end_is_that_of_one_build(
    m3h: Warm, host: FailingHost, tmp_path: Path, seed: int
) -> None:
    world = CrawledWorld(m3h, tmp_path, random.Random(seed)).begin(host)
    world.live(COMMANDS)
    world.end()
    print(f"seed {seed}: {dict(sorted(world.counts.items()))}")  # noqa: T201
