"""What sites say against being crawled: X-Robots-Tag, and TDMRep (the W3C group's text and data mining reservation)."""

import json
import re
from collections.abc import Iterable, Mapping

from protego import Protego

REFUSING = frozenset({"noai", "noimageai", "noindex", "noimageindex", "noml", "none"})
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_SCOPE = re.compile(r"\s*([\w*-]+)\s*:(.*)", re.DOTALL)


def refusing_directive(values: Iterable[str], agent: str) -> str | None:
    """The first directive of the X-Robots-Tag headers that keeps `agent` away, or None.

    `otherbot: noai, noindex` speaks to otherbot alone, up to the next name; `unavailable_after: …` names nobody.
    """
    for value in values:
        scope = "*"
        for word in value.lower().split(","):
            named = _SCOPE.fullmatch(word)
            if named and named[1] not in _WITH_VALUE:
                scope, word = named[1], named[2]
            if word.strip() in REFUSING and scope in ("*", agent.lower()):
                return word.strip()
    return None


def reserves_mining(headers: Mapping[str, str]) -> bool:
    """Whether the header `tdm-reservation` says 1."""
    return headers.get("tdm-reservation", "").strip() == "1"


def tdm_rules(body: bytes) -> Protego | None:
    """The rules of a /.well-known/tdmrep.json as robots rules (a reserved location is a forbidden one).

    None where it reserves nothing or is no such file. Locations are patterns as in robots.txt; the longest match
    counts.
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
