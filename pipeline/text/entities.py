"""Links, hashtags, mentions and cashtags of a text, with their places, by the rules Twitter publishes as twitter-text.

There is one definition of each in the project, and this is it. Ours, for the reason that links.py gives.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import regex

from m3h.pipeline.text.links import DIRECTIONS, LATIN, links

URL, HASHTAG, MENTION, LIST, CASHTAG = "url", "hashtag", "mention", "list", "cashtag"


class Entity(NamedTuple):
    """`text[start:end]`, which is `value` with the sign before it, if it has one.

    kind: url, hashtag, mention, list (`@user/name`) or cashtag. start, end: in characters (Unicode code points).
    """

    kind: str
    value: str
    start: int
    end: int


_JOINERS = r"_\u200c\u200d\ua67e\u05be\u05f3\u05f4\uff5e\u301c\u309b\u309c\u30a0\u30fb\u3003\u0f0b\u0f0c\u00b7"
_WORD = rf"[\p{{L}}\p{{M}}\p{{Nd}}{_JOINERS}]"
# Each begins with its sign, which is found faster than what must not stand before it.
# Not inside a word, no keycap emoji, one letter at least, and no other tag or protocol right behind.
_HASHTAG = regex.compile(
    rf"[#＃](?<!(?:(?!\ufe0e|\ufe0f){_WORD}|&)[#＃])(?!\ufe0f|\u20e3)(?=[\p{{Nd}}{_JOINERS}]*+[\p{{L}}\p{{M}}])({_WORD}++)(?![#＃]|://)"
)
_MENTION = regex.compile(
    r"[@＠](?:(?<![a-z0-9_!#$%&*@＠][@＠])|(?<=(?<![a-z0-9_+~.\-])rt:?[@＠]))(\w{1,20}+(?:/[a-z][a-z0-9_\-]{0,24}+)?)"
    rf"(?![@＠{LATIN}]|://)",
    regex.IGNORECASE | regex.ASCII,
)
_CASHTAG = regex.compile(
    rf"\$(?<![^\s{DIRECTIONS}]\$)([a-z]{{1,6}}(?:[._][a-z]{{1,2}})?)(?=$|[\s!'\"#%&()*+,\-./:;<=>?@\[\]^_{{|}}~$])",
    regex.IGNORECASE,
)


def entities(text: str) -> list[Entity]:
    """All of them, first to last; of two that overlap, the earlier one."""
    return list(_found(text)) if has_entities(text) else []


def has_entities(text: str) -> bool:
    """Whether a text has a sign that each entity has."""
    return "#" in text or "." in text or "@" in text or "$" in text or "＃" in text or "＠" in text


@lru_cache(maxsize=16)
def _found(text: str) -> tuple[Entity, ...]:
    """Masking, hashtags at the end and tokens ask for the entities of a text one after the other."""
    found = [*urls(text), *_hashtags(text), *mentions(text), *cashtags(text)]
    if len(found) < 2:
        return tuple(found)
    return tuple(_apart(sorted(found, key=lambda entity: (entity.start, -entity.end))))


def urls(text: str) -> list[Entity]:
    """Links, with and without protocol."""
    return [Entity(URL, text[start:end], start, end) for start, end in links(text)]


def hashtags(text: str) -> list[Entity]:
    """Hashtags outside of links; values as written, without `#`."""
    return [entity for entity in entities(text) if entity.kind == HASHTAG] if "#" in text or "＃" in text else []


def mentions(text: str) -> list[Entity]:
    """Accounts and lists of accounts; values as written, without `@`."""
    if "@" not in text and "＠" not in text:
        return []
    return [Entity(LIST if "/" in match[1] else MENTION, match[1], *match.span()) for match in _MENTION.finditer(text)]


def cashtags(text: str) -> list[Entity]:
    """Stock symbols; values as written, without `$`."""
    if "$" not in text:
        return []
    return [Entity(CASHTAG, match[1], *match.span()) for match in _CASHTAG.finditer(text)]


def _hashtags(text: str) -> list[Entity]:
    if "#" not in text and "＃" not in text:
        return []
    return [Entity(HASHTAG, match[1], *match.span()) for match in _HASHTAG.finditer(text)]


def _apart(ordered: list[Entity]) -> Iterator[Entity]:
    end = 0
    for entity in ordered:
        if entity.start >= end:
            yield entity
            end = entity.end
