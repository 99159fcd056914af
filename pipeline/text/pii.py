"""What names a person in a text gives way to a placeholder before the text is stored or shown.

Accounts become `<mention>`, e-mail addresses `<email>`, phone numbers `<phone>`, links to an account's page `<url>`.
They are found as people read them (escapes.py), whatever way their signs are written. A number counts as a phone number
where Google's libphonenumber finds a possible one and it is written as one is.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import regex

from m3h.pipeline.text.account_pages import account_pages
from m3h.pipeline.text.dates import LONG_AGO, moment
from m3h.pipeline.text.entities import LIST, MENTION, URL, entities, mentions
from m3h.pipeline.text.escapes import Reading, read, written
from m3h.pipeline.text.post_addresses import ACCOUNT_NAMES, digest, id_of_address
from m3h.schemas.posts import Dropped, Post

_GAP = r"(?: {0,2}-{1,2} {0,2}| {1,2}|\.)"
_PHONE = regex.compile(
    rf"(?P<ZZ>(?:(?<![\p{{L}}\p{{Nd}}_])\+|(?<![\p{{L}}\p{{Nd}}_$£€/=.:])(?<!\p{{Nd}},)00{_GAP}?(?=[1-9]))"
    rf"\d{{1,3}}(?:{_GAP}?\(?\d{{1,5}}\)?){{2,7}})(?!\d)"
    r"|(?<![\p{L}\p{Nd}_$£€/=])(?<!\p{Nd},)(?:"
    rf"(?P<US>(?:1{_GAP}?)?(?:\([2-9]\d\d\){_GAP}?|[2-9]\d\d{_GAP}|[2-9]\d\d/(?=\d{{3}}-))[2-9]\d\d{_GAP}\d{{4}})"
    rf"|(?P<GB>\(?0[1-9]\d{{1,3}}\)?{_GAP}?\d{{3,4}}{_GAP}?\d{{3,4}})"
    r")(?!\d)"
)
"""How numbers are written: international ones anywhere, national ones in the two countries that most English posts come
from (libphonenumber's names of regions). Area and exchange codes of North America begin with 2 to 9, so `000 123 4567`
and `100 200 3000` are no numbers there. Other bare digits cannot be told from ids and prices."""
_GROUP = regex.compile(rf"{_GAP}?\(?\d+\)?")
_NAMED_PHONE = regex.compile(
    r"""\b(?:phone|tel|telephone|mobile|cell|whatsapp|sms|fax)["']?\s?[=:]\s?["']?"""
    r"(?P<number>\+?\(?\d[\d ().\-]{5,18}\d)(?!\d)",
    regex.IGNORECASE,
)
"""Where a field or a link says that a number is one of a phone, bare digits count too."""
_REGIONS = ("ZZ", "US", "GB")
_TWO_NUMBERS = regex.compile(r"\D00(?:\d*\D|\d?$)")
_BARE = 10
"""Least digits of a number without any sign between them."""

_DOMAIN = r"(?:[\p{L}\p{N}\-]{1,63}+\.){1,8}\p{L}{2,24}"
_LOCAL = r"[\p{L}\p{N}._%+\-]{1,64}+(?<=[\p{L}\p{N}_])"
_EMAIL = regex.compile(rf"{_LOCAL}[@＠]{_DOMAIN}")
_SPELLED_EMAIL = regex.compile(
    rf"{_LOCAL} ?[\[({{] ?at ?[\])}}] ?"
    r"(?:[\p{L}\p{N}\-]{1,63}+(?:\.| ?[\[({] ?dot ?[\])}] ?)){1,8}\p{L}{2,24}",
    regex.IGNORECASE,
)
_FAR_ACCOUNT = regex.compile(
    rf"(?<![\p{{L}}\p{{N}}_@＠])[@＠](?:[\w.\-]{{1,64}}+[@＠]{_DOMAIN}"
    r"|(?:[\w\-]{1,63}+\.){1,4}(?:bsky\.social|com|net|org|dev|io)(?![\w\-]))",
    regex.IGNORECASE,
)
"""Accounts whose names hold their server: those of Mastodon and Bluesky."""
_NAMED_ACCOUNT = regex.compile(
    r'"(?:screen_name|username|in_reply_to_screen_name)"\s*:\s*"(?P<name>(?!<mention>")[^"]+)'
)
_REST_OF_LINK = regex.compile(r"%[0-9a-f]{2}[^\s<>\"']*", regex.IGNORECASE)

_HARMLESS = regex.compile(
    r"(?:(?:[A-Za-z\s#_,;!?'$*+=~\^|<>\-]++|[[\p{L}\p{M}\p{S}\u2018-\u201d\u2026]--[\u2212\ufe50-\ufe6b\uff01-\uff5e]]++)"
    r"(?:(?<=(?<!\S)https?)://t\.co/[A-Za-z0-9]{1,40}+(?!\S)|\.++(?!\S)|:(?=\s[A-Za-z#<]))?)*+",
    regex.V1,
)
"""A text of letters and these signs alone: each detail has an `@`, a dot, a colon, a bracket, a quote or a digit in it,
or an escape that stands for one. Nor has it one of a link of t.co between spaces, of dots that end a word, or of a
colon between a word and another."""
_AT_IN_BRACKETS = regex.compile(r"[\[({] ?at ?[\])}]", regex.IGNORECASE)
_AT_BEHIND_NAME = regex.compile(r"(?<=[\p{L}\p{N}_])[@＠](?=[\p{L}\p{N}\-])")
_PERHAPS_PHONE = regex.compile(r"\+\d|(?<![\p{L}\p{Nd}_$£€/=])\(?(?:00|(?:\d\D{0,8}+){9})")
"""The beginning of a number with the code of its country, or as many digits as the shortest one without."""
_PERHAPS_FIELD = regex.compile(r"""[=:]\s?["']?\+?\(?\d""")

_PART = regex.compile(r"([/=?]|&(?!#|\w+;))")
_KIND_OF_MEDIUM = regex.compile(r"(?:\d_)?")
"""How the media keys of Twitter's API begin (`3_…`), which stand where a picture has no path."""
_UUID = regex.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", regex.IGNORECASE)


class _Found(NamedTuple):
    """A personal detail in a reading, and what takes its place."""

    start: int
    end: int
    placeholder: str


def mask(text: str) -> str:
    """`text` without accounts, e-mail addresses and phone numbers. What is masked stays as it is if masked again."""
    while not _HARMLESS.fullmatch(text) and (masked := _masked_once(text)) != text:
        text = masked  # a placeholder parts what was glued together
    return text


def _masked_once(text: str) -> str:
    """What is found in the text as it is read gives way; where nothing is, what is found in it as it is written."""
    reading = read(text)
    masked = _masked_in(text, reading)
    return masked if masked != text or reading.text == text else _masked_in(text, written(text))


def _masked_in(text: str, reading: Reading) -> str:
    parts, end = [], 0
    for found in sorted(_details(reading.text), key=lambda found: (found.start, -found.end)):
        start, stop = reading.places[found.start], reading.places[found.end]
        if start < end:
            continue
        if found.placeholder == "<url>" and (rest := _REST_OF_LINK.match(text, stop)):
            stop = rest.end()
        parts += [text[end:start], found.placeholder]
        end = stop
    return "".join([*parts, text[end:]])


def _details(text: str) -> Iterator[_Found]:
    """The personal details of a text, in any order; some may overlap."""
    found_links = []
    for entity in entities(text):
        if entity.kind in (MENTION, LIST):
            yield _Found(entity.start, entity.end, "<mention>")
        elif entity.kind == URL:
            found_links.append(entity)
            inside = (name for name in mentions(entity.value) if not name.value[0].isdigit())
            yield from (_Found(entity.start + name.start, entity.start + name.end, "<mention>") for name in inside)
    for start, end in account_pages(text):
        before = bisect_right(found_links, start, key=attrgetter("start")) - 1
        link = found_links[before] if before >= 0 and found_links[before].end > start else None
        yield _Found(link.start if link else start, max(end, link.end) if link else end, "<url>")
    if "." in text and ("@" in text or "＠" in text):
        yield from _all(_FAR_ACCOUNT, text, "<mention>")
        yield from _all(_EMAIL, text, "<email>") if _AT_BEHIND_NAME.search(text) else ()
    if "did:" in text or "at://" in text:
        yield from _all(ACCOUNT_NAMES, text, "<mention>")
    if _AT_IN_BRACKETS.search(text):
        yield from _all(_SPELLED_EMAIL, text, "<email>")
    if '"' in text:
        yield from _all(_NAMED_ACCOUNT, text, "<mention>", group="name")
    yield from _phones(text)


def _all(pattern: regex.Pattern[str], text: str, placeholder: str, *, group: int | str = 0) -> Iterator[_Found]:
    for match in pattern.finditer(text):
        yield _Found(match.start(group), match.end(group), placeholder)


def _phones(text: str) -> Iterator[_Found]:
    for match in _NAMED_PHONE.finditer(text) if _PERHAPS_FIELD.search(text) else ():
        if end := _longest(match["number"], lambda number: any(_is_valid(number, region) for region in _REGIONS)):
            yield _Found(match.start("number"), match.start("number") + end, "<phone>")
    start = 0
    while match := _PERHAPS_PHONE.search(text, start) and _PHONE.search(text, start):
        start = match.start() + 1  # what is no number may hold the beginning of one
        if end := _longest(match.group(), partial(_is_phone, region=match.lastgroup or "")):
            start = match.start() + end
            yield _Found(match.start(), start, "<phone>")


def _longest(text: str, is_phone: Callable[[str], bool]) -> int:
    """How many characters of a text are a number: the longest one of whole groups of digits; 0 where there is none."""
    ends = (len(text), *(group.start() for group in reversed([*_GROUP.finditer(text)][1:])))
    return next((end for end in ends if is_phone(text[:end])), 0)


def _is_phone(number: str, region: str) -> bool:
    if number.isdigit():  # perhaps an id or a count that zeros fill up, so only a number that exists
        return len(number) >= _BARE and _is_valid(number, region)
    if number.startswith("00"):
        return not _TWO_NUMBERS.search(number) and _is_whole(number, region)
    return _is_possible(number, region)


def _parsed(number: str, region: str):  # type: ignore[no-untyped-def]
    """What libphonenumber makes of a number; None where it makes nothing of it."""
    from phonenumbers import NumberParseException, parse

    if region == "ZZ" and not number.startswith("+"):
        number = f"+{number.removeprefix('00')}"
    try:
        return parse(number, region)
    except NumberParseException:
        return None


def _is_possible(number: str, region: str) -> bool:
    from phonenumbers import is_possible_number

    return (parsed := _parsed(number, region)) is not None and is_possible_number(parsed)


def _is_whole(number: str, region: str) -> bool:
    """Whether a number is possible, and not only where its area code is dialled too."""
    from phonenumbers import ValidationResult, is_possible_number_with_reason

    parsed = _parsed(number, region)
    return parsed is not None and is_possible_number_with_reason(parsed) == ValidationResult.IS_POSSIBLE


def _is_valid(number: str, region: str) -> bool:
    from phonenumbers import is_valid_number

    return (parsed := _parsed(number, region)) is not None and is_valid_number(parsed)


def masked_post(post: Post) -> Post:
    """As it is stored. What cleaning made of the text holds no names already; a source that did it itself may."""
    return post.having(
        text=mask(post.text),
        images=tuple(replace(image, alt=mask(image.alt)) for image in post.images),
        tokens=_masked_words(post.tokens),
        alt_tokens=_masked_words(post.alt_tokens),
        keyphrases=tuple(map(mask, post.keyphrases)),
        hashtags=tuple(map(mask, post.hashtags)),
        lang=mask(post.lang) if post.lang else post.lang,
        created_at=post.created_at if _is_date(post.created_at) else mask(post.created_at),
    )


def _is_date(text: str) -> bool:
    return moment(text) != LONG_AGO and not text.isdigit()


def _masked_words(tokens: tuple[str, ...]) -> tuple[str, ...]:
    text = " ".join(tokens)
    return tokens if (masked := mask(text)) == text else tuple(masked.split())


def masked_dropped(dropped: Dropped) -> Dropped:
    """As it is stored."""
    return replace(dropped, detail=stored_path(dropped.detail))


def is_personal(text: str) -> bool:
    """Whether `mask` finds a personal detail in a text."""
    return mask(text) != text


def stored_id(record_id: str) -> str:
    """An id as it is stored and looked up: one that is an address, an account or a number becomes a digest of it.

    An address that names a post's author becomes the id of the post, see `id_of_address`.
    """
    if _is_bare_number(record_id):
        return record_id
    record_id = id_of_address(record_id) or record_id
    if _UUID.fullmatch(record_id) or not is_personal(record_id):
        return record_id
    return f"id-{digest(record_id)}"


def _is_bare_number(text: str) -> bool:
    """Whether it is digits alone, or nothing. Phone numbers are told from other bare digits by a zero in front."""
    return not text or (text.isascii() and text.isdigit() and text[0] != "0")


def stored_url(url: str) -> str:
    """A picture's URL as it is stored and looked up: one that names a person is masked, with a digest to tell it by."""
    return f"{masked}#{digest(url)}" if (masked := stored_path(url)) != url else url


def stored_path(path: str) -> str:
    """A path, or a detail that may hold one, as it is stored: each part masked by itself too."""
    if not path:
        return path
    kind = _KIND_OF_MEDIUM.match(path)
    start = kind.end() if kind else 0
    rest = path[start:]
    while (masked := "".join(map(mask, _PART.split(mask(rest))))) != rest:
        rest = masked
    return path[:start] + rest
