"""URLs as they are asked for: byte for byte as they were written.

Signed URLs, and names that hold an escaped slash, mean something else in any other spelling. yarl, and so aiohttp,
would unescape `%27` and `%7E`, and escape `'` in a query. Only bytes that no request line may hold are escaped here.
"""

import re
import urllib.parse

from yarl import URL

from m3h.pipeline.crawl.faults import CrawlFault

_INVALID_CHARACTER = re.compile("[\x00-\x20\x7f\ud800-\udfff]")
_PARTS = re.compile(r"[^:/?#]+://[^/?#]*(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.DOTALL)
_NOT_SENT = re.compile(r"[^!-~]+")
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


def parse_url(url: str) -> URL:
    """The URL of a target. CrawlFault when it is not a valid URL."""
    if _INVALID_CHARACTER.search(url):
        raise CrawlFault("crawl_bad_url", f"a space or control character: {url!r}")
    try:
        return _as_written(url)
    except ValueError as error:
        raise CrawlFault("crawl_bad_url", f"{url}: {error}") from error


def redirect_target(asked: URL, location: str) -> URL:
    """The URL that a redirect leads to.

    Args:
        asked: the URL that was answered by the redirect.
        location: the value of its header, which may be relative to `asked`.

    Raises:
        CrawlFault: it is not a valid URL.
    """
    try:
        return _as_written(urllib.parse.urljoin(str(asked), location))
    except ValueError as error:
        raise CrawlFault("crawl_bad_url", f"redirected to {location!r}: {error}") from error


def _as_written(text: str) -> URL:
    """The URL of a text without its fragment. The host is as yarl reads it, path and query are as they are written."""
    url = URL(text).with_fragment(None)
    if _INVALID_CHARACTER.search(url.host or ""):  # yarl makes a plain space of a no-break space
        raise ValueError("a space in the name of the host")
    parts = _PARTS.fullmatch(text)
    if not url.absolute or parts is None:
        return url  # which the guard refuses
    path, query = (_NOT_SENT.sub(_escaped, parts[name] or "") for name in ("path", "query"))
    if _DOTS.search(path):  # `..` means the same to every server once it is resolved, and robots.txt speaks of that
        path = url.raw_path
    user, at, host = url.raw_authority.rpartition("@")
    authority = f"{user}{at}{host.lower()}"  # which yarl forgets where a host is in letters of its own
    return URL.build(scheme=url.scheme, authority=authority, path=path or "/", query_string=query, encoded=True)


def _escaped(found: re.Match[str]) -> str:
    """Bytes of a header that are no UTF-8 are escaped as they came."""
    return urllib.parse.quote(found[0].encode("utf-8", "surrogateescape"), safe="")
