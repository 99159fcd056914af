"""croissant.json, read by MLCommons' own library."""

from pathlib import Path
from typing import Any

import mlcroissant
import pytest

from m3h.schemas.dataset import Dataset
from tests.pipeline.made import POSTS_MADE, make


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("croissant") / "d", range(POSTS_MADE))


def plain(value: Any) -> Any:
    """mlcroissant gives every text as bytes, also those in lists."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value


def records(dataset: Path, name: str) -> list[dict[str, Any]]:
    found = mlcroissant.Dataset(jsonld=dataset / "croissant.json").records(name)
    return [{key.partition("/")[2]: plain(value) for key, value in record.items()} for record in found]


def test_mlcroissant_finds_no_error(dataset: Path) -> None:
    metadata = mlcroissant.Dataset(jsonld=dataset / "croissant.json").metadata
    assert metadata.ctx.issues.errors == set()
    files = {node.name for node in metadata.distribution}
    assert {"posts-files", "grid-files", "words-files"} <= files


def test_mlcroissant_reads_every_post_as_we_do_lists_included(dataset: Path) -> None:
    found = sorted(records(dataset, "posts"), key=lambda post: post["post_id"])
    assert found == Dataset(dataset).posts.to_pylist()
    assert found[1]["keyphrases"] == ["tea", "rain"]


def test_mlcroissant_reads_dropped_records_and_pictures(dataset: Path) -> None:
    data = Dataset(dataset)
    reasons = sorted(row["reason"] for row in records(dataset, "dropped"))
    assert reasons == sorted(data.dropped["reason"].to_pylist())
    shown = {row["image_sha256"] for row in records(dataset, "pictures")}
    assert shown == set(data.images["image_sha256"].to_pylist())
