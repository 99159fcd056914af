"""A text as people read it: escapes of HTML, URLs and JSON are resolved, dashes and spaces plain, invisible signs gone.

Each character knows its place in the text as it is written, so that what is found can be replaced there.
"""

import html
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

import regex

_WRITTEN_OTHERWISE = regex.compile(
    r"&(?:amp;)*(?P<html>#\d{1,7};?|#x[0-9a-f]{1,6};?|[a-z]{2,24};)"
    r"|%(?:25)*(?P<url>[2-7][0-9a-f]|[c-f][0-9a-f](?:%(?:25)*[89ab][0-9a-f]){1,3})"
    r"|\\+(?P<json>u[0-9a-f]{4}|x[0-9a-f]{2}|[/nrtbf\"'])"
    r"|(?P<sign>(?![ \-])[\p{Cf}\p{Pd}\p{Zs}\u2212\ufe50-\ufe6b\uff01-\uff5e])",
    regex.IGNORECASE,
)
_PERHAPS = regex.compile(r"[&%\\\p{Cf}[\p{Pd}\p{Zs}--[ \-]]\u2212\ufe50-\ufe6b\uff01-\uff5e]", regex.V1)
"""How each of these begins."""
_JSON_SIGNS = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " "}


@dataclass(frozen=True)
class Reading:
    """text: as it is read. places: where each of its characters begins in the written text, and where that ends."""

    text: str
    places: Sequence[int]


def written(text: str) -> Reading:
    """The text as it is."""
    return Reading(text, range(len(text) + 1))


def read(text: str) -> Reading:
    """The text as people read it; equal to `written(text)` where nothing is written otherwise."""
    found = list(_WRITTEN_OTHERWISE.finditer(text)) if _perhaps(text) else []
    if not found:
        return written(text)
    parts: list[str] = []
    places: list[int] = []
    end = 0
    for match in found:
        parts += [text[end : match.start()], shown := _shown(match)]
        places += [*range(end, match.start()), *([match.start()] * len(shown))]
        end = match.end()
    return Reading("".join([*parts, text[end:]]), [*places, *range(end, len(text) + 1)])


def _perhaps(text: str) -> bool:
    """Whether an escape or such a sign may stand in a text. Of ASCII, only these three begin one."""
    if text.isascii():
        return "&" in text or "%" in text or "\\" in text
    return _PERHAPS.search(text) is not None


def _shown(match: regex.Match[str]) -> str:
    """What is read in the place of an escape or a sign."""
    value = match[match.lastgroup or 0]
    match match.lastgroup:
        case "html":
            return _plain(html.unescape(f"&{value}"))
        case "url":
            return _plain(unquote(regex.sub("%(?:25)*", "%", f"%{value}"), errors="replace"))
        case "json":
            return _JSON_SIGNS.get(value.lower(), value) if len(value) == 1 else _plain(chr(int(value[1:], 16)))
        case _:
            return _plain(value)


def _plain(signs: str) -> str:
    """Dashes, spaces and full-width letters as ASCII; invisible signs as nothing; any other as it is."""
    return "".join(map(_plain_sign, signs))


def _plain_sign(sign: str) -> str:
    category = unicodedata.category(sign)
    if category == "Cf":
        return ""
    if category == "Cs":
        return "\ufffd"
    if category == "Pd" or sign == "\u2212":
        return "-"
    return " " if category == "Zs" else unicodedata.normalize("NFKC", sign)
