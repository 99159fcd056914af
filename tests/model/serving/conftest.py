"""The sample's run, served, for all tests of a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from m3h.schemas.dataset import Dataset
from m3h.schemas.inside import picture_file
from tests.conftest import Built
from tests.model.serving.served import Served, serving


@pytest.fixture(scope="module")
def served(sample_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("served") / "log"
    with serving(sample_run, log) as served:
        yield served
    assert log.read_text() == "note: vgg_grid has random weights: for trials only.\n"


@pytest.fixture(scope="module")
def photo(sample: Built) -> Path:
    """A poster of the sample: its words can be read."""
    posts, words = Dataset(sample.folder).posts, Dataset(sample.folder).table("ocr").to_pylist()
    read = {row["image_sha256"] for row in words if len(row["tokens"]) > 2}
    return picture_file(sample.folder / "images", next(i for i in posts["image_sha256"].to_pylist() if i in read))
