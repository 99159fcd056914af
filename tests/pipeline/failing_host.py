"""A web server of pictures that fails as hosts do: wholly or a path at a time, and its robots.txt apart from that."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.pipeline.fakes import small_dump


@dataclass(frozen=True)
class Answer:
    """cut: how many bytes of the body are held back, though they are announced."""

    status: int = 200
    body: bytes = b""
    kind: str = "image/jpeg"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0


TRUNCATED = Answer(206)
"""Stands for the picture itself, cut off in the middle."""
PAGE = b"<!doctype html><html><body>Please accept the terms of this network</body></html>" * 9

OUTAGES: dict[str, tuple[Answer, str, int]] = {
    "503": (Answer(503), "crawl_http_5xx", 503),
    "404": (Answer(404), "crawl_gone", 404),
    "403": (Answer(403), "crawl_denied", 403),
    "a page": (Answer(200, PAGE, "text/html"), "crawl_not_image", 200),
    "a page called a picture": (Answer(200, PAGE), "image_not_jpeg", 200),
    "an empty body": (Answer(200), "crawl_empty", 200),
    "truncated bodies": (TRUNCATED, "crawl_truncated", 200),
    "429 only": (Answer(429), "crawl_throttled", 429),
}
"""What a host answers for every picture, the reason of that, and its status."""

FORBID = "User-agent: *\nDisallow: /\n"
ROBOTS: dict[str, tuple[Answer, str]] = {
    "is unreachable": (Answer(503), "crawl_robots_unreachable"),
    "forbids all": (Answer(200, FORBID.encode(), "text/plain"), "crawl_robots"),
    "forbids all, behind a byte-order mark": (Answer(200, FORBID.encode("utf-8-sig"), "text/plain"), "crawl_robots"),
    "forbids us, behind a byte-order mark": (
        Answer(200, "User-agent: m3h\nDisallow: /\n".encode("utf-8-sig"), "text/plain"), "crawl_robots",
    ),
    "forbids all, in UTF-16": (Answer(200, FORBID.encode("utf-16"), "text/plain"), "crawl_robots"),
    "forbids all, in UTF-16 of the other order": (
        Answer(200, b"\xfe\xff" + FORBID.encode("utf-16-be"), "text/plain"), "crawl_robots",
    ),
}  # fmt: skip
"""What robots.txt is, and the reason that every picture then has."""


class FailingHost:
    """Serves a folder of pictures with ETags. outage: instead of every picture; outages: of some, by path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outage: Answer | None = None
        self.outages: dict[str, Answer] = {}
        self.robots: Answer = Answer(404)
        self.asked: Counter[str] = Counter()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port = self.server.server_address[1]

    def heal(self) -> None:
        """All is well again, and nothing was asked for yet."""
        self.outage, self.outages, self.robots = None, {}, Answer(404)
        self.asked.clear()

    @property
    def pictures(self) -> int:
        """Requests for pictures."""
        return sum(times for path, times in self.asked.items() if path.endswith(".jpg"))

    def answer(self, path: str, known: str | None) -> Answer:
        """known: the ETag that the client has."""
        self.asked[path] += 1
        if not path.endswith(".jpg"):
            return self.robots if path == "/robots.txt" else Answer(404)
        file = self.folder / path.strip("/")
        outage = self.outages.get(path, self.outage)
        if outage is not None and outage is not TRUNCATED:
            return outage
        if not file.is_file():
            return Answer(404)
        body = file.read_bytes()
        tag = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}"'}
        if outage is TRUNCATED:
            return Answer(200, body, headers=tag, cut=len(body) // 2)
        return Answer(304, headers=tag) if known == tag["ETag"] else Answer(200, body, headers=tag)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def rules(self, **crawl: object) -> list[str]:
        """`FIELD=VALUE` of a crawl that reaches it, and waits for nothing."""
        fields: dict[str, object] = {
            "contact": "me@example.org", "allow": "[127.0.0.0/8]", "ports": f"[{self.port}]", "retries": 0,
            "host_rate": 1000, "backoff_seconds": 0.05, "backoff_max_seconds": 0.1, "deadline_seconds": 3,
        }  # fmt: skip
        return [f"crawl.{name}={value}" for name, value in {**fields, **crawl}.items()]

    def dump(self, path: Path, lines: list[str]) -> Path:
        """Records with pictures of a folder, as records with URLs of this host."""
        records = [json.loads(line) for line in lines]
        for record in records:
            record["image_url"] = self.url(record.pop("image"))
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path


def _handler(host: FailingHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = host.answer(self.path, self.headers.get("If-None-Match"))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.status != 304:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) - answer.cut])
            self.close_connection = bool(answer.cut)

        def log_message(self, *_: object) -> None:
            return

    return Handler


@contextmanager
def failing_host(folder: Path, posts: int) -> Iterator[FailingHost]:
    """A host of the pictures of a small dump in `folder`."""
    small_dump(folder, posts)
    host = FailingHost(folder / "images")
    threading.Thread(target=host.server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        host.server.shutdown()
        host.server.server_close()
