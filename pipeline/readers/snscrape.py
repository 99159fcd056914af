"""snscrape's JSON lines: `content` (later `rawContent`), `date`, `media`, `hashtags`."""

import re
from typing import Any

from pipeline.readers.record import (
    RecordFault,
    dicts,
    hashtags_in,
    id_field,
    normal_hashtags,
    text_field,
    valid_text,
    without_links,
)
from schemas.posts import ImageRef, Post

TYPE = "snscrape.modules.twitter."
_LINK = re.compile(r"https://t\.co/\w+")


def is_item(record: dict[str, Any]) -> bool:
    """Whether a JSON object is an item of snscrape's Twitter module."""
    return str(record.get("_type")).startswith(TYPE)


def read_item(record: dict[str, Any]) -> Post:
    """The post itself; a quoted tweet is not part of it. RecordFault `unavailable` for anything but a tweet."""
    kind = text_field(record, "_type", default=f"{TYPE}Tweet")
    if kind != f"{TYPE}Tweet":
        raise RecordFault("unavailable", kind.removeprefix(TYPE))
    media = dicts(record.get("media"))
    text = text_field(record, "rawContent", default="") or text_field(record, "content")
    if media:  # a link that is not among the outgoing ones is that of the media
        text = without_links(text, [link for link in _LINK.findall(text) if link not in _outgoing(record)])
    is_repost = bool(record.get("retweetedTweet")) or text.startswith("RT @")
    return Post(
        post_id=id_field(record, "id"),
        text=text.strip(),
        hashtags=_hashtags(record, text),
        images=tuple(_photos(media)),
        lang=text_field(record, "lang", default="") or None,
        created_at=text_field(record, "date", default=""),
        is_repost=is_repost,
        is_quote=bool(record.get("quotedTweet")) and not is_repost,
    )


def _outgoing(record: dict[str, Any]) -> set[Any]:
    links = record.get("tcooutlinks")
    listed = {link for link in links if isinstance(link, str)} if isinstance(links, list) else set()
    return listed | {str(link.get("tcourl")) for link in dicts(record.get("links"))}


def _hashtags(record: dict[str, Any], text: str) -> tuple[str, ...]:
    tags = record.get("hashtags")
    listed = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return normal_hashtags(listed) if listed else hashtags_in(text)


def _photos(media: list[dict[str, Any]]) -> list[ImageRef]:
    """Pictures only, in the size the site shows largest."""
    urls = [item.get("fullUrl") for item in media if item.get("_type") == f"{TYPE}Photo"]
    return [ImageRef(url=url) for url in dict.fromkeys(valid_text(url) for url in urls if isinstance(url, str) and url)]
