"""A table that holds its pictures needs neither a folder of them nor leave to fetch them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.fakes import small_dump
from tests.pipeline.warm import Warm


@pytest.mark.parametrize("chunk", [3, 100])
def test_pictures_of_a_parquet_file_are_stored_and_verified(m3h: Warm, tmp_path: Path, chunk: int) -> None:
    _, images = small_dump(tmp_path / "source", 6)
    pictures = sorted(images.glob("*.jpg"))
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in pictures]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    texts = [f"walk number {path.stem} along the sea with my dog #Tide" for path in pictures]
    ids = [str(n + 1) for n in range(len(pictures))]
    table = pa.table({"id": ids, "text": texts, "image": pa.array(cells, kind)})
    pq.write_table(table, tmp_path / "posts.parquet", row_group_size=chunk)
    words = ["--dumps", tmp_path / "posts.parquet", "--dataset", tmp_path / "d", "--features", "none", "--workers", 1]
    words += ["--set", "clean.min_hashtag_count=1", "clean.unique_texts=false", "clean.near_text=0"]
    said = m3h.run("build", *words, "--progress", "none", "--json")
    assert said.code == 0, said.printed
    assert said.json["read"] == len(pictures)
    assert said.json["kept"] == len(pictures), said.printed
    assert m3h.run("verify", "--dataset", tmp_path / "d").code == 0
