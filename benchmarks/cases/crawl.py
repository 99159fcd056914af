"""`m3h crawl` against img2dataset, on a server of this machine; what a further picture costs.

Small made JPEGs. Ours keeps all guards, waits until each picture is on the disk, and judges it as a build does (grey,
perceptual hash, local features); only its pace is as fast as it goes. img2dataset decodes and resizes to 256 x 256, as
most use it, or stores the bytes as they came. The same command for one picture is taken off. `CPU s with start` is all
of it, the server's too. What must be equal: the number of pictures, and where both store bytes, their hashes.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.case import Case, Side, WrongAnswer
from benchmarks.harness.measure import measured
from benchmarks.harness.work import Answer, Work

SIDE = 160
OPTIONS = [
    *("--input_format", "txt", "--output_format", "files", "--enable_wandb", "False", "--processes_count", "1"),
    *("--thread_count", "64", "--number_sample_per_shard", "1000", "--retries", "0"),
]


@contextmanager
def _server() -> Iterator[int]:
    """Its port."""
    words = [sys.executable, "-m", "benchmarks.cases.crawl_server", str(SIDE)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield int(server.stdout.readline() if server.stdout else "")
        finally:
            server.kill()


def _crawled(work: Work, command: Sequence[str]) -> Answer:
    """Run it for one picture and for all. In its words PORT, URLS, OUT are the server's port, the list, the folder."""
    costs = []
    with _server() as port:
        for name, number in (("one", 1), ("all", work.number)):
            urls, out = work.folder / f"{name}.txt", work.folder / f"{name}-{os.getpid()}"
            urls.write_text("".join(f"http://127.0.0.1:{port}/{i}.jpg\n" for i in range(number)))
            words = [
                word.replace("PORT", str(port)).replace("URLS", str(urls)).replace("OUT", str(out)) for word in command
            ]
            costs.append(measured(words, work.folder / "crawl.log", {"NO_ALBUMENTATIONS_UPDATE": "1"}))
    one, every = costs
    work.charge(every.wall - one.wall, every.cpu - one.cpu)
    return {"hashes": sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*/*.jpg"))}


def ours(work: Work) -> Answer:
    """`m3h crawl` with all guards."""
    rules = (
        "contact=me@example.org host_rate=1000000 concurrency=64 host_concurrency=64 ports=[PORT] allow=[127.0.0.1/32]"
    )
    sets = [f"crawl.{rule}" for rule in rules.split()]
    return _crawled(work, [sys.executable, "-m", "pipeline", "crawl", "--urls", "URLS", "--out", "OUT", "--set", *sets])


def resized(work: Work) -> Answer:
    """img2dataset as it is by itself, but for its processes."""
    return _crawled(work, [*_img2dataset(), "--image_size", "256"])


def stored(work: Work) -> Answer:
    """img2dataset without decoding."""
    return _crawled(work, [*_img2dataset(), "--disable_all_reencoding", "True"])


def _img2dataset() -> list[str]:
    program = str(Path(sys.executable).with_name("img2dataset"))
    return [program, *OPTIONS, "--url_list", "URLS", "--output_folder", "OUT"]


def compare(answers: Mapping[str, Answer]) -> str:
    """The same number of pictures; the same bytes where bytes are stored."""
    (_, mine), *others = answers.items()
    for name, theirs in others:
        if len(theirs["hashes"]) != len(mine["hashes"]):
            raise WrongAnswer(f"{name} has {len(theirs['hashes'])} pictures, m3h {len(mine['hashes'])}")
    if answers[STORED]["hashes"] != mine["hashes"]:
        raise WrongAnswer(f"{STORED} has other bytes")
    return f"all {len(mine['hashes'])} pictures on each side; those stored as they came have the same bytes."


STORED = "img2dataset, bytes"
CASE = Case(
    name="crawl",
    title="A further picture of a crawl: img2dataset",
    things="pictures",
    number=800,
    sides=(
        Side("m3h crawl", "benchmarks.cases.crawl:ours", peer=False),
        Side("img2dataset, resized", "benchmarks.cases.crawl:resized"),
        Side(STORED, "benchmarks.cases.crawl:stored"),
    ),
    compare=compare,
    bound="the gate's local features, of which the case `gate` shows the cost; then storing, with fsync.",
)
