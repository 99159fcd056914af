"""Reads the records of one JSON text. Each record's fields show which format it has, unless a format is forced."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from m3h.pipeline.readers import plain
from m3h.pipeline.readers.bluesky import jetstream, views
from m3h.pipeline.readers.exports import hits, parsed
from m3h.pipeline.readers.fediverse import activitypub, mastodon
from m3h.pipeline.readers.files.foreign import what_is
from m3h.pipeline.readers.mapping import FieldMapping
from m3h.pipeline.readers.record import (
    JsonObject,
    RecordFault,
    as_dict,
    dicts,
    edit_fields,
    id_text,
    noting_unread,
)
from m3h.pipeline.readers.tables.json_tables import rows_of
from m3h.pipeline.readers.twitter import embed, gallery_dl, gnip, graphql, notices, snscrape, twint, v1, v2
from m3h.schemas.posts import Post

CMKP = "cmkp"
NO_MAPPING = FieldMapping(())
MAX_CHARACTERS = 100_000
"""Most characters that a post may have in all its fields. The longest tweets have 25,000."""

_FEW_NAMES = 200
"""Fields. What an object with more may be is not remembered."""
MAX_ID = 100
"""Most characters of an id in `dropped`. A longer id is left empty."""


@dataclass(frozen=True)
class Format:
    """One format of records.

    marks: names of fields; a JSON object of this format has one of them. matches: whether an object that has one is of
    this format. read: turns one record into a Post, or raises RecordFault. members: the records of an object that can
    hold several, such as a page. identity: the id of a record that cannot be read, or "".
    """

    marks: frozenset[str]
    matches: Callable[[JsonObject], bool]
    read: Callable[[JsonObject], Post]
    members: Callable[[JsonObject], list[object]] = lambda record: [record]
    identity: Callable[[JsonObject], str] = lambda record: _id_of(record)


_V2_PAGE = Format(v2.PAGE_MARKS, v2.is_page, v2.read_tweet, v2.tweets_of)
_V2_TWEET = Format(v2.TWEET_MARKS, v2.is_tweet, v2.read_tweet)
_V1_SEARCH = Format(v1.SEARCH_MARKS, v1.is_search, v1.read_status, v1.statuses_of)
_V1_STATUS = Format(v1.STATUS_MARKS, v1.is_status, v1.read_status)
_PLAIN = Format(plain.MARKS, plain.is_plain, plain.read_plain)
_FORMATS: dict[str, tuple[Format, ...]] = {
    "v2": (_V2_PAGE, _V2_TWEET),
    "bluesky": (
        Format(jetstream.MARKS, jetstream.is_event, jetstream.read_event, identity=jetstream.id_of),
        Format(views.PAGE_MARKS, views.is_page, views.read_one, views.posts_of, views.id_of),
        Format(views.ONE_MARKS, views.is_one, views.read_one, identity=views.id_of),
    ),
    "mastodon": (
        Format(mastodon.EVENT_MARKS, mastodon.is_event, mastodon.read_event, identity=mastodon.id_of),
        Format(mastodon.PAGE_MARKS, mastodon.is_page, mastodon.read_status, mastodon.statuses_of, mastodon.id_of),
        Format(mastodon.STATUS_MARKS, mastodon.is_status, mastodon.read_status, identity=mastodon.id_of),
    ),
    "activitypub": (
        Format(
            activitypub.MARKS,
            activitypub.is_collection,
            activitypub.read_activity,
            activitypub.items_of,
            activitypub.id_of,
        ),
        Format(activitypub.MARKS, activitypub.is_activity, activitypub.read_activity, identity=activitypub.id_of),
    ),
    "gnip": (Format(gnip.MARKS, gnip.is_activity, gnip.read_activity),),
    "embed": (Format(embed.MARKS, embed.is_embed, embed.read_embed),),
    "graphql": (Format(graphql.MARKS, graphql.is_graphql, graphql.read_result, graphql.tweets_of),),
    "snscrape": (Format(snscrape.MARKS, snscrape.is_item, snscrape.read_item),),
    "gallery-dl": (Format(gallery_dl.MARKS, gallery_dl.is_picture, gallery_dl.read_picture),),
    "twint": (Format(twint.MARKS, twint.is_tweet, twint.read_tweet),),
    "v1": (_V1_SEARCH, _V1_STATUS),
    "jsonl": (_PLAIN,),
}
"""Formats in the order in which they are tried: the ones with the most distinctive fields come first."""
_ALL = tuple(format_ for variants in _FORMATS.values() for format_ in variants)
FORMATS = (*_FORMATS, CMKP)


def read_records(piece: bytes, forced: str = "", mapping: FieldMapping = NO_MAPPING) -> list[Post | RecordFault]:
    """The records of one JSON text, each as a Post or as a fault. Each object of a list is a record.

    Args:
        piece: The JSON text.
        forced: One of FORMATS, which all records then must have; "" detects the format of each record.
        mapping: What fields are taken for. Where it maps anything, all records are read by it.
    """
    try:
        value = parsed(piece)
    except UnicodeDecodeError as error:
        return [RecordFault("not_utf8", str(error))]
    except (ValueError, RecursionError) as error:
        return [RecordFault("not_json", str(error))]  # where and why; the text itself is found by the record's position
    items = value if isinstance(value, list) and value and all(isinstance(item, dict) for item in value) else [value]
    objects = (found for item in items for found in (_documents(item, mapping) if isinstance(item, dict) else [item]))
    return [result for document in objects for result in read_value(document, forced, mapping)]


def _documents(record: JsonObject, mapping: FieldMapping) -> list[object]:
    """The records in what a database or a table program wrote around them."""
    return [row for document in dicts(hits(record)) for row in rows_of(document, mapping.finds_post)]


def read_value(value: object, forced: str = "", mapping: FieldMapping = NO_MAPPING) -> list[Post | RecordFault]:
    """The records of a parsed document, as `read_records`."""
    if not isinstance(value, dict):
        return [RecordFault("not_an_object", type(value).__name__)]
    format_ = None if mapping else format_of(value, forced)
    if format_ is None and notices.is_notice(value):
        return [notices.read_notice(value)]
    if mapping:
        return read_all([value], mapping.read)
    if format_ is None:
        fields = f"fields: {', '.join(sorted(value)[:8])}"
        return [RecordFault("unknown_format", f"{what}; {fields}" if (what := what_is(value)) else fields)]
    try:
        return read_all(format_.members(value), format_.read, format_.identity)
    except RecordFault as fault:
        return [fault]


def names_in(piece: bytes, forced: str = "", mapping: FieldMapping = NO_MAPPING) -> list[tuple[str, JsonObject]]:
    """The name of the format of each object in a JSON text, with the object. Those without a format are left out."""
    try:
        value = parsed(piece)
    except (ValueError, RecursionError):
        return []
    found = (row for item in (value if isinstance(value, list) else [value]) for row in dicts([item]))
    records = (record for row in found for record in dicts(_documents(row, mapping)))
    named = (("jsonl" if mapping else name_of(record, forced), record) for record in records)
    return [(name, record) for name, record in named if name]


def name_of(record: JsonObject, forced: str = "") -> str:
    """The name of a record's format; "" where it has none."""
    found = format_of(record, forced)
    return next((name for name, variants in _FORMATS.items() if found in variants), "")


