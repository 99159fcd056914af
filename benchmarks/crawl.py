"""The crawler against img2dataset 1.47.0, on a local server of small JPEGs, in turns, with the answers compared.

    python3.11 -m venv /tmp/i2d && /tmp/i2d/bin/pip install img2dataset==1.47.0
    python -m benchmarks.crawl --img2dataset /tmp/i2d/bin/img2dataset --number 3000 --rounds 3

Each contender is a process, timed as a user runs it. `start` is the same command with one URL; what a picture costs is
(whole - start) / (number - 1). CPU seconds are the contender's own and its children's, not the server's.

  bytes    fetch, hash and store; nothing is decoded. Theirs: --disable_all_reencoding
  decoded  and decode each once. Theirs: --resize_mode no --skip_reencode, which decodes by OpenCV; ours by Pillow
  whole    `m3h crawl`, whose gate also looks for grey pictures and takes perceptual hashes
"""

import argparse
import hashlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

PICTURES = 200
"""Pictures drawn; a comment with the URL's number makes a file of its own of each, so that nothing is stored once."""


def pictures(side: int) -> list[bytes]:
    """Colour JPEGs of coarse patches and some noise."""
    made = []
    for seed in range(PICTURES):
        random = np.random.default_rng(seed)
        patches = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((side, side))
        noisy = np.clip(np.asarray(patches, dtype=np.int16) + random.integers(-12, 12, (side, side, 3)), 0, 255)
        out = io.BytesIO()
        Image.fromarray(noisy.astype(np.uint8)).save(out, "JPEG", quality=85)
        made.append(out.getvalue())
    return made


def numbered(drawn: list[bytes], number: int) -> bytes:
    """The file of URL `number`: a picture with the number in a JPEG comment."""
    picture = drawn[number % len(drawn)]
    return picture[:20] + b"\xff\xfe\x00\x0a%08d" % number + picture[20:]  # after the JFIF segment


def serve(side: int) -> None:
    """A server as small as can be, in a process of its own: /N.jpg is file N, anything else is not there."""
    import asyncio

    drawn = pictures(side)

    class Conversation(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport
            self.held = b""

        def data_received(self, data: bytes) -> None:
            *heads, self.held = (self.held + data).split(b"\r\n\r\n")
            for head in heads:
                number = head.split(b" ", 2)[1][1:-4]
                body = numbered(drawn, int(number)) if number.isdigit() else b""
                status = b"200 OK" if body else b"404 Not Found"
                top = b"HTTP/1.1 %b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
                self.transport.write(top + body)  # type: ignore[attr-defined]

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Conversation, "127.0.0.1", 0, backlog=1000)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


def fetch(urls: Path, out: Path, port: int, decode: bool) -> None:
    """Our crawl with a gate that hashes, and decodes or does not."""
    from m3h.pipeline.crawl.crawler import crawl_into
    from m3h.pipeline.crawl.fetch import Target
    from m3h.pipeline.crawl.rules import CrawlRules
    from m3h.pipeline.images.store import StoredImage

    def validator(body: bytes) -> StoredImage:
        width = height = 0
        if decode:
            with Image.open(io.BytesIO(body), formats=("JPEG",)) as picture:
                picture.load()
                width, height = picture.size
        return StoredImage(hashlib.sha256(body).hexdigest(), len(body), width, height, "RGB", phash="", keypoints="")

    crawl_into(out, map(Target, urls.read_text().split()), CrawlRules(**rules(port)), validator=validator)


def rules(port: int) -> dict[str, object]:
    """All guards on; only the pace is as fast as it goes."""
    return {
        "contact": "me@example.org",
        "host_rate": 1e6,
        "concurrency": 64,
        "host_concurrency": 64,
        "ports": [port],
        "allow": ["127.0.0.1/32"],
    }


@dataclass(frozen=True)
class Contender:
    """name; command of a URL list and a new folder."""

    name: str
    command: Callable[[Path, Path], list[str]]


