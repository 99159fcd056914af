"""The crawler connects only to addresses that the user intended.

The socket's `connect` is replaced below the guard. The replacement records every address and connects to none, so
nothing leaves this machine even if the guard fails.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from m3h.pipeline.crawl import client
from m3h.pipeline.crawl.faults import CrawlFault
from m3h.pipeline.crawl.fetch import Fetched, Target, crawl
from m3h.pipeline.crawl.guard import AddressRefused, Guard, is_public
from m3h.pipeline.crawl.rules import CrawlRules
from tests.pipeline.crawl.conftest import rules_for
from tests.pipeline.crawl.hostile import ADDRESSES, Server

NAMES: dict[str, list[list[str]]] = {
    "public.example": [["93.184.216.34"]],
    "public6.example": [["2606:2800:220:1::1"]],
    "nat64.example": [["64:ff9b::5db8:d822"]],
    "private.example": [["10.0.0.7"]],
    "loopback.example": [["127.0.0.1"]],
    "loopback6.example": [["::1"]],
    "metadata.example": [["169.254.169.254"]],
    "ula.example": [["fd00:ec2::254"]],
    "mapped.example": [["::ffff:192.168.1.1"]],
    "nat64-private.example": [["64:ff9b::a00:7"]],
    "one-of-two.example": [["93.184.216.34", "10.0.0.7"]],
    "flips.example": [["93.184.216.34"], ["127.0.0.1"]],
    "flips-late.example": [["10.0.0.7"], ["93.184.216.34"]],
    "localhost": [["127.0.0.1"]],
    "10.0.0.7.nip.example": [["10.0.0.7"]],
}
"""The addresses of each name in its first, second, ... lookup. The last list stays valid."""


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that reached the system's `connect`, which refuses all of them. Names resolve as in NAMES."""
    seen: list[str] = []
    lookups: dict[str, int] = {}

    async def connect(_: Any, __: Any, address: tuple[Any, ...]) -> None:
        seen.append(address[0])
        raise ConnectionRefusedError

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        name = host.encode("idna").decode().lower().rstrip(".")  # as the real one, which refuses long labels
        if name not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        turns = NAMES[name]
        turn = min(lookups.setdefault(name, 0), len(turns) - 1)
        lookups[name] += 1
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in turns[turn]
        ]

    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    return seen


def fetch(urls: list[str], rules: CrawlRules) -> dict[str, Fetched]:
    async def run() -> dict[str, Fetched]:
        return {fetched.url: fetched async for fetched in crawl(map(Target, urls), rules)}

    return asyncio.run(run())


RULES = CrawlRules(contact="me@example.org", retries=1, backoff_seconds=0.01, host_rate=1000, robots=False, tdm=False)

