"""Dumps of hundreds of megabytes, with lines of ten megabytes, are read in little memory. Slow: the files are real."""

import gzip
import io
import json
import subprocess
import sys
import tarfile

import pytest

from tests.commands import environment

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20
LARGEST_GROWTH = 150 * MEGABYTE

READ = """
import collections, json, pathlib, resource, sys
from m3h.pipeline.readers.dumps import DumpFile, read_dump
def peak():
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = pathlib.Path("/proc/self/status").read_text()  # ru_maxrss would be the parent's, if that was larger
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
list(read_dump(DumpFile("warm", sys.argv[2])))
before = peak()
counts = collections.Counter(getattr(item, "reason", "post") for item in read_dump(DumpFile("big", sys.argv[1])))
print(json.dumps({"growth": peak() - before, "counts": counts}))
"""


def record(i, **fields):
    return json.dumps({"id": i, "text": f"post {i} #tag", "image": f"{i}.jpg", **fields}, ensure_ascii=False).encode()


SMALL = [record(i, more="x" * 900) for i in range(1000)]
LARGE = {
    "post": record(1, more="y" * (10 * MEGABYTE)),
    "record_too_large": record(2, text="é" * (4 * MEGABYTE) + "😀" * (MEGABYTE // 2)),
    "not_json": record(3, more="z" * (10 * MEGABYTE))[:-1],
    "line_too_long": record(4, more="w" * (30 * MEGABYTE)),
}


def records(rounds):
    """About a megabyte of small records a round; each large one every 25 rounds."""
    for i in range(rounds):
        yield from SMALL
        if i % 25 == 0:
            yield from LARGE.values()


def expected(rounds):
    large = -(-rounds // 25)
    return {"post": 1000 * rounds + large, **dict.fromkeys([name for name in LARGE if name != "post"], large)}


def read_apart(folder, big):
    """Reads `big` in a process of its own: how much its memory grew, and what came out."""
    (folder / "warm.jsonl").write_bytes(SMALL[0])
    command = [sys.executable, "-c", READ, str(big), str(folder / "warm.jsonl")]
    done = subprocess.run(command, capture_output=True, env=environment(), check=True)
    return json.loads(done.stdout)


def write_lines(path, rounds):
    size = 0
    with gzip.open(path, "wb", compresslevel=1) as file:
        for line in records(rounds):
            size += file.write(line + b"\n")
    return size


def write_list(path, rounds):
    with gzip.open(path, "wb", compresslevel=1) as file:
        size = file.write(b"window.YTD.tweets.part0 = [")
        for i, value in enumerate(records(rounds)):
            size += file.write((b",\n" if i else b"") + value)
        return size + file.write(b"]")


def write_archive(path, rounds):
    size = 0
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for i in range(0, rounds, 5):
            member = io.BytesIO()
            with gzip.open(member, "wb", compresslevel=1) as file:
                for line in records(5) if i % 25 == 0 else SMALL * 5:
                    size += file.write(line + b"\n")
            info = tarfile.TarInfo(f"2017/{i:03}.json.gz")
            info.size = member.tell()
            member.seek(0)
            archive.addfile(info, member)
    return size


@pytest.mark.parametrize("write", [write_lines, write_list, write_archive])
def test_hundreds_of_megabytes_are_read_in_little_memory(tmp_path, write):
    rounds = 125
    size = write(tmp_path / "big", rounds)
    assert size > 300 * MEGABYTE
    found = read_apart(tmp_path, tmp_path / "big")
    assert found["counts"] == expected(rounds)
    assert found["growth"] < LARGEST_GROWTH


@pytest.mark.parametrize("text", [b"\0" * MEGABYTE, b"[" * MEGABYTE, b'{"a":"' + b"x" * MEGABYTE])
def test_one_line_of_gigabytes_is_one_dropped_record(tmp_path, text):
    with gzip.open(tmp_path / "big", "wb", compresslevel=1) as file:
        for _ in range(1024):
            file.write(text)
        file.write(b"\n" + SMALL[0])
    found = read_apart(tmp_path, tmp_path / "big")
    assert found["counts"] == {"line_too_long": 1, "post": 1}
    assert found["growth"] < LARGEST_GROWTH