def contenders(img2dataset: str, port: int, config: Path) -> list[Contender]:
    """Ours and theirs in turn."""
    me = [sys.executable, "-m"]
    theirs = [img2dataset, "--input_format", "txt", "--output_format", "files", "--enable_wandb", "False"]
    theirs += ["--processes_count", "1", "--thread_count", "64", "--number_sample_per_shard", "1000", "--retries", "0"]

    def our_own(decode: str) -> Callable[[Path, Path], list[str]]:
        return lambda urls, out: [*me, "benchmarks.crawl", "--fetch", str(urls), str(out), str(port), decode]

    def their(*options: str) -> Callable[[Path, Path], list[str]]:
        return lambda urls, out: [*theirs, "--url_list", str(urls), "--output_folder", str(out), *options]

    def whole(urls: Path, out: Path) -> list[str]:
        return [*me, "pipeline", "crawl", "--config", str(config), "--urls", str(urls), "--out", str(out)]

    return [
        Contender("ours, bytes", our_own("no")),
        Contender("img2dataset, bytes", their("--disable_all_reencoding", "True")),
        Contender("ours, decoded", our_own("yes")),
        Contender("img2dataset, decoded", their("--resize_mode", "no", "--skip_reencode", "True")),
        Contender("ours, whole", whole),
    ]


def hashes(out: Path) -> set[str]:
    """Of the pictures stored below a folder."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in out.glob("*/*.jpg")}


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    )
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr.decode()[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(img2dataset: str, number: int, rounds: int, side: int, folder: Path) -> None:
    """Print a line a contender: medians over the rounds."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crawl", "--serve", str(side)], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(server.stdout.readline() if server.stdout else "")
        config = folder / "build.yaml"
        config.write_text(json.dumps({"crawl": rules(port)}))
        many, one = folder / "many.txt", folder / "one.txt"
        many.write_text("".join(f"http://127.0.0.1:{port}/{i}.jpg\n" for i in range(number)))
        one.write_text(f"http://127.0.0.1:{port}/0.jpg\n")
        drawn = pictures(side)
        wanted = {hashlib.sha256(numbered(drawn, i)).hexdigest() for i in range(number)}
        size = statistics.mean(map(len, drawn))
        print(f"{number} pictures of {side} x {side}, {size / 1000:.1f} kB; {rounds} rounds, medians")
        found: dict[str, list[tuple[float, ...]]] = {}
        for turn in range(rounds):
            for contender in contenders(img2dataset, port, config):
                out = folder / f"{contender.name}-{turn}"
                start = timed(contender.command(one, Path(f"{out}-one")))
                whole = timed(contender.command(many, out))
                if (found_here := hashes(out)) != wanted:
                    sys.exit(f"{contender.name}: {len(found_here & wanted)} of {number} pictures are the server's")
                found.setdefault(contender.name, []).append((*start, *whole))
    finally:
        server.terminate()
        server.wait()
    print(" " * 25 + "start: wall, CPU s     all: wall, CPU s    one: wall, CPU ms")
    for name, rows in found.items():
        start_wall, start_cpu, wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        each = [1000 * (a - b) / (number - 1) for a, b in ((wall, start_wall), (cpu, start_cpu))]
        print(
            f"{name:22}  {start_wall:8.2f} {start_cpu:9.2f}   {wall:8.2f} {cpu:9.2f}   {each[0]:10.2f} {each[1]:10.2f}"
        )


def main() -> None:
    """Measure, or play one of the parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--img2dataset", default="/tmp/i2d/bin/img2dataset")  # noqa: S108
    parser.add_argument("--number", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=160, help="pixels of a picture's side")
    parser.add_argument("--serve", type=int, metavar="SIDE", help=argparse.SUPPRESS)
    parser.add_argument("--fetch", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    elif options.fetch:
        urls, out, port, decode = options.fetch
        fetch(Path(urls), Path(out), int(port), decode == "yes")
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(options.img2dataset, options.number, options.rounds, options.side, Path(folder))


if __name__ == "__main__":
    main()
