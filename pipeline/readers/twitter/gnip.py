"""Reads Gnip's activity streams of tweets, as Twitter's enterprise APIs and old archives have them."""

from m3h.pipeline.readers.record import JsonObject, RecordFault, as_dict, date_field, text_field
from m3h.pipeline.readers.twitter.v1 import read_status
from m3h.schemas.posts import Post

MARKS = frozenset(("objectType", "verb", "info"))


def is_activity(record: JsonObject) -> bool:
    """Whether a JSON object is an activity, or the count of activities that ends an answer."""
    return record.get("objectType") == "activity" or ("verb" in record and "body" in record) or _is_count(record)


def _is_count(record: JsonObject) -> bool:
    return len(record) == 1 and isinstance(record.get("info"), dict) and "activity_count" in as_dict(record["info"])


def read_activity(record: JsonObject) -> Post:
    """The post of an activity, read as the status it was made of. RecordFault `notice` for what is no post."""
    verb = record.get("verb")
    if verb not in ("post", "share"):
        raise RecordFault("notice", str(verb or "a count of activities"))
    body = {**record, **as_dict(record.get("long_object"))}
    identity = text_field(record, "id")
    return read_status(
        {
            "id_str": post_id(identity),
            "full_text": text_field(body, "body"),
            "entities": body.get("twitter_entities"),
            "extended_entities": body.get("twitter_extended_entities"),
            "created_at": date_field(record, "postedTime"),
            "lang": record.get("twitter_lang"),
            "retweeted_status": verb == "share",
            "is_quote_status": bool(record.get("twitter_quoted_status")),
        }
    )


def post_id(identity: str) -> str:
    """The post's id in the identity of an activity, `tag:search.twitter.com,2005:123`."""
    return identity.rpartition(":")[2]
