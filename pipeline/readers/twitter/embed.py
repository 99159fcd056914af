"""Reads the embed API's tweet-result (cdn.syndication.twimg.com): a status whose pictures are in `mediaDetails`."""

from m3h.pipeline.readers.record import JsonObject
from m3h.pipeline.readers.twitter.v1 import read_status
from m3h.schemas.posts import Post

MARKS = frozenset(("__typename",))


def is_embed(record: JsonObject) -> bool:
    """Whether a JSON object is a tweet of the embed API."""
    return record.get("__typename") == "Tweet" and "id_str" in record and "text" in record


def read_embed(record: JsonObject) -> Post:
    """The post of an embedded tweet, without the tweet that it quotes."""
    return read_status(
        {
            **record,
            "extended_entities": {"media": record.get("mediaDetails")},
            "is_quote_status": bool(record.get("quoted_tweet")),
        }
    )
