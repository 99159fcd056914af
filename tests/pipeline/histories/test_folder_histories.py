"""Random histories of datasets of picture folders. What may happen: `tests/pipeline/histories/worlds.py`."""

import os
import random
from pathlib import Path

import pytest

from tests.pipeline.histories.worlds import FolderWorld
from tests.pipeline.warm import Warm

pytestmark = pytest.mark.slow

SEEDS = range(int(os.environ.get("M3H_HISTORIES", "5")))
COMMANDS = 5


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_the_end_is_that_of_one_build(m3h: Warm, tmp_path: Path, seed: int) -> None:
    world = FolderWorld(m3h, tmp_path, random.Random(seed)).begin()
    world.live(COMMANDS)
    world.end()
    print(f"seed {seed}: {dict(sorted(world.counts.items()))}")  # noqa: T201
