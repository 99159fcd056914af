"""What a finished dataset shows, as its reader sees it: posts with the bytes of their pictures, and counts."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import pyarrow.parquet as pq

from m3h.pipeline.images.store import image_path
from m3h.schemas.dataset import Dataset
from m3h.schemas.manifest import Manifest


def shown(dataset: Path) -> dict[str, str]:
    """Each kept post's id with the sha256 of the bytes that lie in the store for it; they have to be its picture's."""
    posts = Dataset(dataset).posts.select(["post_id", "image_sha256"]).to_pylist()
    found = {post["post_id"]: image_path(dataset, post["image_sha256"]).read_bytes() for post in posts}
    hashes = {post_id: hashlib.sha256(data).hexdigest() for post_id, data in found.items()}
    assert hashes == {post["post_id"]: post["image_sha256"] for post in posts}
    return hashes


def dropped(dataset: Path) -> list[dict[str, Any]]:
    return Dataset(dataset).dropped.to_pylist()


def is_conserved(dataset: Path) -> bool:
    """Whether records read are records kept and dropped, by the files and by the manifest."""
    data, counts = Dataset(dataset), Manifest.read(dataset).counts
    return bool(
        counts["read"] == data.posts.num_rows + data.dropped.num_rows
        and counts["kept"] == data.posts.num_rows
        and sum(n for reasons in counts["dropped"].values() for n in reasons.values()) == data.dropped.num_rows
    )


def crawl_rows(dataset: Path) -> dict[str, dict[str, Any]]:
    """Rows of all ledgers by URL."""
    data = Dataset(dataset)
    rows = [row for name in data.names("images/crawl-") for row in data_rows(dataset / name)]
    return {row["url"]: row for row in rows}


def data_rows(table: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(table).to_pylist())


def strings_in(folder: Path) -> list[tuple[str, str]]:
    """(file, text) of every file below a folder: tables and shards as text too, and names; pictures aside."""
    found = [("names", str(path.relative_to(folder))) for path in folder.rglob("*")]
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix == ".jpg":
            continue
        found.append((str(path), path.read_bytes().decode("utf-8", "replace")))
        if path.suffix == ".parquet":
            values = (value for column in pq.read_table(path).columns for value in column.to_pylist())
            found += [(str(path), str(value)) for value in values]
        elif path.suffix == ".h5":
            with h5py.File(path) as file:
                found += [(str(path), str(file[name][:])) for name in file if file[name].dtype.kind in "OS"]
    return found


def differing(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """Names of files that one of two has alone, or that have other bytes: what a person wants to read of it."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
