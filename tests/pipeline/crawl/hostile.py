"""A web server that does everything wrong, one behaviour a host, and keeps a log of every request it saw.

Each behaviour lives on an address of its own (127.0.1.N), so that what one asks for (a pause, a robots.txt) does not
touch the others. `EXPECTED` says what a crawl must make of each.
"""

import asyncio
import contextlib
import datetime
import gzip
import io
import re
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from email.utils import format_datetime
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import trustme
from PIL import Image


@cache
def jpeg(seed: int = 0, side: int = 48) -> bytes:
    """A small colour JPEG, another one for every seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(patches).resize((side, side)).save(out, "JPEG", quality=90)
    return out.getvalue()


@dataclass(frozen=True)
class Request:
    """One request as the server saw it. at: time.monotonic()."""

    at: float
    address: str
    path: str
    headers: dict[str, str]
    number: int  # of this path at this address, from 1
    visit: int  # of any picture at this address, from 1


class Reply:
    """What a behaviour writes with."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.keep = True

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send(self, body: bytes = b"", status: str = "200 OK", length: int | None = None, **headers: str) -> None:
        """A whole answer; `length` where the header shall lie."""
        lines = {"Content-Type": "image/jpeg", "Content-Length": str(len(body) if length is None else length)}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        await self.raw(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    def close(self) -> None:
        self.keep = False

    def reset(self) -> None:
        """End with RST, not FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep = False
        self.writer.transport.abort()


Behaviour = Callable[[Reply, Request], Awaitable[None]]
BEHAVIOURS: dict[str, Behaviour] = {}
EXPECTED: dict[str, str] = {}
"""The reason of each behaviour; "" for a picture that must be fetched."""
FILES: dict[str, dict[str, Behaviour]] = {}
"""Robots.txt and the like of a behaviour's host, by path."""
TLS: dict[str, str] = {}
"""Behaviours that are asked over TLS, and by which certificate they answer."""


def behaves(reason: str = "", tls: str = "", **files: Behaviour) -> Callable[[Behaviour], Behaviour]:
    def register(behaviour: Behaviour) -> Behaviour:
        name = behaviour.__name__
        BEHAVIOURS[name], EXPECTED[name] = behaviour, reason
        FILES[name] = {{"robots": "/robots.txt", "tdmrep": "/.well-known/tdmrep.json"}[k]: v for k, v in files.items()}
        if tls:
            TLS[name] = tls
        return behaviour

    return register


def text(body: str, **headers: str) -> Behaviour:
    async def behaviour(reply: Reply, _: Request) -> None:
        await reply.send(body.encode(), Content_Type="text/plain", **headers)

    return behaviour


def status(line: str, **headers: str) -> Behaviour:
    async def behaviour(reply: Reply, _: Request) -> None:
        await reply.send(b"", line, **headers)

    return behaviour


def picture_of(request: Request) -> bytes:
    return jpeg(sum(request.path.encode()) % 50)


# good


@behaves()
async def plain(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves(tls="good")
async def secure(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves()
async def chunked(reply: Reply, request: Request) -> None:
    body = picture_of(request)
    await reply.raw(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n")
    for i in range(0, len(body), 300):
        await reply.raw(b"%x\r\n%b\r\n" % (len(body[i : i + 300]), body[i : i + 300]))
    await reply.raw(b"0\r\n\r\n")


@behaves()
async def without_length(reply: Reply, request: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\n\r\n" + picture_of(request))
    reply.close()


@behaves()
async def closes_after_each(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))  # says nothing of it, and closes
    reply.close()


@behaves("crawl_protocol")
async def more_than_announced(reply: Reply, request: Request) -> None:
    body = picture_of(request)
    await reply.send(body + b"x" * 5000, length=len(body))
    reply.close()


@behaves()
async def named_text(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), Content_Type="text/plain")


@behaves()
async def redirects_here(reply: Reply, request: Request) -> None:
    if request.path.endswith("/there"):
        return await reply.send(picture_of(request))
    return await reply.send(b"", "302 Found", Location=request.path + "/there")


ESCAPED = "/redirects_escaped/a%2Fb%7E%28c%29/it%27s.jpg?sig=q%2BPP%3D&u=https%3A%2F%2Fx.org%2Fy&n=it%27s,a+b"
"""Another spelling of it is another URL."""


@behaves()
async def redirects_escaped(reply: Reply, request: Request) -> None:
    if request.path == ESCAPED:
        return await reply.send(picture_of(request))
    if re.fullmatch(r"/redirects_escaped/\d+\.jpg", request.path):
        return await reply.send(b"", "302 Found", Location=ESCAPED)
    return await reply.send(b"", "403 Forbidden")


@behaves()
async def unavailable_once(reply: Reply, request: Request) -> None:
    await (reply.send(picture_of(request)) if request.number > 1 else reply.send(b"", "503 Service Unavailable"))


@behaves()
async def resets_once(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request)) if request.number > 1 else reply.reset()


@behaves()
async def throttles_once(reply: Reply, request: Request) -> None:
    if request.visit > 1:
        return await reply.send(picture_of(request))
    return await reply.send(b"", "429 Too Many Requests", Retry_After="1")


@behaves()
async def throttles_by_date(reply: Reply, request: Request) -> None:
    if request.visit > 1:
        return await reply.send(picture_of(request))
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    return await reply.send(b"", "503 Service Unavailable", Retry_After=format_datetime(until, usegmt=True))


@behaves()
async def has_etag(reply: Reply, request: Request) -> None:
    """Pictures whose path says `changing` are other ones, under another ETag, from the second request on."""
    version = 2 if "changing" in request.path and request.number > 1 else 1
    dated = {"ETag": f'"v{version}"', "Last_Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    if request.headers.get("if-none-match") == dated["ETag"]:
        return await reply.raw(b"HTTP/1.1 304 Not Modified\r\n\r\n")
    return await reply.send(jpeg(version), **dated)


@behaves()
async def has_sizes(reply: Reply, request: Request) -> None:
    """As pbs.twimg.com: `only_small` has no other sizes."""
    large = "name=large" in request.path or "name=orig" in request.path
    if large and "only_small" in request.path:
        return await reply.send(b"", "404 Not Found")
    return await reply.send(jpeg(int(large)))


@behaves()
async def refuses_others(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), X_Robots_Tag="otherbot: noai, noindex")


@behaves()
async def expires_some_day(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), X_Robots_Tag="unavailable_after: 25 Jun 2090 15:00:00 PST")


@behaves(tdmrep=text("<html>not json</html>"))
async def tdmrep_is_html(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), tdm_reservation="0")


