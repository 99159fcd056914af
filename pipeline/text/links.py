"""Links in a text as Twitter finds them, with and without protocol, by the grammar that twitter-text 3 publishes.

Every repetition is bounded or never gives back what it took, so that no text takes longer than its length deserves.
No link holds a space, so only words with a dot between two other signs are looked at, and Twitter's own short links
are known at sight.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import regex

TOP_LEVEL_DOMAINS = Path(__file__).with_name("tlds.tsv")

LATIN = (
    r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0253\u0254\u0256\u0257\u0259\u025b\u0263\u0268\u026f\u0272\u0289\u028b\u02bb"
    r"\u0300-\u036f\u1e00-\u1eff"
)
"""Latin letters with accents, as Twitter counts them."""
DIRECTIONS = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Marks of the writing direction."""

_INVALID = r"\ufffe\ufeff\uffff"
_LETTER = rf"[^\s\p{{Z}}!'#%&()*+,\\\-./:;<=>?@\[\]^_{{|}}~${_INVALID}{DIRECTIONS}]"  # any in a domain's name
_SUBDOMAIN = rf"{_LETTER}{{1,63}}+(?:[_\-]++{_LETTER}{{1,63}}+){{0,31}}+\."
_NAME = rf"{_LETTER}{{1,63}}+(?:-++{_LETTER}{{1,63}}+){{0,31}}+\."
_TOP = r"(?:\L<tlds>(?=[^0-9a-z@+\-]|$)|xn--[\-0-9a-z]++)"
_PATH = rf"a-z\p{{Cyrillic}}0-9!*';:=+,.$/%#\[\]\-\u2013_~@|&{LATIN}"
_PARENS = rf"\((?:[{_PATH}]++|[{_PATH}]*+\([{_PATH}]++\)[{_PATH}]*+)\)"
_PATH_END = rf"(?<=[a-z\p{{Cyrillic}}0-9+\-=_#/{LATIN})])"
_QUERY = r"a-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|"
_QUERY_PART = rf"\?[{_QUERY}]*(?<=[a-z0-9\-_&=#/])"

_MAX_CHARACTERS = 4096
_MAX_SHORT = 40

_INNER_DOT = regex.compile(r"[^\s\p{Z}.]\.[^\s\p{Z}.]")
_SPACE_BEFORE = regex.compile(r"(?r)[\s\p{Z}]")
_SPACE = regex.compile(r"[\s\p{Z}]")
_SHORT_LINK = regex.compile(rf"https?://t\.co/[A-Za-z0-9]{{1,{_MAX_SHORT}}}")


@lru_cache(maxsize=1)
def _grammar() -> tuple[regex.Pattern[str], regex.Pattern[str], regex.Pattern[str]]:
    """A link; the parts of its domain that are ASCII; one of t.co, whose path is letters and digits only."""
    tlds = [line for line in TOP_LEVEL_DOMAINS.read_text(encoding="utf-8").split("\n") if line]
    link = regex.compile(
        rf"(?<![a-z0-9@＠$#＃{_INVALID}])(?:(?P<protocol>https?://)|(?<=\G.?)|(?<!{_LETTER}|[\-_./]))"
        rf"(?P<domain>(?:{_SUBDOMAIN}){{0,126}}{_NAME}{_TOP})(?::[0-9]++)?"
        rf"(?P<path>/(?:(?:[{_PATH}]|{_PARENS})*{_PATH_END})?)?(?:{_QUERY_PART})?",
        regex.IGNORECASE, tlds=tlds,
    )  # fmt: skip
    ascii_domain = regex.compile(rf"(?:[\-a-z0-9{LATIN}]{{1,63}}+\.){{1,127}}{_TOP}", regex.IGNORECASE, tlds=tlds)
    short = regex.compile(rf"https?://t\.co/([a-z0-9]+)(?:{_QUERY_PART})?", regex.IGNORECASE)
    return link, ascii_domain, short


def links(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every link, in order."""
    for start, end in _dotted_words(text):
        if _SHORT_LINK.fullmatch(text, start, end):
            yield start, end
        else:
            yield from _in_word(text, start, end)


def _dotted_words(text: str) -> Iterator[tuple[int, int]]:
    """Words with a dot between two other signs. Dots are looked for, as most words have none."""
    end = 0
    while (dot := text.find(".", end)) >= 0:
        end = dot + 1
        if dot and _INNER_DOT.match(text, dot - 1):
            before, behind = _SPACE_BEFORE.search(text, 0, dot), _SPACE.search(text, end)
            end = behind.start() if behind else len(text)
            yield before.end() if before else 0, end


def _in_word(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Links within a word. The sign before it is seen: only the first word of a text is its beginning (`\\G`)."""
    link, ascii_domain, short = _grammar()
    for found in link.finditer(text, max(0, start - 1), end):
        start, end = found.span()
        if not _encodable(found["domain"]) or end - start > _MAX_CHARACTERS:
            continue
        if found["protocol"]:
            if shortened := short.match(text, start, end):
                if len(shortened.group(1)) > _MAX_SHORT:
                    continue
                end = shortened.end()
            yield start, end
        else:
            yield from _bare(found, ascii_domain)


def _bare(found: regex.Match[str], ascii_domain: regex.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Without protocol only ASCII domains count; the last takes the path along."""
    domains = list(ascii_domain.finditer(found.string, found.start("domain"), found.end("domain")))
    for domain in domains[:-1]:
        yield domain.span()
    if domains:
        yield domains[-1].start(), found.end() if found["path"] else domains[-1].end()


def _encodable(domain: str) -> bool:
    """Whether the domain has a form that the domain name system knows."""
    try:
        domain.encode("idna")
    except UnicodeError:
        return False
    return True
