"""Reads twint's JSON lines: `tweet`, `photos`, `hashtags`, `date`, `time`, `timezone`."""

import re

from m3h.pipeline.readers.record import (
    JsonObject,
    date_field,
    id_field,
    listed_hashtags,
    optional_text,
    text_field,
    texts,
    valid_text,
)
from m3h.schemas.posts import ImageRef, Post

MARKS = frozenset(("tweet",))
_MEDIA_LINK = re.compile(r"(?:https?://)?pic\.(?:twitter|x)\.com/\w+")
_ZONE = re.compile(r"([+-]\d\d):?(\d\d)")


def is_tweet(record: JsonObject) -> bool:
    """Whether a JSON object is a tweet as twint writes it."""
    return "id" in record and "tweet" in record and "conversation_id" in record and "username" in record


def read_tweet(record: JsonObject) -> Post:
    """The post of a tweet."""
    text = " ".join(_MEDIA_LINK.sub(" ", text_field(record, "tweet")).split())
    is_repost = bool(record.get("retweet")) or text.startswith("RT @")
    return Post(
        post_id=id_field(record, "id"),
        text=text,
        hashtags=listed_hashtags(record.get("hashtags"), text),
        images=tuple(ImageRef(url=valid_text(url)) for url in dict.fromkeys(texts(record.get("photos")) or ()) if url),
        lang=optional_text(record, "language") or None,
        created_at=_date(record),
        is_repost=is_repost,
        is_quote=bool(record.get("quote_url")) and not is_repost,
    )


def _date(record: JsonObject) -> str:
    """As ISO 8601: `created_at` has the name of a time zone, which no calendar reads."""
    day, time, zone = (record.get(name) for name in ("date", "time", "timezone"))
    if not (isinstance(day, str) and isinstance(time, str) and isinstance(zone, str)):
        return date_field(record, "created_at")
    zone = _ZONE.sub(r"\1:\2", zone)
    return valid_text(f"{day}T{time}{zone}")
