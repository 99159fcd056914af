"""Results of Twitter's web API (GraphQL): tweets alone, in `tweet_results`, or anywhere in a whole answer.

`legacy` is a v1.1 status, so that reader makes the post; what is apart from it here (id, edits, long text) is put back.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.readers.record import RecordFault, as_dict, text_field
from pipeline.readers.twitter_v1 import read_status
from schemas.posts import Post

RESULTS = ("tweet_results", "tweetResult", "tweet_result")
WRAPPERS = (*RESULTS, "data", "instructions", "itemContent", "entryId")
"""Top-level fields of an answer, or of a part of one, that may hold tweets; records without any are not searched."""
GONE = ("TweetTombstone", "TweetUnavailable")


def is_graphql(record: dict[str, Any]) -> bool:
    """Whether a JSON object is a tweet result, or holds any."""
    if _is_result(record):
        return True
    return any(name in record for name in WRAPPERS) and next(_results(record), None) is not None


def _is_result(record: dict[str, Any]) -> bool:
    kind = record.get("__typename")
    return kind in GONE or kind == "TweetWithVisibilityResults" or ("legacy" in record and "rest_id" in record)


def tweets_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Every tweet result of an answer, in order; what a tweet quotes or retweets is part of it, and no record."""
    return [record] if _is_result(record) else list(_results(record)) or [record]


def _results(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Depth first, with a stack of its own: an answer may be nested deeper than Python's."""
    stack: list[Any] = [record]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict):
            found = [as_dict(item[name]).get("result") for name in RESULTS if name in item]
            yield from (result for result in found if isinstance(result, dict))
            stack.extend(value for name, value in reversed(item.items()) if name not in RESULTS)


def read_result(record: dict[str, Any]) -> Post:
    """The post. RecordFault `unavailable` for a tombstone: a post that was deleted, or is not shown to us."""
    if record.get("__typename") == "TweetWithVisibilityResults":
        record = as_dict(record.get("tweet"))
    if record.get("__typename") in GONE:
        raise RecordFault("unavailable", _why(record))
    legacy = record.get("legacy")
    if not isinstance(legacy, dict):
        raise RecordFault("missing_field", "legacy")
    status = {**legacy, "id_str": record.get("rest_id") or legacy.get("id_str")}
    status["retweeted_status"] = legacy.get("retweeted_status_result")
    status["edit_control"] = record.get("edit_control")
    note = as_dict(as_dict(as_dict(record.get("note_tweet")).get("note_tweet_results")).get("result"))
    if text := text_field(note, "text", default=""):
        media = {"media": as_dict(legacy.get("entities")).get("media")}
        status["extended_tweet"] = {"full_text": text, "entities": {**as_dict(note.get("entity_set")), **media}}
    return read_status(status)


def _why(tombstone: dict[str, Any]) -> str:
    text = as_dict(as_dict(tombstone.get("tombstone")).get("text")).get("text")
    return str(text or tombstone.get("reason") or tombstone["__typename"])
