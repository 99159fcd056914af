"""Reads snscrape's JSON lines: `content` (`rawContent` in later versions), `date`, `media`, `hashtags`.

twscrape writes the same fields, and calls itself snscrape. Its `media` is an object of `photos`, `videos`, `animated`.
"""

import re

from m3h.pipeline.readers.record import (
    JsonObject,
    RecordFault,
    alt_text,
    date_field,
    dicts,
    hashtags_in,
    id_field,
    normal_hashtags,
    optional_text,
    text_field,
    valid_text,
    without_links,
)
from m3h.schemas.posts import ImageRef, Post

MARKS = frozenset(("_type",))
TYPE = "snscrape.modules.twitter."
_LINK = re.compile(r"https://t\.co/\w+")


def is_item(record: JsonObject) -> bool:
    """Whether a JSON object is an item of snscrape's Twitter module."""
    return str(record.get("_type")).startswith(TYPE)


def read_item(record: JsonObject) -> Post:
    """The post of an item, without the tweet that it quotes. RecordFault `unavailable` when the item is not a tweet."""
    kind = text_field(record, "_type", default=f"{TYPE}Tweet")
    if kind != f"{TYPE}Tweet":
        raise RecordFault("unavailable", kind.removeprefix(TYPE))
    media = _media(record.get("media"))
    text = text_field(record, "rawContent", default="") or text_field(record, "content")
    if media:  # a link that is not listed as an outgoing link leads to the media
        text = without_links(text, [link for link in _LINK.findall(text) if link not in _outgoing(record)])
    is_repost = bool(record.get("retweetedTweet")) or text.startswith("RT @")
    return Post(
        post_id=id_field(record, "id"),
        text=text.strip(),
        hashtags=_hashtags(record, text),
        images=tuple(_photos(media)),
        lang=optional_text(record, "lang") or None,
        created_at=date_field(record, "date"),
        is_repost=is_repost,
        is_quote=bool(record.get("quotedTweet")) and not is_repost,
        sensitive=record.get("possibly_sensitive") is True,
    )


def _media(media: object) -> list[JsonObject]:
    """Photos, videos and animations as snscrape lists them."""
    if not isinstance(media, dict):
        return dicts(media)
    photos: list[JsonObject] = [
        {"_type": f"{TYPE}Photo", "fullUrl": photo.get("url"), "altText": photo.get("altText")}
        for photo in dicts(media.get("photos"))
    ]
    return photos + [item for name in ("videos", "animated") for item in dicts(media.get(name))]


def _outgoing(record: JsonObject) -> set[str]:
    """The links of the post that do not lead to its own media."""
    links = record.get("tcooutlinks")
    listed = {link for link in links if isinstance(link, str)} if isinstance(links, list) else set()
    return listed | {str(link.get("tcourl")) for link in dicts(record.get("links"))}


def _hashtags(record: JsonObject, text: str) -> tuple[str, ...]:
    tags = record.get("hashtags")
    listed = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return normal_hashtags(listed) if listed else hashtags_in(text)


def _photos(media: list[JsonObject]) -> list[ImageRef]:
    """The photos, in the largest size that the site shows."""
    photos = [item for item in media if item.get("_type") == f"{TYPE}Photo"]
    alts = {url: alt_text(item, "altText") for item in photos if isinstance(url := item.get("fullUrl"), str) and url}
    return [ImageRef(url=valid_text(url), alt=alt) for url, alt in alts.items()]
