"""Reading posts as CSV and as Parquet, against the same posts as v1.1 JSON lines: processor time and memory.

    python -m benchmarks.tables --rows 1000000 --folder /tmp/tables

The made statuses of `benchmarks.dumps` that are posts are written three times: as they are, and what is read of each as
the row of a table. Each file is read in a process of its own, in turn, in rounds. Nothing is cleaned or stored.
"""

import argparse
import csv
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.dumps import record
from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.pipeline.readers.formats import read_records
from m3h.schemas.posts import Post

NAMES = ("id", "created_at", "text", "lang", "hashtags", "media_urls")
_GROUP = 50_000
_LEAST = 3.0


def made_posts(rows: int) -> Iterator[tuple[bytes, tuple[str, ...]]]:
    """The first posts among the made records: the line of each, and its row."""
    return islice(_posts(), rows)


def _posts() -> Iterator[tuple[bytes, tuple[str, ...]]]:
    index = 0
    while True:
        line = record(index)
        index += 1
        for post in read_records(line):
            if isinstance(post, Post):
                images = "|".join(image.url for image in post.images)
                yield line, (post.post_id, post.created_at, post.text, post.lang or "", "|".join(post.hashtags), images)


def write_all(folder: Path, rows: int) -> dict[str, Path]:
    """The same posts as JSON lines, CSV and Parquet."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / f"posts.{kind}" for kind in ("jsonl", "csv", "parquet")}
    schema = pa.schema([(name, pa.string()) for name in NAMES])
    with (
        open(paths["jsonl"], "wb") as lines,
        open(paths["csv"], "w", newline="", encoding="utf-8") as text,
        pq.ParquetWriter(paths["parquet"], schema) as table,
    ):
        writer = csv.writer(text)
        writer.writerow(NAMES)
        posts = made_posts(rows)
        while group := list(islice(posts, _GROUP)):
            lines.writelines(line + b"\n" for line, _ in group)
            writer.writerows(row for _, row in group)
            columns = zip(*(row for _, row in group), strict=True)
            table.write_table(pa.table(dict(zip(NAMES, columns, strict=True)), schema=schema))
    return paths


def read_once(path: Path) -> None:
    """Read a file, and print the records, the processor seconds, and the largest memory of this process in MB."""
    before = time.process_time()
    posts = sum(isinstance(found, Post) for found in read_dump(DumpFile(path.name, str(path))))
    seconds = time.process_time() - before
    print(posts, seconds, _largest_memory())


def _largest_memory() -> float:
    """The most memory in MB that this process has held. What `getrusage` says includes what its parent held."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(kilobytes) / 1024


def measured(path: Path) -> tuple[int, float, float]:
    """What `read_once` prints in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.tables", "--read", str(path)]
    posts, seconds, memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(posts), float(seconds), float(memory)


def main() -> None:
    """Write the files, read each as often as asked, and print the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("tables"))
    parser.add_argument("--read", type=Path, help="only read this file")
    args = parser.parse_args()
    if args.read:
        read_once(args.read)
        return
    paths = write_all(args.folder, args.rows)
    rounds = [{kind: measured(path) for kind, path in paths.items()} for _ in range(args.rounds)]
    speeds = {kind: median(found[kind][0] / found[kind][1] for found in rounds) for kind in paths}
    for kind, speed in speeds.items():
        memory = max(found[kind][2] for found in rounds)
        print(
            f"{kind:8} {rounds[0][kind][0]:>9} posts {speed:>9.0f} a second of processor time, "
            f"{speed / speeds['jsonl']:.2f} times as many, {memory:.0f} MB"
        )
    print("at least", _LEAST, "times:", all(speeds[kind] >= _LEAST * speeds["jsonl"] for kind in ("csv", "parquet")))


if __name__ == "__main__":
    main()
