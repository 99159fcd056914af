"""`make networks`: posts of Bluesky and Mastodon from crawl to a trained model, with pictures from this computer.

The dumps are made after the networks' schemas (`sample/networks.py`). A web server shows the pictures, and
`m3h build --crawl` fetches them. Then a small model is trained and scored, by the commands a user would type.
"""

import argparse
import json
import shlex
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from m3h.sample import networks
from tests.commands import ROOT, Done, run

SMALL = ("width=64", "word_width=64", "encoder_layers=1", "batch_size=16", "learning_rate=0.002", "threads=1")


class _Pictures(SimpleHTTPRequestHandler):
    def guess_type(self, _: object) -> str:
        return "image/jpeg"

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Show a folder on 127.0.0.1; yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pictures, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def steps(out: Path, port: int, epochs: int) -> list[list[str]]:
    """The command lines, without `m3h`."""
    dumps = [str(out / name) for name in (networks.BLUESKY, networks.STREAM, networks.MASTODON)]
    dataset, trained = str(out / "dataset"), str(out / "run")
    rules = ("contact=me@example.org", "allow=[127.0.0.0/8]", f"ports=[{port}]", "host_rate=200")
    sets = [f"crawl.{rule}" for rule in rules]
    small = ["add_inputs=[alt]", f"epochs={epochs}", "warmup_epochs=2", *SMALL]
    return [
        ["build", "--dumps", *dumps, "--crawl", "--dataset", dataset, "--features", "ocr", "--set", *sets, "--json"],
        ["verify", "--dataset", dataset],
        ["train", "--dataset", dataset, "--system", "gen-cls-m3h", "--out", trained, "--overwrite", "--set", *small],
        ["evaluate", trained],
    ]


def from_crawl_to_model(out: Path, epochs: int = 30) -> tuple[dict[str, Any], list[Done]]:
    """Make the dumps and run every step. Returns what must become of the records, and what each step said."""
    pictures, done = out / networks.PICTURES, []
    pictures.mkdir(parents=True)
    with served(pictures) as port:
        expected = networks.make(out, f"http://127.0.0.1:{port}")
        for words in steps(out, port, epochs):
            sys.stderr.write(f"$ m3h {shlex.join(words)}\n")
            done.append(run("m3h", *words))
            if done[-1].code:
                break
    return expected, done


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.networks.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "networks-demo", help="folder to write into, emptied first")
    out = parser.parse_args(argv).out
    shutil.rmtree(out, ignore_errors=True)
    expected, done = from_crawl_to_model(out)
    for step in done:
        sys.stdout.write(step.out)
        sys.stderr.write(step.err)
    sys.stdout.write(f"expected of the records: {json.dumps(expected)}\n")
    return done[-1].code


if __name__ == "__main__":
    sys.exit(main())
