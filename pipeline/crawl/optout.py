"""Reads how sites opt out of crawling: X-Robots-Tag, and TDMRep, a W3C group's text and data mining reservation."""

import json
import re
from collections.abc import Iterable, Mapping

from protego import Protego

REFUSING_DIRECTIVES = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
_DIRECTIVES_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_SCOPE = re.compile(r"\s*([\w*-]+)\s*:(.*)", re.DOTALL)


def refusing_directive(values: Iterable[str], agent: str) -> str | None:
    """The first directive of the X-Robots-Tag headers `values` that refuses the crawler `agent`, or None.

    In `otherbot: noai, noindex` both directives address only otherbot. A name applies until the next name. The word
    before the colon in `unavailable_after: …` is a directive and not a name.
    """
    for value in values:
        scope = "*"
        for directive in value.lower().split(","):
            named = _SCOPE.fullmatch(directive)
            if named and named[1] not in _DIRECTIVES_WITH_VALUE:
                scope, directive = named[1], named[2]
            if directive.strip() in REFUSING_DIRECTIVES and scope in ("*", agent.lower()):
                return directive.strip()
    return None


def reserves_mining(headers: Mapping[str, str]) -> bool:
    """Whether the header `tdm-reservation` is 1."""
    return headers.get("tdm-reservation", "").strip() == "1"


def tdm_rules(body: bytes) -> Protego | None:
    """The rules of a /.well-known/tdmrep.json in the form of robots.txt rules: a reserved location is forbidden.

    None when the file reserves nothing or is not valid. Locations are patterns as in robots.txt; the longest match
    decides.
    """
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError):
        return None
    lines = ["User-agent: *"]
    for entry in entries if isinstance(entries, list) else ():
        location = entry.get("location") if isinstance(entry, dict) else None
        if not isinstance(location, str) or len(location.splitlines()) != 1 or "#" in location:
            continue
        reserved = str(entry.get("tdm-reservation")).strip() == "1"
        lines.append(f"{'Disallow' if reserved else 'Allow'}: {location}")
    return Protego.parse("\n".join(lines)) if any(line.startswith("Disallow") for line in lines) else None
