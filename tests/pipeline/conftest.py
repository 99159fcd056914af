"""Hypothesis without deadlines: a slow machine is no failure. Datasets to begin from, and detectron2's code."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.detectron2_folder import install
from tests.kills import Zygote, zygote
from tests.pipeline.made import POSTS_MADE, make
from tests.pipeline.warm import Warm, warm

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of every made post, to be looked at only."""
    return make(tmp_path_factory.mktemp("whole") / "dataset", range(1, POSTS_MADE + 1))


@pytest.fixture
def dataset(whole: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return shutil.copytree(whole, tmp_path / "dataset")


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Zygote]:
    """Commands of `python -m pipeline` that need not import it anew, and may be killed."""
    with zygote("pipeline") as opened:
        yield opened


@pytest.fixture(scope="module")
def m3h(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Commands of `m3h` that need not load anything anew, and cannot hang for ever. Their features are made up."""
    with warm("pipeline", tmp_path_factory.mktemp("printed")) as opened:
        yield opened


@pytest.fixture(scope="session")
def detectron2() -> Path:
    """The folder of detectron2's Python code, on this process's path; `make test` has made it already."""
    folder = install()
    sys.path.append(str(folder))
    return folder
