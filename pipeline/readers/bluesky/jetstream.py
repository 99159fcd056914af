"""Reads events of Jetstream, Bluesky's stream in JSON: records that were created, updated or deleted."""

from datetime import datetime, timezone

from m3h.pipeline.readers.bluesky.record import post_id, read_post
from m3h.pipeline.readers.record import JsonObject, Part, RecordFault, as_dict, text_field
from m3h.pipeline.text.post_addresses import POST_COLLECTION, id_of_address, post_address
from m3h.schemas.posts import Post

MARKS = frozenset(("did",))
_KINDS = {"com": "commit", "id": "identity", "acc": "account"}
_OPERATIONS = {"c": "create", "u": "update", "d": "delete"}
"""How the first version of Jetstream (until October 2024) named kinds and operations, in fields called `type`."""
_LAST_MICROSECOND = 10**16


def is_event(record: JsonObject) -> bool:
    """Whether a JSON object is an event of Jetstream."""
    return "did" in record and "time_us" in record and _kind(record) in _KINDS.values()


def _kind(record: JsonObject) -> object:
    return record.get("kind") or _KINDS.get(str(record.get("type")))


def id_of(record: JsonObject) -> str:
    """The id of the post that an event brings; "" for all other events. That of a deletion is not kept in its row."""
    commit = as_dict(record.get("commit"))
    key = commit.get("rkey")
    if (
        commit.get("collection") != POST_COLLECTION
        or not isinstance(commit.get("record"), dict)
        or not isinstance(key, str)
    ):
        return ""
    return id_of_address(post_address(str(record.get("did")), key))


def read_event(record: JsonObject) -> Post:
    """The post that an event creates or updates. An update is a newer version of the same post.

    RecordFault `notice` for all other events. That of a deletion says which post was deleted.
    """
    if _kind(record) != "commit":
        raise RecordFault("notice", str(_kind(record)))
    commit = as_dict(record.get("commit"))
    if (collection := text_field(commit, "collection")) != POST_COLLECTION:
        raise RecordFault("notice", collection)
    operation = commit.get("operation") or _OPERATIONS.get(str(commit.get("type")))
    uri = post_address(text_field(record, "did"), text_field(commit, "rkey"))
    if operation == "delete":
        raise RecordFault("notice", "a deletion", parts=(Part("deletion", post_id(uri)),))
    if operation not in ("create", "update"):
        raise RecordFault("bad_field", "commit.operation: expected create, update or delete")
    return read_post(as_dict(commit.get("record")), uri, collected_at=_moment(record.get("time_us")))


def _moment(microseconds: object) -> str:
    """When Jetstream saw the event, as ISO 8601; "" where that is no number of microseconds since 1970."""
    if not isinstance(microseconds, int) or not 0 < microseconds < _LAST_MICROSECOND:
        return ""
    return datetime.fromtimestamp(microseconds / 1e6, timezone.utc).isoformat(timespec="microseconds")
