"""The marks in a Bluesky text (lexicon `app.bsky.richtext.facet`): hashtags, links and mentions by their place.

Places are counted in bytes of the text as UTF-8.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from m3h.pipeline.readers.record import JsonObject, as_dict, dicts, hashtags_in, normal_hashtags, texts, valid_text

_FACET = "app.bsky.richtext.facet#"
SOMEONE = "@someone"
"""What a mention is written as. Names at Bluesky are domains, which no rule for texts tells from a sentence's end."""


class _Mark(NamedTuple):
    """A facet's range in bytes, its kind (tag, link, mention), and its tag or link."""

    start: int
    end: int
    kind: str
    value: str


def _marks(facets: object) -> list[_Mark]:
    """The marks of a list of facets in order of their places. What has no place is left out."""
    return sorted(mark for facet in dicts(facets) for mark in _marks_of(facet))


def _marks_of(facet: JsonObject) -> Iterator[_Mark]:
    index = as_dict(facet.get("index"))
    start, end = index.get("byteStart"), index.get("byteEnd")
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end):
        return
    for feature in dicts(facet.get("features")):
        kind = str(feature.get("$type")).removeprefix(_FACET)
        value = feature.get({"tag": "tag", "link": "uri"}.get(kind, "did"))
        if isinstance(value, str):
            yield _Mark(start, end, kind, value)


def hashtags_of(record: JsonObject, text: str) -> tuple[str, ...]:
    """The hashtags of a record: those that its facets mark, and those in `tags`, which no text shows.

    If it has no facets at all, they are found in the text.
    """
    hidden = texts(record.get("tags")) or []
    if not isinstance(facets := record.get("facets"), list):
        return normal_hashtags([*hashtags_in(text), *hidden])
    return normal_hashtags([*(mark.value for mark in _marks(facets) if mark.kind == "tag"), *hidden])


def readable(text: str, facets: object) -> str:
    """`text` with whole links, which apps shorten to `example.com/a-long…`, and with no names of accounts."""
    raw, before = text.encode("utf-8", errors="replace"), len(text.encode("utf-8", errors="replace"))
    for mark in reversed(_marks(facets)):
        written = {"link": mark.value, "mention": SOMEONE}.get(mark.kind)
        if written is None or mark.end > before:
            continue
        with suppress(UnicodeDecodeError):  # a place inside a character: the mark is wrong
            raw[mark.start : mark.end].decode("utf-8")
            raw, before = raw[: mark.start] + written.encode("utf-8", "replace") + raw[mark.end :], mark.start
    return valid_text(raw.decode("utf-8"))
