"""Uploads that are slow, half, broken off or of no kind, at a server with its model and extractors loaded."""

import base64
import http.client
import json
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from m3h.model.serving.app import IN_MEMORY
from m3h.model.serving.messages import MAX_BODY
from tests.model.serving.served import Served
from tests.model.serving.test_app import answered, head

pytestmark = pytest.mark.slow

GROWTH = 400
"""MiB by which the server's memory may grow meanwhile."""
CLOSED = 0
"""In the place of a status: the client went away and waits for no answer."""

Address = tuple[str, int]
Upload = Callable[[Address, bytes], int]


def body_of(picture: bytes) -> bytes:
    return json.dumps({"text": "so much fun at the book fair", "image": base64.b64encode(picture).decode()}).encode()


def whole(address: Address, body: bytes) -> int:
    return answered(address, head(len(body)), body, seconds=300)[0]


def in_pieces(address: Address, body: bytes) -> int:
    """All of it, slowly but in time."""
    with socket.create_connection(address, timeout=300) as line:
        line.sendall(head(len(body)))
        step = len(body) // 20 + 1
        for start in range(0, len(body), step):
            line.sendall(body[start : start + step])
            time.sleep(0.1)
        return status_of(line)


def drop_by_drop(address: Address, body: bytes) -> int:
    """A byte every now and then, until the server has had enough."""
    with socket.create_connection(address, timeout=300) as line:
        line.sendall(head(len(body)))
        line.settimeout(0.2)
        for byte in body:
            try:
                line.sendall(bytes([byte]))
                found = line.recv(1 << 16, socket.MSG_PEEK)
            except TimeoutError:
                continue
            except ConnectionError:  # it was answered and closed between two bytes
                return status_of(line)
            if found:
                return status_of(line)
    raise AssertionError("all of it was taken")


def half_and_silence(address: Address, body: bytes) -> int:
    with socket.create_connection(address, timeout=300) as line:
        line.sendall(head(len(body)) + body[: len(body) // 2])
        return status_of(line)


def half_and_end(address: Address, body: bytes) -> int:
    """The client says that it sends no more, and waits: the server may close, or say that it was cut off."""
    with socket.create_connection(address, timeout=300) as line:
        line.sendall(head(len(body)) + body[: len(body) // 2])
        line.shutdown(socket.SHUT_WR)
        return status_of(line)


def half_and_gone(address: Address, body: bytes) -> int:
    with socket.create_connection(address, timeout=300) as line:
        line.sendall(head(len(body)) + body[: len(body) // 2])
    return CLOSED


def half_and_reset(address: Address, body: bytes) -> int:
    with socket.create_connection(address, timeout=300) as line:
        line.sendall(head(len(body)) + body[: len(body) // 2])
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return CLOSED


def whole_and_gone(address: Address, body: bytes) -> int:
    """Its answer finds nobody."""
    with socket.create_connection(address, timeout=300) as line:
        line.sendall(head(len(body)) + body)
    return CLOSED


def as_a_form(address: Address, body: bytes) -> int:
    """As a web page's form sends a file."""
    part = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + body + b"\r\n--x--\r\n"
    return answered(address, head(len(part), kind="multipart/form-data; boundary=x"), part, seconds=300)[0]


def too_large(address: Address, body: bytes) -> int:
    """Without its length, so that it has to be read."""
    start = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    chunks = [chunk] * (MAX_BODY // 0x100000 + 2)
    return answered(address, start + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n", seconds=300)[0]


def lying(address: Address, body: bytes) -> int:
    """Its chunks are no chunks."""
    start = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return answered(address, start + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", body, seconds=300)[0]


def no_http(address: Address, body: bytes) -> int:
    return answered(address, body[:500] + b"\r\n\r\n", seconds=300)[0]


def endless_head(address: Address, body: bytes) -> int:
    with socket.create_connection(address, timeout=300) as line:
        try:
            line.sendall(b"POST /predict HTTP/1.1\r\nX: " + b"a" * 1_000_000)
        except ConnectionError:
            return 400
        return status_of(line)


def status_of(line: socket.socket) -> int:
    """CLOSED where the server ended the connection without an answer."""
    line.settimeout(300)
    answer = http.client.HTTPResponse(line)
    try:
        answer.begin()
    except (ConnectionError, http.client.RemoteDisconnected):
        return CLOSED
    return answer.status


UPLOADS: dict[Upload, tuple[int, set[int]]] = {
    whole: (8, {200}), in_pieces: (4, {200}), drop_by_drop: (8, {408}), half_and_silence: (12, {408}),
    half_and_end: (24, {400, CLOSED}), half_and_gone: (38, {CLOSED}), half_and_reset: (38, {CLOSED}),
    whole_and_gone: (8, {CLOSED}), as_a_form: (16, {415}), too_large: (8, {413}), lying: (12, {400, CLOSED}),
    no_http: (12, {400}), endless_head: (12, {400, CLOSED}),
}  # fmt: skip
"""How many of each at one time, and what may come back."""


def all_at_once(address: Address, picture: bytes) -> list[tuple[str, int, set[int]]]:
    """(upload, what came back, what may come back) of two hundred uploads."""
    body = body_of(picture)
    jobs = [
        upload
        for i in range(max(number for number, _ in UPLOADS.values()))
        for upload in UPLOADS
        if UPLOADS[upload][0] > i
    ]
    with ThreadPoolExecutor(len(jobs)) as pool:
        found = list(pool.map(lambda upload: upload(address, body), jobs))
    return [(upload.__name__, status, UPLOADS[upload][1]) for upload, status in zip(jobs, found, strict=True)]


def test_two_hundred_slow_half_and_broken_uploads_at_once(served: Served, photo: Path) -> None:
    assert sum(number for number, _ in UPLOADS.values()) == 200
    assert whole(served.address, body_of(photo.read_bytes())) == 200
    before, files = served.peak(), served.files()
    found = all_at_once(served.address, photo.read_bytes())
    assert [one for one in found if one[1] not in one[2]] == []
    assert served.peak() - before < GROWTH
    assert whole(served.address, body_of(photo.read_bytes())) == 200
    while served.files() > files:  # connections that were kept open are closed after some seconds
        time.sleep(0.5)


def test_those_that_stop_in_their_head_take_no_place(served: Served, photo: Path) -> None:
    lines = [socket.create_connection(served.address, timeout=60) for _ in range(10 * IN_MEMORY)]
    for line in lines:
        line.sendall(b"POST /predict HTTP/1.1\r\nHost: local")
    assert whole(served.address, body_of(photo.read_bytes())) == 200
    for line in lines:
        line.close()
