"""Reads records of Twitter that are no posts, and what they say of posts: deletions, pictures, whole texts.

These are the messages of the streaming API, events of the v2 compliance stream, results of a compliance job for posts,
`includes` in files of their own (academictwitteR's `users_*.json`), and the `note-tweet.js` of a personal archive.
"""

from collections.abc import Iterator

from m3h.pipeline.readers.long_texts import LongText, second_of
from m3h.pipeline.readers.record import (
    JsonObject,
    Part,
    RecordFault,
    as_dict,
    dicts,
    id_text,
    marked_hashtags,
    text_field,
    valid_text,
)

_MESSAGES = ("delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning", "friends")
"""Keys of the streaming API's messages."""
_EVENTS = ("delete", "withheld", "drop", "undrop", "tweet_edit")
"""Keys of the compliance stream's events, within `data`."""
_INCLUDES = {"users", "media", "tweets", "places", "polls", "topics"}
_NOTE = "noteTweet"


def is_notice(record: JsonObject) -> bool:
    """Whether a JSON object, which has no format of posts, is one of these records."""
    if "text" in record or "full_text" in record:
        return False
    is_event = _is_event(as_dict(record.get("data")))
    return is_event or any(name in record for name in _MESSAGES) or _is_result(record) or completes_others(record)


def _is_event(data: JsonObject) -> bool:
    return len(data) == 1 and any("event_at" in as_dict(data.get(name)) for name in _EVENTS)


def _is_result(record: JsonObject) -> bool:
    return all(name in record for name in ("id", "action", "reason", "redacted_at"))


def completes_others(record: JsonObject) -> bool:
    """Whether a JSON object holds only what records of posts lack."""
    lists = all(isinstance(value, list) for value in record.values())
    return _NOTE in record or ("users" in record and lists and record.keys() <= _INCLUDES)


def read_notice(record: JsonObject) -> RecordFault:
    """The reason why a notice is no post, with what it says of posts."""
    if _NOTE in record:
        return _note(as_dict(record[_NOTE]))
    if completes_others(record):
        media = tuple(_pictures(record))
        return RecordFault("supplement", f"{len(media)} pictures of other records", parts=media)
    if _is_result(record):
        parts = _deletion(record) if record["action"] == "delete" and record["reason"] != "scrub_geo" else ()
        return RecordFault("notice", f"compliance: {record['action']}", parts=parts)
    message = as_dict(record.get("data")) or record
    deleted = as_dict(message.get("delete"))
    parts = _deletion(as_dict(deleted.get("status")) or as_dict(deleted.get("tweet")))
    return RecordFault("notice", next(iter(message)), parts=parts)


def _deletion(post: JsonObject) -> tuple[Part, ...]:
    post_id = id_text(post.get("id_str")) or id_text(post.get("id"))
    return (Part("deletion", post_id),) if post_id else ()


def _pictures(record: JsonObject) -> Iterator[Part]:
    for medium in dicts(record.get("media")):
        key, url = id_text(medium.get("media_key")), medium.get("url")
        if key and isinstance(url, str) and url and medium.get("type") in (None, "photo"):
            yield Part("picture", key, valid_text(url))


def _note(note: JsonObject) -> RecordFault:
    core = as_dict(note.get("core"))
    try:
        text = text_field(core, "text")
        whole = LongText(text, marked_hashtags(core.get("hashtags"), "text", text))
        dates = [text_field(note, name, default="") for name in ("createdAt", "updatedAt")]
    except RecordFault as fault:
        return fault
    seconds = dict.fromkeys(second for date in dates if (second := second_of(date)))
    return RecordFault("supplement", "the whole text of a long post", parts=tuple(map(whole.part_at, seconds)))
