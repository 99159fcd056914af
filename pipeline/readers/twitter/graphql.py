"""Reads results of Twitter's web API (GraphQL): single tweets, `tweet_results`, or tweets anywhere in an answer.

`legacy` holds a v1.1 status, which the reader of v1.1 turns into a post. The id, the edits and the long text lie
outside `legacy` and are put back into the status first.
"""

from collections.abc import Iterator

from m3h.pipeline.readers.record import JsonObject, RecordFault, as_dict, text_field
from m3h.pipeline.readers.twitter.v1 import read_status
from m3h.schemas.posts import Post

RESULTS = ("tweet_results", "tweetResult", "tweet_result")
WRAPPERS = (*RESULTS, "data", "instructions", "itemContent", "entryId")
"""Top-level fields of an answer that may hold tweets. Only records with one of them are searched."""
MARKS = frozenset((*WRAPPERS, "__typename", "legacy"))
PROMOTED = "promotedMetadata"
"""What the web shows because somebody pays for it: an answer has this field beside the tweet."""
UNAVAILABLE_TYPES = ("TweetTombstone", "TweetUnavailable")


def is_graphql(record: JsonObject) -> bool:
    """Whether a JSON object is a tweet result or contains one."""
    if _is_result(record):
        return True
    return any(name in record for name in WRAPPERS) and next(_results(record), None) is not None


def _is_result(record: JsonObject) -> bool:
    kind = record.get("__typename")
    return (
        kind in UNAVAILABLE_TYPES
        or kind == "TweetWithVisibilityResults"
        or ("legacy" in record and "rest_id" in record)
    )


def tweets_of(record: JsonObject) -> list[object]:
    """Every tweet result of an answer, in order. A quoted or retweeted tweet is not a record of its own."""
    return [record] if _is_result(record) else list(_results(record)) or [record]


def _results(record: JsonObject) -> Iterator[JsonObject]:
    """Searches depth first. It keeps its own stack, because an answer may be nested deeper than Python can recurse."""
    stack: list[object] = [record]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            found = [as_dict(item[name]).get("result") for name in RESULTS if name in item]
            mark = {PROMOTED: True} if PROMOTED in item else {}
            yield from (result | mark for result in found if isinstance(result, dict))
            stack.extend(value for name, value in reversed(item.items()) if name not in RESULTS)


def read_result(record: JsonObject) -> Post:
    """The post of a tweet result.

    RecordFault `unavailable` for a tombstone: a post that is deleted or not visible. `promoted` for an advertisement.
    """
    if PROMOTED in record:
        raise RecordFault("promoted", "an advertisement")
    if record.get("__typename") == "TweetWithVisibilityResults":
        record = as_dict(record.get("tweet"))
    if record.get("__typename") in UNAVAILABLE_TYPES:
        raise RecordFault("unavailable", _unavailable_reason(record))
    legacy = record.get("legacy")
    if not isinstance(legacy, dict):
        raise RecordFault("missing_field", "legacy")
    status: JsonObject = {**legacy, "id_str": record.get("rest_id") or legacy.get("id_str")}
    status["retweeted_status"] = legacy.get("retweeted_status_result")
    status["edit_control"] = record.get("edit_control")
    note = as_dict(as_dict(as_dict(record.get("note_tweet")).get("note_tweet_results")).get("result"))
    if text := text_field(note, "text", default=""):
        media = {"media": as_dict(legacy.get("entities")).get("media")}
        status["extended_tweet"] = {"full_text": text, "entities": {**as_dict(note.get("entity_set")), **media}}
    return read_status(status)


def _unavailable_reason(tombstone: JsonObject) -> str:
    text = as_dict(as_dict(tombstone.get("tombstone")).get("text")).get("text")
    return str(text or tombstone.get("reason") or tombstone["__typename"])
