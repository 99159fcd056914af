"""A web server that shows pictures, for builds that crawl."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.pipeline.fakes import small_dump


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


@contextmanager
def opened(folder: Path, posts: int) -> Iterator[Shop]:
    """A shop of the pictures of a small dump in `folder`."""
    small_dump(folder, posts)
    shop = Shop(folder / "images")
    threading.Thread(target=shop.server.serve_forever, daemon=True).start()
    try:
        yield shop
    finally:
        shop.server.shutdown()
        shop.server.server_close()


def crawled_dump(shop: Shop, source: Path, path: Path) -> Path:
    """The small dump of `source`, its pictures at the shop under two names of its host."""
    records = [json.loads(line) for line in (source / "dump.jsonl").read_text().splitlines()]
    for i, record in enumerate(records):
        host = "127.0.0.1" if i % 2 else "localhost"
        record["image_url"] = f"http://{host}:{shop.port}/{record.pop('image')}"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def words(dump: Path, dataset: Path, shop: Shop, workers: int = 1, **crawl: object) -> list[object]:
    rules = {"contact": "me@example.org", "allow": "[127.0.0.0/8, '::1/128']", "ports": f"[{shop.port}]", "retries": 0}
    sets = [f"crawl.{name}={value}" for name, value in {**rules, **crawl}.items()]
    return [
        *("build", "--dumps", dump, "--crawl", "--dataset", dataset, "--features", "none", "--workers", workers),
        *("--set", "clean.min_hashtag_count=1", *sets),
    ]