CLOSED_V4 = [
    "0.0.0.0",  # noqa: S104
    *("0.1.2.3", "10.0.0.0", "10.0.0.7", "10.255.255.255", "100.64.0.0", "100.100.100.200"),
    *("100.127.255.255", "127.0.0.1", "127.0.0.2", "127.255.255.254", "169.254.0.1", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1"),
    *("192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250"),
    *("240.0.0.1", "255.255.255.254", "255.255.255.255", "168.63.129.16"),
]
CLOSED_V6 = [
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.7", "::ffff:7f00:1", "::ffff:169.254.169.254"),
    *("::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::10.0.0.7", "64:ff9b::169.254.169.254", "64:ff9b:1::1"),
    *("64:ff9b:1::a00:7", "100::1", "2001::1", "2001:0:7f00:1::", "2001:2::1", "2001:10::1", "2001:20::1"),
    *("2001:db8::1", "2002:7f00:1::", "2002:a00:7::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1"),
    *("febf::1", "fec0::1", "ff02::1", "ff0e::1"),
]
DISGUISED = [
    *("2130706433", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1", "0X7F.0X0.0.1", "0177.0.0.1", "017700000001"),
    *("00000177.0.0.1", "127.1", "127.0.1", "0", "0x0", "00", "4294967295", "10.7", "0xa000007", "167772167"),
    *(
        "127.0.0.1.",
        "127.0.0.01",
        "127.000.000.001",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "１２７.0.0.1",
        "0x.0x.0",
        "1.2.3.4.5",
    ),
    *("1570691106", "0x5db8d822"),  # a public address, but nobody writes it so
]
TRICKS = {
    "http://public.example@127.0.0.1/a.jpg": "crawl_bad_url",
    "http://127.0.0.1@public.example/a.jpg": "crawl_bad_url",
    "http://public.example:80@10.0.0.7/a.jpg": "crawl_bad_url",
    "http://:secret@127.0.0.1/": "crawl_bad_url",
    "http://127.0.0.1#@public.example/": "crawl_forbidden_address",
    "http://127.0.0.1?@public.example/": "crawl_forbidden_address",
    "http://127.0.0.1/@public.example/": "crawl_forbidden_address",
    "http://public.example\\@127.0.0.1/": "crawl_bad_url",
    "http://127.0.0.1\\@public.example/": "crawl_bad_url",
    "http:\\\\127.0.0.1\\a.jpg": "crawl_bad_url",
    "http:///127.0.0.1/a.jpg": "crawl_bad_url",
    "http:127.0.0.1/a.jpg": "crawl_bad_url",
    "//127.0.0.1/a.jpg": "crawl_bad_url",
    "127.0.0.1/a.jpg": "crawl_bad_url",
    "http://127.0.0.1:80:80/": "crawl_bad_url",
    "http://[::1/a.jpg": "crawl_bad_url",
    "http://[fe80::1%25eth0]/a.jpg": "crawl_forbidden_address",
    "http://[::ffff:7f00:1%25lo]/a.jpg": "crawl_forbidden_address",
    "http://public.example\t.127.0.0.1/": "crawl_bad_url",
    "http://public.example/\r\nHost: 127.0.0.1": "crawl_bad_url",
    "http://public.example/\x00": "crawl_bad_url",
    "http://public.exa mple/": "crawl_bad_url",
    "http://public.example/\ud800.jpg": "crawl_bad_url",
    "": "crawl_bad_url",
    "http://" + "a" * 70 + ".example/": "crawl_bad_url",
    "http://localhost/": "crawl_forbidden_address",
    "http://LOCALHOST./": "crawl_forbidden_address",
    "https://localhost/": "crawl_forbidden_address",
    "http://private.example/": "crawl_forbidden_address",
    "http://loopback.example/": "crawl_forbidden_address",
    "https://loopback6.example/": "crawl_forbidden_address",
    "http://metadata.example/": "crawl_forbidden_address",
    "http://ula.example/": "crawl_forbidden_address",
    "http://mapped.example/": "crawl_forbidden_address",
    "http://nat64-private.example/": "crawl_forbidden_address",
    "http://one-of-two.example/": "crawl_forbidden_address",
    "http://flips-late.example/": "crawl_forbidden_address",
    "http://10.0.0.7.nip.example/": "crawl_forbidden_address",
    "file:///etc/passwd": "crawl_forbidden_scheme",
    "file://localhost/etc/passwd": "crawl_forbidden_scheme",
    "ftp://127.0.0.1/a.jpg": "crawl_forbidden_scheme",
    "gopher://127.0.0.1:6379/_INFO": "crawl_forbidden_scheme",
    "dict://127.0.0.1:11211/stats": "crawl_forbidden_scheme",
    "ldap://127.0.0.1/": "crawl_forbidden_scheme",
    "data:image/jpeg;base64,/9j/": "crawl_forbidden_scheme",
    "javascript:alert(1)": "crawl_forbidden_scheme",
    "ws://public.example/": "crawl_forbidden_scheme",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/": "crawl_forbidden_scheme",
    "http://public.example:22/": "crawl_forbidden_port",
    "http://public.example:6379/": "crawl_forbidden_port",
    "https://public.example:8443/": "crawl_forbidden_port",
    "http://public.example:0/": "crawl_forbidden_port",
    "http://public.example:65536/": "crawl_bad_url",
}
URLS = {
    **{f"http://{address}/a.jpg": "crawl_forbidden_address" for address in CLOSED_V4 + DISGUISED},
    **{f"https://[{address}]/a.jpg": "crawl_forbidden_address" for address in CLOSED_V6},
    **TRICKS,
}


def test_no_url_leads_to_an_internal_address(dialled: list[str]) -> None:
    assert len(URLS) >= 120
    found = fetch(list(URLS), RULES)
    assert {url: fetched.reason for url, fetched in found.items()} == URLS
    assert dialled == []


def test_public_addresses_are_connected(dialled: list[str]) -> None:
    """The notes of the other tests would show a request: here are some."""
    urls = ["http://93.184.216.34/", "http://public.example/", "https://[2606:2800:220:1::1]/", "http://nat64.example/"]
    found = fetch([*urls, "http://public6.example/", "http://nowhere.example/"], RULES)
    assert set(dialled) == {"93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"}
    assert {fetched.reason for fetched in found.values()} == {"crawl_connect", "crawl_dns"}


def test_a_name_that_changes_its_address_is_connected_at_the_checked_address(dialled: list[str]) -> None:
    fetch([f"http://flips.example/{i}.jpg" for i in range(5)], RULES)
    assert set(dialled) == {"93.184.216.34"}


def test_a_name_in_the_allow_list_may_be_private_and_no_other_name_with_its_address(dialled: list[str]) -> None:
    rules = RULES.model_copy(update={"allow": ("Private.example",)})
    found = fetch(["http://private.example/", "http://10.0.0.7.nip.example/", "http://10.0.0.7/"], rules)
    assert [fetched.reason for fetched in found.values()].count("crawl_forbidden_address") == 2
    assert found["http://private.example/"].reason == "crawl_connect"
    assert set(dialled) == {"10.0.0.7"}


def test_robots_txt_passes_the_same_guard(dialled: list[str]) -> None:
    found = fetch(["http://private.example/a.jpg"], RULES.model_copy(update={"robots": True}))
    assert (found["http://private.example/a.jpg"].reason, dialled) == ("crawl_forbidden_address", [])


INSIDE = [
    *("http://127.0.0.9/", "http://10.0.0.7/", "http://169.254.169.254/latest/", "https://192.168.1.1/", "//10.0.0.7/"),
    *("http://[::1]/", "http://[::ffff:10.0.0.7]/", "http://[fd00::1]/", "http://2130706433/", "http://0x7f.1/"),
    *("http://private.example/", "http://loopback.example/", "http://metadata.example/", "http://one-of-two.example/"),
    *("file:///etc/passwd", "gopher://127.0.0.1/", "http://127.0.0.1:22/", "http://a@10.0.0.7/", "ftp://10.0.0.7/"),
]


@pytest.fixture
def real_server(dialled: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """A server that redirects with code and target as the path says, the one address that is really dialled."""
    from urllib.parse import unquote

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, _, code, target = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1].split("/", 3)
        head = f"HTTP/1.1 {code} Go\r\nLocation: {unquote(target)}\r\n"
        writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    import threading

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = socket.create_server(("127.0.0.77", 0))
    server = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, sock=listening), loop).result()
    noting = asyncio.selector_events.BaseSelectorEventLoop.sock_connect

    async def connect(self: Any, sock: Any, address: tuple[Any, ...]) -> None:
        if address[0] != "127.0.0.77":
            return await noting(self, sock, address)
        sock.setblocking(True)
        sock.connect(address)
        sock.setblocking(False)
        return None

    monkeypatch.setattr("asyncio.selector_events.BaseSelectorEventLoop.sock_connect", connect)
    yield f"http://127.0.0.77:{listening.getsockname()[1]}", dialled
    asyncio.run_coroutine_threadsafe(_closed(server), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _closed(server: asyncio.Server) -> None:
    server.close()


def test_no_redirect_leads_to_an_internal_address(real_server: tuple[str, list[str]]) -> None:
    from urllib.parse import quote

    base, dialled = real_server
    port = int(base.rpartition(":")[2])
    rules = RULES.model_copy(update={"allow": ("127.0.0.77/32",), "ports": (80, 443, port), "retries": 0})
    urls = [
        f"{base}/{i}/{code}/{quote(to, safe='')}" for code in (301, 302, 303, 307, 308) for i, to in enumerate(INSIDE)
    ]
    found = fetch(urls, rules)
    reasons = {fetched.reason for fetched in found.values()}
    allowed = {"crawl_forbidden_address", "crawl_forbidden_scheme", "crawl_forbidden_port", "crawl_bad_url"}
    assert len(found) == 5 * len(INSIDE)
    assert reasons <= allowed
    assert dialled == []


def test_a_proxy_in_the_environment_is_not_used(dialled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    fetch(["http://public.example/", "https://public.example/"], RULES)
    assert set(dialled) == {"93.184.216.34"}


# each layer by itself


def test_a_socket_is_refused_even_when_the_check_of_names_fails(
    dialled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guard, "check_address", lambda *_: None)
    found = fetch(["http://private.example/", "http://10.0.0.7/", "http://one-of-two.example/"], RULES)
    assert {url: f.reason for url, f in found.items() if f.reason != "crawl_forbidden_address"} in (
        {},
        {"http://one-of-two.example/": "crawl_connect"},  # the public one of the two was dialled
    )
    assert set(dialled) <= {"93.184.216.34"}


def test_nothing_is_sent_to_a_peer_that_is_refused_even_when_both_other_checks_fail(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guard, "check_address", lambda *_: None)
    monkeypatch.setattr(Guard, "open_socket", lambda _, info: socket.socket(*info[:3]))
    url = server.url("plain", 4711)
    found = fetch([url], rules_for(server, allow=()))
    assert found[url].reason == "crawl_forbidden_address"
    assert [request for request in server.log if request.address == ADDRESSES["plain"]] == []


@pytest.mark.parametrize("address", CLOSED_V4 + CLOSED_V6)
def test_no_socket_is_made_for(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(AddressRefused):
        Guard(RULES).open_socket((family, socket.SOCK_STREAM, 6, "", (address, 80)))


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
@example(ipaddress.IPv4Address("192.0.0.9"))
def test_what_is_public_is_global_to_the_standard_library_too(address: ipaddress.IPv4Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
def test_no_ipv6_address_outside_the_global_unicast_block_is_public(address: ipaddress.IPv6Address) -> None:
    if is_public(address) and address not in ipaddress.IPv6Network("64:ff9b::/96"):
        assert address in ipaddress.IPv6Network("2000::/3")


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_an_embedded_ipv4_address_decides(inner: ipaddress.IPv4Address) -> None:
    assert is_public(ipaddress.IPv6Address(f"::ffff:{inner}")) == is_public(inner)
    assert is_public(ipaddress.IPv6Address(f"64:ff9b::{inner}")) == is_public(inner)
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) | (int(inner) << 80)))


def test_the_guard_makes_all_sockets() -> None:
    """The connector asks the guard for every socket."""

    async def maker() -> Any:
        guard = Guard(RULES)
        connector = client.PoliteConnector(RULES, guard, client.Hosts(RULES))
        found = connector._socket_factory
        await connector.close()
        return found == guard.open_socket

    assert asyncio.run(maker())


def test_a_url_with_its_own_address_is_refused_before_any_lookup() -> None:
    from yarl import URL

    with pytest.raises(CrawlFault, match=r"^crawl_forbidden_address: 10\.0\.0\.7$"):
        Guard(RULES).check_url(URL("http://10.0.0.7/"))
