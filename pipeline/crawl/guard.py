"""No request to an address the user did not mean: the check stands where the socket is made.

A URL's text proves nothing: a name may resolve to anything, and to something else the next time. So a name is resolved
once, its addresses are checked, and the connection goes to exactly those; the socket's address is checked again before
it connects, and the peer's once more before a byte is sent. Redirects pass through the same gates, hop by hop.
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

from pipeline.crawl.faults import CrawlFault
from pipeline.crawl.rules import CrawlRules

Address = IPv4Address | IPv6Address

# IANA's special-purpose registries, listed here because `is_global` differs between Python versions.
_CLOSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # a cloud's service for its own machines, on a public address
    )
)
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4: any IPv4 address in disguise
        "3fff::/20",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
ADDRESSES_KEPT = 10_000

_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet. One that carries an IPv4 address is judged by that one."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_V4)
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _OPEN_V6 and not any(address in network for network in _CLOSED_V6)


class Refused(OSError):
    """The guard closed the door on a socket. An OSError, so that the connector cleans up as for any failed one."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "not a public address")


class Guard:
    """What may be connected to under `rules`."""

    def __init__(self, rules: CrawlRules) -> None:
        self._ports = frozenset(rules.ports)
        self._networks: list[IPv4Network | IPv6Network] = []
        self._names: set[str] = set()
        for entry in rules.allow:
            try:
                self._networks.append(ipaddress.ip_network(entry))
            except ValueError:
                self._names.add(entry.lower().rstrip("."))
        self._admitted: set[Address] = set()  # addresses of the allowed names
        self._passed: set[str] = set()  # addresses of sockets found good before

    def check_url(self, url: URL) -> None:
        """CrawlFault unless the URL's own words are fine: scheme, user, host, port, and an address written out."""
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
        """CrawlFault unless `host` may lie at `address`."""
        if host.lower().rstrip(".") in self._names:
            self._admitted.add(address)
        elif not self._may_connect(address, admitted=False):
            raise CrawlFault("crawl_forbidden_address", host if host == str(address) else f"{host} is {address}")

    def _may_connect(self, address: Address, admitted: bool = True) -> bool:
        if is_public(address) or (admitted and address in self._admitted):
            return True
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)

    def check_socket(self, sockaddr: Sequence[Any]) -> None:
        """Refused unless this very address may be connected to. `sockaddr`: as `connect` or `getpeername` has it."""
        host = str(sockaddr[0])
        if host in self._passed:
            return
        if not self._may_connect(ipaddress.ip_address(host)):
            raise Refused
        if len(self._passed) < ADDRESSES_KEPT:
            self._passed.add(host)

    def open_socket(self, addr_info: tuple[Any, ...]) -> socket.socket:
        """The only maker of the crawler's sockets. addr_info: family, type, protocol, name, address."""
        family, kind, protocol, _, sockaddr = addr_info
        self.check_socket(sockaddr)
        return socket.socket(family, kind, protocol)


class GuardedResolver(AbstractResolver):
    """The system's resolver; a name with one address that is not allowed is refused whole."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of `host`, all of them allowed."""
        try:
            found = await self._inner.resolve(host, port, family)
        except UnicodeError as error:  # such as a label of more than 63 letters
            raise CrawlFault("crawl_bad_url", f"{host}: {error}") from error
        for result in found:
            self._guard.check_address(host, ipaddress.ip_address(result["host"]))
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()