@behaves(tdmrep=text('[{"location": "/private", "tdm-reservation": 1}]'))
async def tdm_elsewhere(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves(robots=text("User-agent: *\nDisallow: /private\nAllow: /\n"))
async def robots_elsewhere(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves(robots=text("User-agent: *\nDisallow: /\n\nUser-agent: m3h\nAllow: /\n"))
async def robots_for_us(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves(robots=status("403 Forbidden"))
async def robots_denied(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves(robots=text("User-agent: *\nDisallow: /nothing\n" + "# filler\n" * 100_000 + "Disallow: /\n"))
async def robots_of_a_megabyte(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))  # what lies beyond 500 KiB does not count


# time


@behaves("crawl_timeout")
async def drips(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    while True:
        await reply.raw(b"x")
        await asyncio.sleep(0.1)


@behaves("crawl_timeout")
async def drips_headers(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        await reply.raw(b"x")
        await asyncio.sleep(0.1)


@behaves("crawl_timeout")
async def continues_for_ever(reply: Reply, _: Request) -> None:
    while True:
        await reply.raw(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.05)


@behaves("crawl_stalled")
async def never_answers(reply: Reply, _: Request) -> None:
    await asyncio.sleep(60)


@behaves("crawl_stalled")
async def stops_half_way(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request)[:200], length=5000)
    await asyncio.sleep(60)


@behaves("crawl_stalled", robots=never_answers)
async def robots_never_answers(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


# size and shape of the body


@behaves("crawl_too_large")
async def endless(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await reply.raw(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")


@behaves("crawl_too_large")
async def endless_without_length(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await reply.raw(b"x" * 0x4000)


@behaves("crawl_too_large")
async def announces_ten_gigabytes(reply: Reply, _: Request) -> None:
    await reply.send(b"x" * 1000, length=10_000_000_000)


@behaves("crawl_truncated")
async def less_than_announced(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request)[:400], length=5000)
    reply.close()


@behaves("crawl_truncated")
async def resets_half_way(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request)[:400], length=5000)
    await asyncio.sleep(0.05)
    reply.reset()


@behaves("crawl_truncated")
async def chunks_end_early(reply: Reply, request: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n" + picture_of(request)[:100])
    reply.close()


@behaves("crawl_encoded")
async def gzip_bomb(reply: Reply, _: Request) -> None:
    await reply.send(_bomb(), Content_Encoding="gzip")


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    return gzip.compress(bytes(20_000_000))


@behaves("crawl_empty")
async def no_content(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 204 No Content\r\n\r\n")


@behaves("crawl_empty")
async def empty(reply: Reply, _: Request) -> None:
    await reply.send(b"")


@behaves("image_not_jpeg")
async def page_as_jpeg(reply: Reply, _: Request) -> None:
    await reply.send(b"<html><body>Please log in</body></html>" * 20)


@behaves("image_not_jpeg")
async def png_as_jpeg(reply: Reply, _: Request) -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG")
    await reply.send(out.getvalue())


@behaves("image_truncated")
async def half_a_jpeg(reply: Reply, request: Request) -> None:
    body = picture_of(request)
    await reply.send(body[:-200])


# pages


@behaves("crawl_not_image")
async def cookie_wall(reply: Reply, _: Request) -> None:
    await reply.send(b"<html>Accept?</html>", Content_Type="text/html; charset=utf-8", Set_Cookie="seen=1; Path=/")


@behaves("crawl_not_image")
async def meta_refresh(reply: Reply, _: Request) -> None:
    page = b'<html><meta http-equiv="refresh" content="0; url=http://10.0.0.1/a.jpg"></html>'
    await reply.send(page, Content_Type="text/html")


@behaves("crawl_not_image")
async def json_error(reply: Reply, _: Request) -> None:
    await reply.send(b'{"error": 1}', Content_Type="application/json")


# redirects


@behaves("crawl_redirects")
async def redirect_loop(reply: Reply, request: Request) -> None:
    await reply.send(b"", "301 Moved", Location=request.path)


@behaves("crawl_redirects")
async def cookie_loop(reply: Reply, request: Request) -> None:
    if "cookie" in request.headers:
        return await reply.send(picture_of(request))
    return await reply.send(b"", "302 Found", Location=request.path, Set_Cookie="seen=1; Path=/")


@behaves("crawl_redirects")
async def redirect_chain(reply: Reply, request: Request) -> None:
    await reply.send(b"", "307 Temporary Redirect", Location=request.path + "x")


@behaves("crawl_redirects")
async def redirect_nowhere(reply: Reply, _: Request) -> None:
    await reply.send(b"", "308 Permanent Redirect")


def redirects_to(name: str, location: str, reason: str) -> None:
    async def behaviour(reply: Reply, _: Request) -> None:
        await reply.send(b"", "302 Found", Location=location)

    behaviour.__name__ = name
    behaves(reason)(behaviour)


redirects_to("redirect_private", "http://10.0.0.1/secret.jpg", "crawl_forbidden_address")
redirects_to("redirect_metadata", "http://169.254.169.254/latest/meta-data/", "crawl_forbidden_address")
redirects_to("redirect_mapped", "//[::ffff:10.0.0.1]/a.jpg", "crawl_forbidden_address")
redirects_to("redirect_file", "file:///etc/passwd", "crawl_forbidden_scheme")
redirects_to("redirect_data", "data:image/jpeg;base64,AAAA", "crawl_forbidden_scheme")
redirects_to("redirect_port", "http://127.0.0.1:22/a.jpg", "crawl_forbidden_port")
redirects_to("redirect_user", "http://me:secret@127.0.0.1/a.jpg", "crawl_bad_url")
redirects_to("redirect_garbage", "http://[half/a.jpg", "crawl_bad_url")


# statuses


def answers(name: str, line: str, reason: str, **headers: str) -> None:
    behaviour = status(line, **headers)
    behaviour.__name__ = name
    behaves(reason)(behaviour)


answers("not_found", "404 Not Found", "crawl_gone")
answers("gone", "410 Gone", "crawl_gone")
answers("unauthorized", "401 Unauthorized", "crawl_denied", WWW_Authenticate="Basic")
answers("forbidden", "403 Forbidden", "crawl_denied")
answers("legal_reasons", "451 Unavailable For Legal Reasons", "crawl_denied")
answers("bad_request", "400 Bad Request", "crawl_http_4xx")
answers("always_500", "500 Internal Server Error", "crawl_http_5xx")
answers("always_502", "502 Bad Gateway", "crawl_http_5xx")
answers("throttles_for_an_hour", "429 Too Many Requests", "crawl_throttled", Retry_After="3600")
answers("throttles_silently", "429 Too Many Requests", "crawl_throttled")
answers("down_for_an_hour", "503 Service Unavailable", "crawl_throttled", Retry_After="3600")
answers("partial", "206 Partial Content", "crawl_protocol")
answers("status_999", "999 Request Denied", "crawl_protocol")


@behaves("crawl_protocol")
async def not_modified_unasked(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 304 Not Modified\r\n\r\n")


# the protocol


@behaves("crawl_disconnected")
async def resets_at_once(reply: Reply, _: Request) -> None:
    reply.reset()


@behaves("crawl_disconnected")
async def closes_at_once(reply: Reply, _: Request) -> None:
    reply.close()


@behaves("crawl_disconnected")
async def closes_in_the_header(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\nContent-Ty")
    reply.close()


@behaves("crawl_protocol")
async def bad_status_line(reply: Reply, _: Request) -> None:
    await reply.raw(b"HELLO 200 OK\r\n\r\n")


@behaves("crawl_protocol")
async def no_header_at_all(reply: Reply, request: Request) -> None:
    await reply.raw(picture_of(request))
    reply.close()


@behaves("crawl_protocol")
async def huge_header(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), X_Huge="x" * 200_000)


@behaves("crawl_protocol")
async def many_headers(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), **{f"X_{i}": "x" for i in range(10_000)})


@behaves("crawl_protocol")
async def endless_headers(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\n")
    while True:
        await reply.raw(b"X-Again: again\r\n" * 100)


@behaves("crawl_protocol")
async def bad_chunks(reply: Reply, _: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")


@behaves("crawl_protocol")
async def two_lengths(reply: Reply, request: Request) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello12")


# TLS


@behaves("crawl_tls", tls="foreign")
async def foreign_certificate(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves("crawl_tls", tls="expired")
async def expired_certificate(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves("crawl_tls", tls="mismatch")
async def certificate_of_another(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves("crawl_tls", tls="none")
async def no_tls_at_all(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves("crawl_connect", tls="slow")
async def slow_tls(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


# what sites say against it


@behaves("crawl_noai")
async def says_noai(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), X_Robots_Tag="all, NoAI")


@behaves("crawl_noai")
async def says_noimageindex(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), X_Robots_Tag="noimageindex")


@behaves("crawl_noai")
async def says_no_to_us(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), X_Robots_Tag="otherbot: nofollow, m3h: noml")


@behaves("crawl_tdm")
async def reserves_mining(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request), tdm_reservation="1")


@behaves("crawl_tdm", tdmrep=text('[{"location": "/", "tdm-reservation": 1}]'))
async def reserves_in_a_file(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves("crawl_robots", robots=text("User-agent: *\nDisallow: /\n"))
async def robots_forbid(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves("crawl_robots", robots=text("User-agent: *\nAllow: /\n\nUser-agent: M3H\nDisallow: /*.jpg$\n"))
async def robots_forbid_us(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves("crawl_robots_unreachable", robots=status("500 Internal Server Error"))
async def robots_are_down(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


@behaves("crawl_disconnected", robots=closes_at_once)
async def robots_disconnect(reply: Reply, request: Request) -> None:
    await reply.send(picture_of(request))


ADDRESSES = {name: f"127.0.1.{i}" for i, name in enumerate(BEHAVIOURS, start=1)}
_NAMES = {address: name for name, address in ADDRESSES.items()}


STALL_SECONDS = 0.05


@dataclass
class Server:
    """Listens on every address for HTTP, and for TLS on one port a certificate."""

    folder: Path
    log: list[Request] = field(default_factory=list)
    stalls: list[tuple[float, float]] = field(default_factory=list)
    """When the server itself was held up, from and to: what it logs then came earlier than it says."""

    async def start(self) -> None:
        self.ca_file = self.folder / "ca.pem"
        ca = trustme.CA()
        ca.cert_pem.write_to_path(str(self.ca_file))
        addresses = sorted(ADDRESSES.values())
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        certificates = {
            "good": ca.issue_cert(*addresses),
            "foreign": trustme.CA().issue_cert(*addresses),
            "expired": ca.issue_cert(*addresses, not_before=past - datetime.timedelta(days=9), not_after=past),
            "mismatch": ca.issue_cert("elsewhere.example"),
        }
        self._counts: Counter[tuple[str, str]] = Counter()
        self._open: set[asyncio.Task[None]] = set()
        self._servers = []
        self.port = await self._listen(addresses, None)
        self.ports = {"plain": self.port}
        for kind, certificate in certificates.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            mine = [ADDRESSES[name] for name, used in TLS.items() if used == kind]
            self.ports[kind] = await self._listen(mine, context)
        self._heart = asyncio.create_task(self._beat())
        self.ports["none"] = await self._listen([ADDRESSES["no_tls_at_all"]], None, self._no_tls)
        self.ports["slow"] = await self._listen([ADDRESSES["slow_tls"]], None, self._mute)

    async def _listen(self, addresses: list[str], context: ssl.SSLContext | None, serve: object = None) -> int:
        first = await asyncio.start_server(serve or self._serve, addresses[0], 0, ssl=context)  # type: ignore[arg-type]
        port = first.sockets[0].getsockname()[1]
        self._servers.append(first)
        if addresses[1:]:
            rest = await asyncio.start_server(serve or self._serve, addresses[1:], port, ssl=context)  # type: ignore[arg-type]
            self._servers.append(rest)
        return port

    def url(self, name: str, number: int = 0) -> str:
        """A picture of the host that behaves so."""
        kind = TLS.get(name)
        scheme, port = ("https", self.ports[kind]) if kind else ("http", self.port)
        return f"{scheme}://{ADDRESSES[name]}:{port}/{name}/{number}.jpg"

    async def _beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            if (now := time.monotonic()) > before + STALL_SECONDS:
                self.stalls.append((before, now))

    async def _mute(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    async def _no_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._open.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            self._open.discard(task)
            writer.transport.abort() if writer.is_closing() else writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        name = _NAMES[address]
        reply = Reply(writer)
        while reply.keep:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            path = head[0].split(" ")[1]
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            own = path in ("/robots.txt", "/.well-known/tdmrep.json")
            self._counts[address, path] += 1
            self._counts[address, ""] += not own
            counts = self._counts[address, path], self._counts[address, ""]
            request = Request(time.monotonic(), address, path, headers, *counts)
            self.log.append(request)
            if own:
                await FILES[name].get(path, status("404 Not Found"))(reply, request)
            else:
                await BEHAVIOURS[name](reply, request)

    async def stop(self) -> None:
        self._heart.cancel()
        for server in self._servers:
            server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """The server in a thread with a loop of its own."""
    server = Server(folder)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(30)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
