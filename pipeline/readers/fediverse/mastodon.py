"""Reads statuses of Mastodon's API, which Pleroma, GoToSocial, Pixelfed and others speak too."""

import json
from collections.abc import Iterator

from m3h.pipeline.readers.fediverse.html_text import text_of
from m3h.pipeline.readers.record import (
    JsonObject,
    RecordFault,
    alt_text,
    as_dict,
    date_field,
    dicts,
    hashtags_in,
    id_field,
    id_text,
    normal_hashtags,
    text_field,
    valid_text,
)
from m3h.pipeline.text.post_addresses import id_of_address
from m3h.schemas.posts import ImageRef, Post

PUBLIC = ("public", "unlisted")
"""Visibilities of posts that everybody may read."""
_LISTS = ("statuses", "ancestors", "descendants")
"""Lists of a search's answer, and of the posts around a post."""
EVENT_MARKS = frozenset(("event",))
PAGE_MARKS = frozenset(_LISTS)
STATUS_MARKS = frozenset(("media_attachments",))


def is_status(record: JsonObject) -> bool:
    """Whether a JSON object is a status."""
    return "content" in record and isinstance(record.get("media_attachments"), list) and "account" in record


def is_page(record: JsonObject) -> bool:
    """Whether a JSON object is an answer with statuses."""
    return any(is_status(item) for name in _LISTS for item in dicts(record.get(name)))


def statuses_of(page: JsonObject) -> list[object]:
    """The statuses of an answer."""
    return [item for name in _LISTS if isinstance(listed := page.get(name), list) for item in listed]


def is_event(record: JsonObject) -> bool:
    """Whether a JSON object is an event of the streaming API."""
    return isinstance(record.get("event"), str) and "payload" in record


def read_event(record: JsonObject) -> Post:
    """The post that an event brings, new or edited. RecordFault `notice` for all others, such as deletions.

    A deletion names a status by its number alone, without the server, so it cannot be applied.
    """
    status, event = _payload(record), record["event"]
    if event not in ("update", "status.update") or not is_status(status):
        raise RecordFault("notice", str(event))
    return read_status(status)


def _payload(record: JsonObject) -> JsonObject:
    payload = record["payload"]
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return {}
    return as_dict(payload)


def id_of(record: JsonObject) -> str:
    """The id of a status, or of the status in an event; "" without one."""
    status = _payload(record) if is_event(record) else record
    uri = status.get("uri")
    return (id_of_address(uri) or valid_text(uri) if isinstance(uri, str) else "") or id_text(status.get("id"))


def read_status(record: JsonObject) -> Post:
    """The post of a status. A boost is marked as a repost, and has the text and pictures of the post that it boosts.

    RecordFault `not_public` for a post that only some may read.
    """
    visibility = text_field(record, "visibility", default="public")
    if visibility not in PUBLIC:
        raise RecordFault("not_public", visibility)
    body = as_dict(record.get("reblog")) or record
    text = whole_text(text_field(body, "spoiler_text", default=""), text_of(text_field(body, "content")))
    return Post(
        post_id=id_of(record) or id_field(record, "uri", "id"),
        text=text,
        hashtags=_hashtags(body.get("tags"), text),
        images=tuple(_images(body)),
        lang=text_field(body, "language", default="") or None,
        created_at=date_field(record, "created_at"),
        collected_at=date_field(record, "edited_at"),  # of two versions of a post, the one edited last is the newer one
        is_repost=body is not record,
        is_quote=bool(body.get("quote") or body.get("quote_id")),
        sensitive=body.get("sensitive") is True,
    )


def whole_text(warning: str, text: str) -> str:
    """A text after its content warning. The author wrote both, and often only the warning says what the post is on."""
    return "\n".join(part for part in (" ".join(warning.split()), text) if part)


def _hashtags(tags: object, text: str) -> tuple[str, ...]:
    if not isinstance(tags, list):
        return hashtags_in(text)
    names = (tag.get("name") if isinstance(tag, dict) else tag for tag in tags)
    return normal_hashtags(name for name in names if isinstance(name, str))


def _images(status: JsonObject) -> Iterator[ImageRef]:
    """The pictures; videos, animations and sounds are none. The server's copy comes before the original's address."""
    for medium in dicts(status.get("media_attachments")):
        urls = [url for name in ("url", "remote_url") if isinstance(url := medium.get(name), str) and url]
        if medium.get("type") == "image" and urls:
            yield ImageRef(url=valid_text(urls[0]), alt=alt_text(medium, "description"))
