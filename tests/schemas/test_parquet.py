"""Parquet files of others are read in small steps: what a file may take in memory is all that its reading takes."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from m3h.schemas.parquet import ALWAYS_ALLOWED, read_parquet
from tests.commands import ROOT, environment

REFUSED = """
import sys, pathlib, pyarrow
from m3h.schemas.errors import IntegrityError
from m3h.schemas.parquet import read_parquet
try:
    read_parquet(pathlib.Path(sys.argv[1]))
except IntegrityError as error:
    print(pyarrow.default_memory_pool().max_memory(), error)
"""


def test_a_file_whose_rows_grow_takes_little_more_than_it_may_before_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(["x" * (1 << 20)]))
    pq.write_table(pa.table({"text": text}), path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 10_000
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, path], env=environment(), cwd=ROOT, capture_output=True, text=True, check=True
    )
    peak, said = done.stdout.split(" ", 1)
    assert said.startswith(f"{path}: {path.stat().st_size} bytes hold rows of more than ")
    assert int(peak) < 1.3 * ALWAYS_ALLOWED


def test_steps_change_nothing_of_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    table = pa.table({"post_id": [str(i) for i in range(5000)], "tokens": [["word"] * (i % 7) for i in range(5000)]})
    pq.write_table(table, path, row_group_size=900)
    assert read_parquet(path).equals(table)
    assert read_parquet(path, ["tokens"]).equals(table.select(["tokens"]))
