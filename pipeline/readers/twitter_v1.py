"""Twitter API v1.1 statuses: compat (`text`) and extended (`full_text`, `extended_tweet`), retweets, quotes."""

from typing import Any

from pipeline.readers.record import as_dict, dicts, hashtags_in, id_field, normal_hashtags, text_field, valid_text
from schemas.posts import ImageRef, Post

NOTICES = ("delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning", "friends")
"""Single-key messages of the streaming API that are no posts."""


def is_status(record: dict[str, Any]) -> bool:
    """Whether a JSON object is a v1.1 status."""
    has_text = "text" in record or "full_text" in record
    return has_text and ("id_str" in record or "id" in record) and ("user" in record or "entities" in record)


def is_notice(record: dict[str, Any]) -> bool:
    """Whether a JSON object is a streaming notice rather than a post."""
    return any(notice in record for notice in NOTICES) and "text" not in record and "full_text" not in record


def read_status(record: dict[str, Any]) -> Post:
    """The post itself; a quoted status is not part of it, a retweet is marked as one.

    Links of the post's own pictures are taken out of the text: they are not words of the author.
    """
    extended = as_dict(record.get("extended_tweet"))
    body = {**record, **extended}
    text = text_field(body, "full_text", default="") or text_field(record, "text", default="")
    media = _media(body)
    for item in media:
        if isinstance(link := item.get("url"), str) and link:
            text = text.replace(link, " ")
    tags = [
        tag["text"] for tag in dicts(as_dict(body.get("entities")).get("hashtags")) if isinstance(tag.get("text"), str)
    ]
    return Post(
        post_id=id_field(record, "id_str", "id"),
        text=text.strip(),
        hashtags=normal_hashtags(tags) if tags else hashtags_in(text),
        images=tuple(_photos(media)),
        lang=text_field(record, "lang", default="") or None,
        created_at=text_field(record, "created_at", default=""),
        is_repost=bool(record.get("retweeted_status")) or text.startswith("RT @"),
    )


def _media(body: dict[str, Any]) -> list[dict[str, Any]]:
    extended = dicts(as_dict(body.get("extended_entities")).get("media"))
    return extended or dicts(as_dict(body.get("entities")).get("media"))


def _photos(media: list[dict[str, Any]]) -> list[ImageRef]:
    """Pictures only: the still of a video or an animation is not the author's picture."""
    urls = (item.get("media_url_https") or item.get("media_url") for item in media if item.get("type") == "photo")
    return [ImageRef(url=url) for url in dict.fromkeys(valid_text(url) for url in urls if isinstance(url, str))]
