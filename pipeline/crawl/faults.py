"""Why a picture was not fetched: a fixed vocabulary, one word a cause."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """retry: worth another attempt within the same run. about: for people."""

    retry: bool
    about: str


REASONS: Mapping[str, Cause] = {
    "crawl_bad_url": Cause(False, "not an absolute URL, or one with a user name in it"),
    "crawl_forbidden_scheme": Cause(False, "neither http nor https, at first or after a redirect"),
    "crawl_forbidden_port": Cause(False, "a port that crawl.ports does not list"),
    "crawl_forbidden_address": Cause(False, "the host is, or resolves to, an address that is not public"),
    "crawl_dns": Cause(True, "the host's name does not resolve"),
    "crawl_connect": Cause(True, "no connection: refused, unreachable, or not there in crawl.connect_seconds"),
    "crawl_tls": Cause(False, "no trustworthy TLS: a bad, expired or foreign certificate, or no TLS at all"),
    "crawl_disconnected": Cause(True, "the connection broke before the answer's header was whole"),
    "crawl_stalled": Cause(True, "not one byte for crawl.read_seconds"),
    "crawl_truncated": Cause(True, "the body ended before its announced end"),
    "crawl_timeout": Cause(False, "the picture's deadline passed"),
    "crawl_protocol": Cause(False, "the answer is not HTTP as it should be, or a status that was not asked for"),
    "crawl_redirects": Cause(False, "a loop, too many redirects, or one that leads nowhere"),
    "crawl_too_large": Cause(False, "more bytes than crawl.max_bytes, announced or sent"),
    "crawl_encoded": Cause(False, "a compressed body although none was asked for"),
    "crawl_empty": Cause(False, "an answer without a body"),
    "crawl_not_image": Cause(False, "a web page or another document, by its Content-Type"),
    "crawl_gone": Cause(False, "404 or 410"),
    "crawl_denied": Cause(False, "401, 402, 403, 407 or 451"),
    "crawl_http_4xx": Cause(False, "another status of the client's fault"),
    "crawl_http_5xx": Cause(True, "a status of the server's fault"),
    "crawl_throttled": Cause(True, "429, or 503 with Retry-After; the whole host pauses"),
    "crawl_robots": Cause(False, "robots.txt forbids it"),
    "crawl_robots_unreachable": Cause(False, "robots.txt answered with a server error, which forbids everything"),
    "crawl_noai": Cause(False, "X-Robots-Tag: noai, noimageai, noindex, noimageindex, noml or none"),
    "crawl_tdm": Cause(False, "text and data mining is reserved (TDMRep)"),
    "crawl_error": Cause(False, "a fault nobody foresaw: a bug, with its traceback; the crawl goes on and exits 1"),
}
"""Every reason of the crawler. The gate behind it adds the reasons of pictures, `image_…`."""

DETAIL_CHARACTERS = 300
"""What a server sends may be long; what is kept of it is not. Tracebacks are kept whole."""


class CrawlFault(Exception):
    """An expected fault of one request. status: of HTTP, 0 without an answer. final: retried enough already."""

    def __init__(self, reason: str, detail: str = "", status: int = 0, final: bool = False) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = plain(detail)
        self.status = status
        self.final = final

    @property
    def worth_a_retry(self) -> bool:
        """Whether the same request may succeed a little later."""
        return REASONS[self.reason].retry and not self.final


def plain(text: str) -> str:
    """One line of valid Unicode, not long: servers may send anything."""
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return line if len(line) <= DETAIL_CHARACTERS else line[: DETAIL_CHARACTERS - 1] + "…"
