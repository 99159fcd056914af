"""One piece of JSON to its records: which format it is in, told from its content, and what each record becomes."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.privacy import mask
from pipeline.readers import graphql, plain, snscrape, twitter_v1, twitter_v2
from pipeline.readers.record import RecordFault, as_dict, id_text
from schemas.posts import Post

CMKP = "cmkp"
MAX_CHARACTERS = 100_000
"""Of a post in all its fields. The longest tweets have 25,000; what is larger than a post may be is no post."""

_ESCAPED_SPACE = re.compile(r"\\[bfnrt]")

MAX_ID = 100
"""Characters of an id in `dropped`; a longer one is none."""


@dataclass(frozen=True)
class Format:
    """matches: whether a JSON object is in this format. read: one record to a Post, or RecordFault.

    members: the records an object holds, where it may hold several.
    """

    matches: Callable[[dict[str, Any]], bool]
    read: Callable[[dict[str, Any]], Post]
    members: Callable[[dict[str, Any]], list[Any]] = lambda record: [record]


_V2_PAGE = Format(twitter_v2.is_page, twitter_v2.read_tweet, twitter_v2.tweets_of)
_V1_SEARCH = Format(twitter_v1.is_search, twitter_v1.read_status, twitter_v1.statuses_of)
_READERS: dict[str, tuple[Format, ...]] = {
    "v2": (_V2_PAGE, Format(twitter_v2.is_tweet, twitter_v2.read_tweet)),
    "graphql": (Format(graphql.is_graphql, graphql.read_result, graphql.tweets_of),),
    "snscrape": (Format(snscrape.is_item, snscrape.read_item),),
    "v1": (_V1_SEARCH, Format(twitter_v1.is_status, twitter_v1.read_status)),
    "jsonl": (Format(plain.is_plain, plain.read_plain),),
}
"""In the order in which they are tried: what has more marks of its own comes first."""
FORMATS = (*_READERS, CMKP)


def read_records(piece: bytes, forced: str = "") -> list[Post | RecordFault]:
    """The records of one JSON text, each a Post or the reason it is none. A list of objects is that many records."""
    try:
        value = json.loads(piece.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return [RecordFault("not_utf8", str(error))]
    except (ValueError, RecursionError) as error:
        return [RecordFault("not_json", f"{error}: {_beginning(piece)!r}")]
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return [found for item in value for found in _records(item, forced)]
    return _records(value, forced)


def _beginning(piece: bytes) -> str:
    """What a record that cannot be read begins with, masked before it is cut: half an address is no address."""
    text = _ESCAPED_SPACE.sub(" ", piece[:1000].decode("utf-8", errors="replace"))
    return mask(text)[:80]


def _records(value: Any, forced: str) -> list[Post | RecordFault]:
    if not isinstance(value, dict):
        return [RecordFault("not_an_object", type(value).__name__)]
    found = _format_of(value, forced)
    if found is None:
        if twitter_v1.is_notice(value):
            return [RecordFault("notice", next(iter(value)))]
        return [RecordFault("unknown_format", f"fields: {', '.join(sorted(value)[:8])}")]
    try:
        return [_read(member, found) for member in found.members(value)]
    except RecordFault as fault:
        return [fault]


def _format_of(record: dict[str, Any], forced: str) -> Format | None:
    """Of a forced format the variant that matches, else its last; a streaming notice has none."""
    if not forced:
        return next((known for known in _all_formats() if known.matches(record)), None)
    variants = _READERS[forced]
    matching = next((known for known in variants if known.matches(record)), None)
    return matching or (None if twitter_v1.is_notice(record) else variants[-1])


def _all_formats() -> list[Format]:
    return [known for variants in _READERS.values() for known in variants]


def _read(record: Any, known: Format) -> Post | RecordFault:
    if not isinstance(record, dict):
        return RecordFault("not_an_object", type(record).__name__)
    try:
        post = known.read(record)
    except RecordFault as fault:
        return RecordFault(fault.reason, fault.detail, _id_of(record))
    if (size := _characters(post)) > MAX_CHARACTERS:
        return RecordFault("record_too_large", f"{size} characters, at most {MAX_CHARACTERS}", _id_of(record))
    return post


def _characters(post: Post) -> int:
    pictures = (part for image in post.images for part in (image.path, image.url))
    others = (post.post_id, post.lang or "", post.created_at, post.first_id, post.collected_at)
    return sum(map(len, (post.text, *others, *post.hashtags, *pictures)))


def _id_of(record: dict[str, Any]) -> str:
    """Whatever id a record that could not be read has."""
    record = as_dict(record.get("tweet")) or record
    names = ("id_str", "id", "rest_id")
    found = next((found for name in names if (found := id_text(record.get(name)))), "")
    return found if len(found) <= MAX_ID else ""