def format_of(record: JsonObject, forced: str) -> Format | None:
    """The format of a record, or None.

    A forced format may have several variants: the one that matches, otherwise the last one. A streaming notice has
    no format.
    """
    if not forced:
        names = tuple(record)
        possible = _possible(names) if len(names) <= _FEW_NAMES else _ALL
        found = next((format_ for format_ in possible if format_.matches(record)), None)
        return _PLAIN if found in (_V2_TWEET, _V1_STATUS) and plain.has_own_picture(record) else found
    variants = _FORMATS[forced]
    matching = next((format_ for format_ in variants if format_.matches(record)), None)
    return matching or (None if notices.is_notice(record) else variants[-1])


@lru_cache(maxsize=256)
def _possible(names: tuple[str, ...]) -> tuple[Format, ...]:
    """The formats that an object with these fields may have. Most records of a dump have the same fields."""
    return tuple(format_ for format_ in _ALL if not format_.marks.isdisjoint(names))


def read_all(
    records: Iterable[object], read: Callable[[JsonObject], Post], identity: Callable[[JsonObject], str] | None = None
) -> list[Post | RecordFault]:
    """The post of each record, with the names of fields that could not be read, or why there is none.

    Args:
        records: The records, which should be objects.
        read: Makes the post of an object, or raises RecordFault.
        identity: As of a Format. None for the ids of Twitter.
    """
    identity = identity or _id_of
    results: list[Post | RecordFault] = []
    with noting_unread() as unread:
        for record in records:
            if unread:
                unread.clear()
            if not isinstance(record, dict):
                results.append(RecordFault("not_an_object", type(record).__name__))
                continue
            try:
                post = read(record)
            except RecordFault as fault:
                results.append(_fault(record, fault, identity))
                continue
            if (size := characters(post)) > MAX_CHARACTERS:
                too_large = RecordFault("record_too_large", f"{size} characters, at most {MAX_CHARACTERS}")
                results.append(_fault(record, too_large, identity))
                continue
            results.append(post.having(unread=tuple(sorted(set(unread)))) if unread else post)
    return results


def _fault(record: JsonObject, fault: RecordFault, identity: Callable[[JsonObject], str]) -> RecordFault:
    versions = _versions_of(record)
    return RecordFault(fault.reason, fault.detail, identity(record), versions=versions, parts=fault.parts)


def characters(post: Post) -> int:
    """Characters in all fields of a post."""
    size = len(post.text) + len(post.post_id) + len(post.lang or "") + len(post.created_at)
    size += len(post.first_id) + len(post.collected_at) + sum(map(len, post.hashtags)) + sum(map(len, post.versions))
    for image in post.images:
        size += len(image.path) + len(image.url) + len(image.alt)
    return size


def _id_of(record: JsonObject) -> str:
    """The id of a record that could not be read; "" when it has none, or one longer than MAX_ID."""
    record = as_dict(record.get("tweet")) or record
    names = ("id_str", "id", "rest_id", "tweet_id")
    record_id = next((found for name in names if (found := id_text(record.get(name)))), "")
    if gnip.is_activity(record):
        record_id = gnip.post_id(record_id)
    return record_id if len(record_id) <= MAX_ID else ""


def _versions_of(record: JsonObject) -> tuple[str, ...]:
    """The ids of all versions of a record that could not be read, so that it is forgotten with them; () without any."""
    if not (record_id := _id_of(record)):
        return ()
    record = as_dict(record.get("tweet")) or record
    found = edit_fields(record_id, record.get("edit_history_tweet_ids")) or v1.edits_of(record_id, record)
    versions = found.get("versions", ())
    return versions if sum(map(len, versions)) <= MAX_CHARACTERS else ()
