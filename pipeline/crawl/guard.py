"""Prevents requests to addresses that the user did not intend, such as addresses of the local network.

Checking the text of a URL is not enough: a name may resolve to any address, and to another one the next time. So a name
is resolved once, its addresses are checked, and the connection uses exactly these addresses. The address is checked
again when the socket is made, and the peer's address before a byte is sent. Each redirect passes the same checks.
aiohttp offers the hooks for this (resolver, socket factory, connector), but no check of its own.
"""

import errno
import ipaddress
import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from m3h.pipeline.crawl.faults import CrawlFault
from m3h.pipeline.crawl.rules import CrawlRules

Address = IPv4Address | IPv6Address

# From IANA's special-purpose registries. Python's own `is_global` differs between versions.
_NOT_PUBLIC_V4 = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # a cloud provider's internal service on a public address
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4, which contains every IPv4 address
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
MAX_ADDRESSES = 10_000
"""Most checked addresses that are remembered."""

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet. An embedded IPv4 address decides for the address around it."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _GLOBAL_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


class AddressRefused(OSError):
    """The guard refused an address. It is an OSError, so that aiohttp cleans up as after any failed connection."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "not a public address")


class Guard:
    """Decides which URLs and addresses may be requested under `rules`."""

    def __init__(self, rules: CrawlRules) -> None:
        self._ports = frozenset(rules.ports)
        self._networks: list[IPv4Network | IPv6Network] = []
        self._names: set[str] = set()
        for entry in rules.allow:
            try:
                self._networks.append(ipaddress.ip_network(entry))
            except ValueError:
                self._names.add(entry.lower().rstrip("."))
        self._named_addresses: set[Address] = set()  # addresses of the allowed names
        self._checked: set[str] = set()  # addresses that passed `check_socket` before

    def check_url(self, url: URL) -> None:
        """CrawlFault unless the text of the URL is allowed: its scheme, user name, host, port and numeric address."""
        if not url.scheme:
            raise CrawlFault("crawl_bad_url", f"no scheme: {url}")
        if url.scheme not in ("http", "https"):
            raise CrawlFault("crawl_forbidden_scheme", str(url))
        if url.user is not None or url.password is not None:
            raise CrawlFault("crawl_bad_url", "a user name in the URL")
        host = url.raw_host
        if not host:
            raise CrawlFault("crawl_bad_url", f"no host: {url}")
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
                raise CrawlFault("crawl_forbidden_address", f"{host}: an address in disguise") from None
            if ":" in host or "%" in host:
                raise CrawlFault("crawl_forbidden_address", f"{host}: an address of one network interface") from None
        else:
            self.check_address(host, address)
        if url.port not in self._ports:
            raise CrawlFault("crawl_forbidden_port", f"{url.port} of {host}")

    def check_address(self, host: str, address: Address) -> None:
        """CrawlFault unless `host` may have the address `address`."""
        if host.lower().rstrip(".") in self._names:
            self._named_addresses.add(address)
        elif not (is_public(address) or self._in_allowed_network(address)):
            raise CrawlFault("crawl_forbidden_address", host if host == str(address) else f"{host} is {address}")

    def _in_allowed_network(self, address: Address) -> bool:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)

    def check_socket(self, sockaddr: Sequence[Any]) -> None:
        """AddressRefused unless a connection to this address is allowed. sockaddr: as `getpeername` returns it."""
        host = str(sockaddr[0])
        if host in self._checked:
            return
        address = ipaddress.ip_address(host)
        if not (is_public(address) or address in self._named_addresses or self._in_allowed_network(address)):
            raise AddressRefused
        if len(self._checked) < MAX_ADDRESSES:
            self._checked.add(host)

    def open_socket(self, addr_info: tuple[Any, ...]) -> socket.socket:
        """Makes every socket of the crawler. addr_info: family, type, protocol, name, address."""
        family, kind, protocol, _, sockaddr = addr_info
        self.check_socket(sockaddr)
        return socket.socket(family, kind, protocol)


class GuardedResolver(AbstractResolver):
    """The system's resolver. A name is refused when one of its addresses is not allowed."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`, all of them allowed.

        Args:
            host: the name to resolve.
            port: passed on to aiohttp's resolver.
            family: passed on to aiohttp's resolver.

        Raises:
            CrawlFault: the name is not valid, or one of its addresses is not allowed.
        """
        try:
            found = await self._inner.resolve(host, port, family)
        except UnicodeError as error:  # for example a label of more than 63 letters
            raise CrawlFault("crawl_bad_url", f"{host}: {error}") from error
        for result in found:
            self._guard.check_address(host, ipaddress.ip_address(result["host"]))
        return found

    async def close(self) -> None:
        """Close aiohttp's resolver."""
        await self._inner.close()
