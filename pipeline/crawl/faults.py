"""The reasons for which a picture was not downloaded, a fixed vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """retry: whether another attempt in the same run may succeed. description: an explanation for users."""

    retry: bool
    description: str


REASONS: Mapping[str, Cause] = {
    "crawl_bad_url": Cause(False, "not an absolute URL, or one with a user name in it"),
    "crawl_forbidden_scheme": Cause(False, "neither http nor https, at first or after a redirect"),
    "crawl_forbidden_port": Cause(False, "a port that crawl.ports does not list"),
    "crawl_forbidden_address": Cause(False, "the host is, or resolves to, an address that is not public"),
    "crawl_dns": Cause(True, "the host's name does not resolve"),
    "crawl_connect": Cause(True, "no connection: refused, unreachable, or none within crawl.connect_seconds"),
    "crawl_tls": Cause(False, "no valid TLS: a bad or expired certificate, one of another host, or no TLS at all"),
    "crawl_disconnected": Cause(True, "the connection broke before the response's header was complete"),
    "crawl_stalled": Cause(True, "not one byte for crawl.read_seconds"),
    "crawl_truncated": Cause(True, "the body ended before its announced end"),
    "crawl_timeout": Cause(False, "the picture's deadline passed"),
    "crawl_protocol": Cause(False, "the response is not valid HTTP, or has a status that does not fit the request"),
    "crawl_redirects": Cause(False, "a loop, too many redirects, or one that leads nowhere"),
    "crawl_too_large": Cause(False, "more bytes than crawl.max_bytes, announced or sent"),
    "crawl_encoded": Cause(False, "a compressed body, although the request did not allow one"),
    "crawl_empty": Cause(False, "a response without a body"),
    "crawl_not_image": Cause(False, "a web page or another document, by its Content-Type"),
    "crawl_gone": Cause(False, "404 or 410"),
    "crawl_denied": Cause(False, "401, 402, 403, 407 or 451"),
    "crawl_http_4xx": Cause(False, "another client error (4xx)"),
    "crawl_http_5xx": Cause(True, "a server error (5xx)"),
    "crawl_throttled": Cause(True, "429, or 503 with Retry-After; the whole host pauses"),
    "crawl_robots": Cause(False, "robots.txt forbids it"),
    "crawl_robots_unreachable": Cause(
        False, "the request for robots.txt failed with a server error, which forbids everything"
    ),
    "crawl_noai": Cause(False, "X-Robots-Tag: noai, noimageai, noindex, noimageindex, noml or none"),
    "crawl_tdm": Cause(False, "text and data mining is reserved (TDMRep)"),
    "crawl_error": Cause(
        False, "a bug in this program; the detail has the traceback, and the crawl goes on and exits 1"
    ),
}
"""Every reason of the crawler. The validator adds the reasons that begin with `image_`."""

DETAIL_CHARACTERS = 300
"""Most characters that are kept of a server's text. Tracebacks are kept completely."""


class CrawlFault(Exception):
    """An expected fault of one request."""

    def __init__(self, reason: str, detail: str = "", status: int = 0, *, final: bool = False) -> None:
        """A fault with its reason.

        Args:
            reason: one of REASONS.
            detail: what was found.
            status: the HTTP status, 0 without a response.
            final: whether the request was already repeated, so that another attempt is useless.
        """
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = one_line(detail)
        self.status = status
        self.final = final

    @property
    def worth_a_retry(self) -> bool:
        """Whether the same request may succeed a little later."""
        return REASONS[self.reason].retry and not self.final


def one_line(text: str) -> str:
    """A server's text as one line of valid Unicode with at most DETAIL_CHARACTERS characters."""
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return line if len(line) <= DETAIL_CHARACTERS else line[: DETAIL_CHARACTERS - 1] + "…"
