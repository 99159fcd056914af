"""The list of pictures in parts: whatever the rows and their order, it is the list that one file would hold."""

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow.parquet as pq
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.images.store import ImageRow
from m3h.pipeline.stages.image_list import WriteImageList

PHONE = "http://host/+4915112345678.jpg"
HASHES = st.builds(lambda first, last: f"{first:04x}{last:060x}", st.integers(0, 0xFFFF), st.integers(0, 3))
ROWS = st.lists(
    st.builds(ImageRow, HASHES, st.just("stored"), st.sampled_from(["", "a.jpg", "b.jpg"]), st.sampled_from(["", "u"])),
    max_size=40,
)


def written(rows: list[ImageRow], out: Path, per_part: int, masked: bool = False) -> list[list[dict[str, Any]]]:
    """The rows of each file, in the files' order."""
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        numbers = root | beam.Create(rows) | WriteImageList(out, per_part, masked)
        assert_that(numbers | beam.CombineGlobally(sum), equal_to([len({row.image_sha256 for row in rows})]))
    return [pq.read_table(path).to_pylist() for path in sorted(out.glob("images/*"))]


@settings(max_examples=8)
@given(rows=ROWS, per_part=st.integers(1, 8))
def test_the_parts_one_after_the_other_are_the_one_list(rows: list[ImageRow], per_part: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        parts = written(rows, Path(folder) / "parts", per_part)
        one = written(rows[::-1], Path(folder) / "one", 100)
    listed = [row for part in parts for row in part]
    assert len(one) <= 1
    assert [row for part in one for row in part] == listed
    assert all(before["image_sha256"] < after["image_sha256"] for before, after in pairwise(listed))
    of_each: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        of_each.setdefault(row.image_sha256, []).append((row.path, row.url))
    assert {row["image_sha256"]: (row["path"], row["url"]) for row in listed} == {
        image: min(names) for image, names in of_each.items()
    }


def test_a_part_has_its_share_of_all_hashes(tmp_path: Path) -> None:
    """Five pictures, two a file: thirds end at 55…5 and aa…a. The third of them is empty, so it has no file."""
    hashes = ["0" * 64, "5" * 64, "5" * 63 + "6", "5" * 15 + "6" + "0" * 48, "a" * 64]
    rows = [ImageRow(image, "stored", "", "") for image in hashes]
    parts = written(rows, tmp_path, 2)
    assert [[row["image_sha256"] for row in part] for part in parts] == [
        sorted(hashes[:3]), [hashes[3], hashes[4]],
    ]  # fmt: skip
    assert [path.name for path in sorted(tmp_path.glob("images/*"))] == [
        "images-00000-of-00003.parquet", "images-00001-of-00003.parquet",
    ]  # fmt: skip


def test_the_first_row_is_found_by_its_name_before_that_is_masked(tmp_path: Path) -> None:
    rows = [ImageRow("a" * 64, "url_only", "", url) for url in ("http://host/z.jpg", PHONE)]
    (((row,)),) = written(rows, tmp_path, 10, masked=True)
    assert "4915112345678" not in row["url"]
    assert row["url"] != "http://host/z.jpg"
