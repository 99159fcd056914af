"""The application behind real sockets: what is wrong is a 4xx of one line, and few requests are in memory at a time."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn

from m3h.model import api
from m3h.model.cli import main
from m3h.model.commands import serving as serve
from m3h.model.runs.finished import SCORES
from m3h.model.serving import app as serving
from m3h.model.serving import server
from m3h.model.serving.app import IN_MEMORY, application
from m3h.model.serving.messages import MAX_BODY, Answer, Phrase, Question
from m3h.model.serving.server import bound_socket
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.programs import Extra


class Counted:
    """Answers a post with its own text, and counts how many are answered at one time."""

    def __init__(self) -> None:
        self.now, self.most = 0, 0

    def __call__(self, question: Question) -> Answer:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.002)
        self.now -= 1
        if question.text == "wordless":
            raise UsageError("text 'wordless': no word\nleft. Give a text with words.")
        if question.text == "damaged":
            raise IntegrityError("model.safetensors: changed.")
        return Answer(keyphrases=[Phrase(phrase=question.text, score=1.0, origin="text")], tokens=[])


answerer = Counted()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listening = bound_socket("127.0.0.1", 0)
    app = application(answerer, "runs/full", body_seconds=1.0)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", lifespan="off", log_config=None, backlog=1024))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()
    server.should_exit = True
    thread.join()
    listening.close()


JSON = "application/json"


def head(length: object, kind: str = JSON, method: str = "POST", path: str = "/predict") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


def answered(address: tuple[str, int], *parts: bytes, seconds: float = 60) -> tuple[int, str]:
    """Status and body of what comes back."""
    with socket.create_connection(address, timeout=seconds) as line:
        for part in parts:
            line.sendall(part)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return answer.status, answer.read().decode()


def asked(address: tuple[str, int], text: str) -> tuple[int, str]:
    body = json.dumps({"text": text}).encode()
    return answered(address, head(len(body)), body)


def test_a_good_request_is_answered(address: tuple[str, int]) -> None:
    status, body = asked(address, "calm sea")
    assert (status, json.loads(body)["keyphrases"][0]["phrase"]) == (200, "calm sea")


@pytest.mark.parametrize(
    ("parts", "status", "said"),
    [
        ((head(2), b"{}"), 422, "text: field required."),
        ((head(3), b"{]}"), 400, "request: invalid JSON"),
        ((head(2, kind="text/plain"), b"{}"), 415, "content-type: expected application/json, found 'text/plain'"),
        ((head(2, kind="multipart/form-data"), b"{}"), 415, "content-type: expected application/json"),
        ((head(MAX_BODY + 1),), 413, "expected at most"),
        ((head(0, method="GET"),), 405, "Method Not Allowed"),
        ((head(0, path="/../../etc/passwd"),), 404, "Not Found"),
        ((head(100), b'{"text'), 408, "the body did not arrive within 1 s."),
        ((b"POST /predict HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n",), 403, "Host: expected"),
    ],
)
def test_what_is_wrong_is_one_line_of_json(
    address: tuple[str, int], parts: tuple[bytes, ...], status: int, said: str
) -> None:
    found, body = answered(address, *parts)
    assert found == status
    assert json.loads(body)["error"].startswith(said)


def test_what_the_model_refuses_is_422_and_what_is_damaged_is_500(address: tuple[str, int]) -> None:
    assert asked(address, "wordless") == (
        422, '{"error":"text \'wordless\': no word left. Give a text with words."}',
    )  # fmt: skip
    assert asked(address, "damaged") == (500, '{"error":"model.safetensors: changed."}')


def test_a_body_without_a_length_is_counted_as_it_comes(address: tuple[str, int]) -> None:
    start = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    chunks = [chunk] * (MAX_BODY // 0x100000 + 1)
    status, body = answered(address, start + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n")
    assert (status, "found more" in body) == (413, True)


def test_one_that_is_cut_off_harms_no_other(address: tuple[str, int]) -> None:
    for _ in range(2 * IN_MEMORY):
        with socket.create_connection(address) as line:
            line.sendall(head(1000) + b'{"text": "a')
    assert asked(address, "calm sea")[0] == 200


def test_two_hundred_at_once_are_answered_one_after_the_other(address: tuple[str, int]) -> None:
    answerer.most = 0
    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(lambda i: asked(address, f"sea {i}"), range(200)))
    assert [status for status, _ in found] == [200] * 200
    assert [json.loads(body)["keyphrases"][0]["phrase"] for _, body in found] == [f"sea {i}" for i in range(200)]
    assert answerer.most == 1


def test_slow_ones_keep_places_only_for_a_while(address: tuple[str, int]) -> None:
    """Twice as many as there are places: the others wait, and a good one after them is answered."""
    with ThreadPoolExecutor(2 * IN_MEMORY + 1) as pool:
        slow = [pool.submit(answered, address, head(100), b"{") for _ in range(2 * IN_MEMORY)]
        good = pool.submit(asked, address, "calm sea")
        assert [one.result()[0] for one in slow] == [408] * (2 * IN_MEMORY)
        assert good.result()[0] == 200


def test_when_too_many_wait_a_request_is_told_so(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_WAITING", 0)
    assert asked(address, "calm sea") == (429, '{"error":"0 requests wait already; ask again later."}')


def test_a_port_that_is_taken_is_one_line(address: tuple[str, int]) -> None:
    with pytest.raises(UsageError, match=f"--port {address[1]}: Address already in use. Name another, or 0"):
        bound_socket("127.0.0.1", address[1])


def test_serve_shows_that_it_loads_and_says_the_notes_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shown: list[str] = []

    def show_progress(parts: list[Path], title: str) -> Iterator[Path]:
        shown.append(title)
        yield from parts
        shown.append("loaded")

    predictor = SimpleNamespace(reader=SimpleNamespace(notes=["random weights"]))
    monkeypatch.setattr(serve, "show_progress", show_progress)
    monkeypatch.setattr(api, "load", lambda *_, **__: predictor)
    monkeypatch.setattr(server, "serve_until_interrupted", lambda *_: shown.append("served"))
    (tmp_path / SCORES).write_text("{}")
    assert main(["serve", str(tmp_path), "--port", "0"]) == 0
    assert shown == [f"loading {tmp_path}", "loaded", "served"]
    assert caplog.messages == ["note: random weights"]


def test_without_its_packages_serve_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / SCORES).write_text("{}")
    monkeypatch.setattr(serve, "EXTRA", Extra("serve", ("no_such_package",)))
    assert main(["serve", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("Install what it needs: pip install 'm3h[serve]'\n")
