"""Builds of tables that hold their pictures, as Hugging Face datasets and img2dataset write them."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.held_pictures import holds_pictures
from tests.commands import files_of
from tests.pipeline.fakes import picture
from tests.pipeline.finished import differing, dropped, shown
from tests.pipeline.warm import Warm

TEXTS = (
    "a long walk by the river #river",
    "nobody expected so many at the market #food",
    "something quite different about the harbour #sea",
)


def write(folder: Path, layout: str) -> tuple[Path, dict[str, str]]:
    """A table of three posts, the last one without a picture; and the hashes of the pictures by id."""
    pictures = [picture(folder / f"p{i}.jpg", i).read_bytes() for i in range(2)]
    hashes = {f"{100 + i}": hashlib.sha256(data).hexdigest() for i, data in enumerate(pictures)}
    rows = []
    for i, (text, data) in enumerate(zip(TEXTS, [*pictures, None], strict=True)):
        if layout == "img2dataset":
            rows.append({"key": f"{100 + i}", "caption": text, "url": f"https://x/{i}.jpg", "jpg": data})
        else:
            rows.append({"id": f"{100 + i}", "text": text, "image": {"bytes": data, "path": f"p{i}.jpg"}})
    table = pa.Table.from_pylist(rows)
    path = folder / layout
    if layout == "arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    else:
        pq.write_table(table, path)
    return path, hashes


@pytest.mark.parametrize("layout", ["parquet", "arrow", "img2dataset"])
def test_the_pictures_of_a_table_are_kept_and_found_again(m3h: Warm, tmp_path: Path, layout: str) -> None:
    path, hashes = write(tmp_path, layout)
    dataset = tmp_path / "d"
    assert holds_pictures(DumpFile(layout, str(path)))
    options = ["--features", "none", "--workers", 1, "--progress", "none"]
    m3h.must("build", "--dumps", path, "--dataset", dataset, *options, "--set", "clean.min_hashtag_count=1")
    assert shown(dataset) == hashes
    (lost,) = dropped(dataset)
    assert (lost["record_id"], lost["reason"]) == ("102", "image_missing")
    before = files_of(dataset)
    next(iter(sorted(dataset.glob("images/*/*.jpg")))).unlink()
    m3h.must("verify", "--repair", "--dataset", dataset, "--workers", 1)
    assert differing(before, files_of(dataset)) == []
