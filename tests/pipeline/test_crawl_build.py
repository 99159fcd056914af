"""`build --crawl`, `retry`: pictures fetched by their URLs, each once, over kills and second tries."""

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.commands import ROOT, command, environment, files_of, run
from tests.pipeline.fakes import small_dump

POSTS = 12


class Shop:
    """Serves a folder of pictures with ETags, and notes what it was asked for. failing: path -> status."""

    def __init__(self, folder: Path) -> None:
        self.asked: Counter[str] = Counter()
        self.unchanged: Counter[str] = Counter()
        self.failing: dict[str, int] = {}
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                shop.asked[self.path] += 1
                file = folder / self.path.strip("/")
                status = shop.failing.get(self.path, 200 if file.is_file() else 404)
                body = file.read_bytes() if status == 200 else b""
                tag = f'"{len(body)}"'
                if body and self.headers.get("If-None-Match") == tag:
                    shop.unchanged[self.path] += 1
                    status, body = 304, b""
                self.send_response(status)
                self.send_header("Content-Type", "image/jpeg")
                self.send_header("ETag", tag)
                if status != 304:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    @property
    def pictures(self) -> Counter[str]:
        """Requests a picture."""
        return Counter({path: n for path, n in self.asked.items() if path.endswith(".jpg")})


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    small_dump(tmp_path / "source", POSTS)
    shop = Shop(tmp_path / "source" / "images")
    thread = threading.Thread(target=shop.server.serve_forever, daemon=True)
    thread.start()
    yield shop
    shop.server.shutdown()
    shop.server.server_close()


@pytest.fixture
def dump(tmp_path: Path, shop: Shop) -> Path:
    """The same posts, their pictures at the shop under two names of its host."""
    records = [json.loads(line) for line in (tmp_path / "source" / "dump.jsonl").read_text().splitlines()]
    for i, record in enumerate(records):
        host = "127.0.0.1" if i % 2 else "localhost"
        record["image_url"] = f"http://{host}:{shop.port}/{record.pop('image')}"
    path = tmp_path / "crawled.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def words(dump: Path, dataset: Path, shop: Shop, workers: int = 1, **crawl: object) -> list[object]:
    rules = {"contact": "me@example.org", "allow": "[127.0.0.0/8, '::1/128']", "ports": f"[{shop.port}]", "retries": 0}
    sets = [f"crawl.{name}={value}" for name, value in {**rules, **crawl}.items()]
    return [
        *("build", "--dumps", dump, "--crawl", "--dataset", dataset, "--features", "none", "--workers", workers),
        *("--set", "clean.min_hashtag_count=1", *sets),
    ]


@pytest.mark.slow
def test_every_picture_is_asked_for_once_and_what_failed_can_be_tried_again(
    dump: Path, shop: Shop, tmp_path: Path
) -> None:
    shop.failing = {"/p3.jpg": 404, "/p4.jpg": 500}
    dataset = tmp_path / "d"
    done = run("pipeline", *words(dump, dataset, shop, host_rate=100), "--json")
    assert done.code == 0, done.err
    assert (done.json["read"], done.json["kept"]) == (POSTS, POSTS - 2)
    assert done.json["dropped"] == {"crawl_gone": 1, "crawl_http_5xx": 1}
    assert shop.pictures == Counter({f"/p{i}.jpg": 1 for i in range(POSTS)})
    assert run("pipeline", "verify", "--dataset", dataset).code == 0

    shop.failing = {}
    done = run("pipeline", "retry", "--dataset", dataset, "--reason", "crawl_http_5xx", "--json")
    assert done.code == 0, done.err
    assert (done.json["before"], done.json["after"]) == ({"crawl_http_5xx": 1}, {"crawl_http_5xx": 0})
    assert shop.pictures == Counter({f"/p{i}.jpg": 1 for i in range(POSTS)} | {"/p4.jpg": 2})

    rows = {path.name: path for path in (dataset / "images").glob("images.parquet")}
    before = pq.read_table(rows["images.parquet"]).to_pylist()
    done = run("pipeline", "retry", "--dataset", dataset, "--reason", "crawl_gone", "--recrawl", "--json")
    assert done.code == 0, done.err
    assert (done.json["kept"], shop.unchanged.total()) == (POSTS, POSTS - 1)
    after = pq.read_table(rows["images.parquet"]).to_pylist()
    assert [row for row in after if not row["url"].endswith("/p3.jpg")] == before

    (tmp_path / "ids.txt").write_text("1007\n")
    forgotten = run("pipeline", "forget", "--dataset", dataset, "--ids", tmp_path / "ids.txt")
    assert forgotten.code == 0, forgotten.err
    ledgers = [row["url"] for path in (dataset / "images").glob("crawl-*") for row in pq.read_table(path).to_pylist()]
    assert len(ledgers) == POSTS - 1
    assert not [url for url in ledgers if url.endswith("/p7.jpg")]
    assert run("pipeline", "verify", "--dataset", dataset).code == 0


@pytest.mark.slow
def test_a_crawl_killed_in_the_middle_goes_on_and_asks_for_no_stored_picture_again(
    dump: Path, shop: Shop, tmp_path: Path
) -> None:
    dataset = tmp_path / "d"
    build = subprocess.Popen(
        command("pipeline", *words(dump, dataset, shop, workers=2, host_rate=2, host_concurrency=1)),
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    while len(stored := {path.name for path in dataset.glob("images/*/[0-9a-f]*.jpg")}) < 3:
        assert build.poll() is None, "the build ended before it was killed"
        time.sleep(0.02)
    family = psutil.Process(build.pid).children(recursive=True)
    build.send_signal(signal.SIGKILL)
    build.wait()
    psutil.wait_procs(family, timeout=20)
    first = shop.pictures
    done = run("pipeline", *words(dump, dataset, shop, host_rate=100))
    assert done.code == 0, done.err
    asked_twice = [path for path, times in shop.pictures.items() if times > 1]
    assert len(asked_twice) <= 2, "at most what was under way, one picture a host"
    assert first.total() + POSTS - len(stored) >= shop.pictures.total()

    assert run("pipeline", *words(dump, tmp_path / "whole", shop, host_rate=100)).code == 0
    ours, theirs = (
        {name: data for name, data in files_of(folder).items() if not name.startswith(("manifest", "images/crawl-"))}
        for folder in (dataset, tmp_path / "whole")
    )
    assert ours == theirs


def test_nothing_is_fetched_without_a_contact_and_nothing_private_without_leave(
    dump: Path, shop: Shop, tmp_path: Path
) -> None:
    nobody = run("pipeline", *words(dump, tmp_path / "d", shop, contact=""))
    assert nobody.code == 2
    assert "crawl.contact" in nobody.error
    done = run("pipeline", *words(dump, tmp_path / "d", shop, allow="[]"), "--json")
    assert done.code == 0, done.err
    assert done.json["dropped"] == {"crawl_forbidden_address": POSTS}
    assert not shop.asked
