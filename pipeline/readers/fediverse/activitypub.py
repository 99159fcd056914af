"""Reads ActivityPub: the `outbox.json` of a Mastodon archive, pages of an outbox, activities, and notes alone.

The pictures of an archive lie in its folder `media_attachments`, and are named by their path in the archive.
"""

from collections.abc import Iterator

from m3h.pipeline.readers.fediverse.html_text import text_of
from m3h.pipeline.readers.fediverse.mastodon import whole_text
from m3h.pipeline.readers.record import (
    JsonObject,
    Part,
    RecordFault,
    alt_text,
    as_dict,
    date_field,
    dicts,
    id_field,
    id_text,
    marked_hashtags,
    text_field,
    valid_text,
)
from m3h.pipeline.text.post_addresses import id_of_address
from m3h.schemas.posts import ImageRef, Post

MARKS = frozenset(("type",))
_COLLECTIONS = ("OrderedCollection", "OrderedCollectionPage", "Collection", "CollectionPage")
_NOTES = ("Note", "Question")
"""Posts without and with a poll."""
_ACTORS = ("Person", "Service", "Application", "Group", "Organization")
_OBJECTS = (*_NOTES, *_ACTORS, "Article", "Page", "Video", "Image", "Event", "Tombstone")
_ACTIVITIES = (
    "Create",
    "Update",
    "Announce",
    "Delete",
    "Undo",
    "Like",
    "Follow",
    "Accept",
    "Add",
    "Remove",
    "Move",
    "Flag",
)
_EVERYBODY = frozenset({"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"})
_QUOTES = ("quote", "quoteUrl", "quoteUri", "_misskey_quote")


def is_collection(record: JsonObject) -> bool:
    """Whether a JSON object is an outbox, or a page of one."""
    return record.get("type") in _COLLECTIONS and _items(record) is not None


def _items(record: JsonObject) -> list[object] | None:
    page = as_dict(record.get("first")) or record
    return next((listed for name in ("orderedItems", "items") if isinstance(listed := page.get(name), list)), None)


def items_of(collection: JsonObject) -> list[object]:
    """The activities of an outbox. RecordFault `notice` for a page without any, such as an archive's list of likes."""
    if not dicts(items := _items(collection)) or items is None:
        raise RecordFault("notice", "a page without posts")
    return items


def is_activity(record: JsonObject) -> bool:
    """Whether a JSON object is an activity, or an object that one could be about."""
    kind = record.get("type")
    return (kind in _ACTIVITIES and "object" in record and "actor" in record) or (
        kind in _OBJECTS and str(record.get("id")).startswith("http")
    )


def id_of(record: JsonObject) -> str:
    """The id of the post that an activity is about; of a boost, its own; "" where it is about no post."""
    post = record if record.get("type") == "Announce" else as_dict(record.get("object")) or record
    return _id(post) if post.get("type") in (*_NOTES, "Tombstone", "Announce") else ""


def _id(thing: object) -> str:
    """The id of an object, or of what an address stands for, as it is stored."""
    address = id_text(thing.get("id") if isinstance(thing, dict) else thing)
    return id_of_address(address) or address


def read_activity(record: JsonObject) -> Post:
    """The post that an activity creates or edits, or that it boosts: then it is marked as a repost.

    RecordFault `notice` for all other activities, and for a boost of which only an address is known. That of a deletion
    says which post was deleted. `not_public` for a post that only some may read.
    """
    kind = text_field(record, "type")
    if kind == "Tombstone":
        raise RecordFault("unavailable", kind, parts=(Part("deletion", _id(record)),))
    if kind == "Delete":
        raise RecordFault("notice", "a deletion", parts=tuple(_deletion(record)))
    note = as_dict(record.get("object")) if kind in ("Create", "Update", "Announce") else record
    if note.get("type") not in _NOTES:
        raise RecordFault("notice", "a boost" if kind == "Announce" else str(note.get("type") or kind))
    _refuse_unless_public(record, note)
    post = _read_note(note)
    return post.having(post_id=id_of(record), is_repost=True) if kind == "Announce" else post


def _deletion(record: JsonObject) -> Iterator[Part]:
    """Which post a deletion is about; nothing where the account itself is deleted."""
    deleted = record.get("object")
    if deleted != record.get("actor") and (found := _id(deleted)):
        yield Part("deletion", found)


def _refuse_unless_public(*things: JsonObject) -> None:
    """RecordFault `not_public` where an audience is named, and it is not everybody."""
    named = [thing[name] for thing in things for name in ("to", "cc") if name in thing]
    audience = {
        one for value in named for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)
    }
    if (named and not audience & _EVERYBODY) or any(thing.get("directMessage") is True for thing in things):
        raise RecordFault("not_public", "not addressed to everybody")


def _read_note(note: JsonObject) -> Post:
    by_language = {name: text for name, text in as_dict(note.get("contentMap")).items() if isinstance(text, str)}
    content = text_field(note, "content", default="") or next(iter(by_language.values()), None)
    if content is None:
        raise RecordFault("missing_field", "content")
    text = whole_text(text_field(note, "summary", default=""), text_of(content))
    id_field(note, "id")
    tags = note.get("tag")
    listed = [tags] if isinstance(tags, dict) else tags
    marks = [tag for tag in dicts(listed) if tag.get("type") == "Hashtag"] if isinstance(listed, list) else None
    return Post(
        post_id=_id(note),
        text=text,
        hashtags=marked_hashtags(marks, "name", text),
        images=tuple(_images(note)),
        lang=valid_text(next(iter(by_language))) if len(by_language) == 1 else None,
        created_at=date_field(note, "published"),
        collected_at=date_field(note, "updated"),  # of two versions of a post, the one edited last is the newer one
        is_quote=any(note.get(name) for name in _QUOTES),
        sensitive=note.get("sensitive") is True,
    )


def _images(note: JsonObject) -> Iterator[ImageRef]:
    """The pictures: those of an archive by their path in it, others by their URL."""
    attached = note.get("attachment")
    for item in [attached] if isinstance(attached, dict) else dicts(attached):
        is_image = str(item.get("mediaType")).startswith("image/") or (
            "mediaType" not in item and item.get("type") == "Image"
        )
        if is_image and (place := _place(item.get("url"))):
            alt, is_url = alt_text(item, "name", "summary"), place.startswith(("http://", "https://"))
            yield ImageRef(url=place, alt=alt) if is_url else ImageRef(path=place.lstrip("/"), alt=alt)


def _place(url: object) -> str:
    """The address of an attachment: a text, a link, or the first of several."""
    first = url[0] if isinstance(url, list) and url else url
    found = first.get("href") if isinstance(first, dict) else first
    return valid_text(found) if isinstance(found, str) else ""
