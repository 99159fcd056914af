#!/usr/bin/env bash
# pyarrow 25.0.1, duckdb 2.0.1 (Python 3.11), 2026-11-29
#
# Seen: a column of fixed-size lists (or of pyarrow's own fixed_shape_tensor) with one missing row is written to Parquet
# without a word, and pyarrow then cannot read the file that it wrote: a null row has no values in Parquet, and the
# reader insists on two for it. DuckDB reads the same file, so the values are all there.
#
# Expected: what a library writes it reads back; or it refuses while the data are still at hand.
#
# Why it hurts here: a feature table is exactly this, a fixed number of floats a picture and null where there is no
# picture. A build that ran for days ends well and the trainer cannot open its shards. A table without a missing row,
# as in most tests, reads fine.
#
# Output seen:
#   list_, no row missing:               pyarrow reads [[1.0, 2.0], [3.0, 4.0]]
#   list_, one row missing:              pyarrow ArrowInvalid: Expected all lists to be of size=2 but index 2 had size=0
#                                        DuckDB reads [[1.0, 2.0], None, [3.0, 4.0]]
#   fixed_shape_tensor, one row missing: pyarrow ArrowInvalid: Expected all lists to be of size=2 but index 2 had size=0
#                                        DuckDB reads [[1.0, 2.0], None, [3.0, 4.0]]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pyarrow==25.0.1 duckdb==2.0.1

env/bin/python - <<'END'
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = [[1.0, 2.0], None, [3.0, 4.0]]
VECTOR = pa.list_(pa.float32(), 2)
changed = []


def read(name: str) -> str:
    try:
        return f"reads {pq.read_table(name)['x'].to_pylist()}"
    except pa.ArrowInvalid as error:
        return f"ArrowInvalid: {error}"


def show(label: str, column: pa.Array, fails: bool) -> None:
    pq.write_table(pa.table({"x": column}), "features.parquet")
    answer = read("features.parquet")
    print(f"{label:36} pyarrow {answer}")
    other = [row[0] for row in duckdb.sql("select x from 'features.parquet'").fetchall()]
    if fails:
        print(f"{'':36} DuckDB reads {other}")
    if fails != answer.startswith("ArrowInvalid") or (fails and other != ROWS):
        changed.append(label)


show("list_, no row missing:", pa.array([ROWS[0], ROWS[2]], VECTOR), fails=False)
show("list_, one row missing:", pa.array(ROWS, VECTOR), fails=True)
tensor = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [2]), pa.array(ROWS, VECTOR))
show("fixed_shape_tensor, one row missing:", tensor, fails=True)
if changed:
    sys.exit(f"changed: {', '.join(changed)} behaves otherwise now")
END
