"""Turns a record of Bluesky's collection `app.bsky.feed.post` into a Post, whatever the record lay in."""

import re
from collections.abc import Collection

from m3h.pipeline.readers.bluesky.rich_text import hashtags_of, readable
from m3h.pipeline.readers.record import (
    JsonObject,
    RecordFault,
    alt_text,
    as_dict,
    date_field,
    dicts,
    text_field,
    texts,
    valid_text,
)
from m3h.pipeline.text.post_addresses import POST_COLLECTION, id_of_address
from m3h.schemas.posts import ImageRef, Post

SENSITIVE = frozenset({"porn", "sexual", "nudity", "graphic-media", "gore", "nsfl"})
"""Labels of pictures that not everybody wants to see. `gore` and `nsfl` are older names of `graphic-media`."""
TAKEN_DOWN = ("!takedown", "!hide", "!suspend")
"""Labels by which a moderator withholds a post."""
NOT_FOR_STRANGERS = "!no-unauthenticated"
"""Label by which an account asks not to be shown to people who are not logged in."""

_PICTURE_URL = "https://cdn.bsky.app/img/feed_fullsize/plain/{did}/{cid}@jpeg"
"""Where Bluesky shows a picture, at most 2,000 pixels wide and as JPEG."""
_OWN_PICTURE = re.compile(r"/(?P<did>did:[^/]+)/(?P<cid>[a-z0-9]+)(?:@\w+)?$")


def post_id(uri: str) -> str:
    """The id of the post at an `at://` URI. RecordFault `bad_field` where the URI is that of no post."""
    if found := id_of_address(uri):
        return found
    raise RecordFault("bad_field", "uri: expected at://DID/app.bsky.feed.post/KEY")


def read_post(
    record: JsonObject,
    uri: str,
    *,
    labels: Collection[str] = (),
    shown: JsonObject | None = None,
    collected_at: str = "",
) -> Post:
    """The post of a record. A quoted post is no record of its own, and neither is the post that a reply answers.

    Args:
        record: an object of the lexicon `app.bsky.feed.post`.
        uri: its `at://` URI.
        labels: what others than the author labelled the post with.
        shown: the record's `embed` as the API shows it, which has the pictures' URLs; None where it is not known.
        collected_at: as of a Post.

    Raises:
        RecordFault: `notice` for a record of another collection, `withheld` for a post that a moderator hides.
    """
    kind = text_field(record, "$type", default=POST_COLLECTION)
    if kind != POST_COLLECTION:
        raise RecordFault("notice", kind)
    if hidden := [label for label in TAKEN_DOWN if label in labels]:
        raise RecordFault("withheld", hidden[0])
    found, did = post_id(uri), uri.split("/")[2]
    text, langs, embed = text_field(record, "text"), texts(record.get("langs")) or [], as_dict(record.get("embed"))
    return Post(
        post_id=found,
        text=readable(text, record.get("facets")).strip(),
        hashtags=hashtags_of(record, text),
        images=_images(did, shown or {}) or _images(did, embed),
        lang=valid_text(langs[0]) if len(langs) == 1 else None,  # of several, the words tell which it is
        created_at=date_field(record, "createdAt"),
        collected_at=collected_at,
        is_quote=_is_quote(embed),
        sensitive=not SENSITIVE.isdisjoint((*labels, *_self_labels(record))),
    )


def _self_labels(record: JsonObject) -> list[str]:
    return label_values(as_dict(record.get("labels")).get("values"))


def label_values(labels: object) -> list[str]:
    """The values of a list of labels, without those that take a label back."""
    return [value for label in dicts(labels) if isinstance(value := label.get("val"), str) and not label.get("neg")]


def _is_quote(embed: JsonObject) -> bool:
    """Whether a post is embedded. Feeds, lists and starter packs are embedded in the same way, and are no posts."""
    embedded = as_dict(embed.get("record"))
    return f"/{POST_COLLECTION}/" in str(embedded.get("uri") or as_dict(embedded.get("record")).get("uri"))


def _images(did: str, embed: JsonObject) -> tuple[ImageRef, ...]:
    """The pictures of an `embed`, of a record or as the API shows it. The stills of videos and links are none."""
    media = as_dict(embed.get("media")) or embed
    found = ((image, _shown(image) or _own(did, as_dict(image.get("image")))) for image in dicts(media.get("images")))
    return tuple(ImageRef(*reference, alt=alt_text(image, "alt")) for image, reference in found if reference)


def _shown(image: JsonObject) -> tuple[str, str] | None:
    """Path and URL of a picture as the API shows it."""
    url = image.get("fullsize")
    if not isinstance(url, str) or not url:
        return None
    found = _OWN_PICTURE.search(url.replace("%3A", ":"))
    return f"{found['did']}/{found['cid']}" if found else "", valid_text(url)


def _own(did: str, blob: JsonObject) -> tuple[str, str] | None:
    """Path and URL of a picture that a record names by its CID. The first records have the CID beside the type."""
    cid = as_dict(blob.get("ref")).get("$link") or blob.get("cid")
    if not isinstance(cid, str) or not cid.isalnum():
        return None
    return f"{did}/{cid}", _PICTURE_URL.format(did=did, cid=cid)
