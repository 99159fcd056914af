"""`ids`: which posts a dataset holds, without a word of them: what may be shared where texts may not."""

import csv
import io
import json
from pathlib import Path

import pyarrow.compute as pc

from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import publish_text
from schemas.posts import SPLITS

FORMATS = (".txt", ".csv", ".jsonl")


def write_ids(data: Dataset, out: Path, split: str = "") -> int:
    """Write the ids of the posts, sorted: one a line (.txt), or with their split (.csv, .jsonl). Returns how many."""
    if split and split not in SPLITS:
        raise UsageError(f"--split {split}: expected one of {', '.join(SPLITS)}.")
    if out.suffix not in FORMATS:
        raise UsageError(f"--out {out}: expected a name that ends in {', '.join(FORMATS)}.")
    posts = data.posts.select(["post_id", "split"])
    rows = (posts.filter(pc.equal(posts["split"], split)) if split else posts).to_pylist()
    publish_text(out, _text(rows, out.suffix))
    return len(rows)


def _text(rows: list[dict[str, str]], suffix: str) -> str:
    if suffix == ".csv":
        table = io.StringIO()
        writer = csv.DictWriter(table, ("post_id", "split"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return table.getvalue()
    lines = [row["post_id"] if suffix == ".txt" else json.dumps(row, ensure_ascii=False) for row in rows]
    return "".join(f"{line}\n" for line in lines)
