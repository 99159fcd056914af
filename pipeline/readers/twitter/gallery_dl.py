"""Reads the metadata that gallery-dl writes for each picture of a tweet (`--write-metadata`)."""

from m3h.pipeline.readers.record import (
    JsonObject,
    alt_text,
    date_field,
    id_field,
    id_text,
    listed_hashtags,
    optional_text,
    text_field,
    valid_text,
)
from m3h.schemas.posts import ImageRef, Post

MARKS = frozenset(("category",))


def is_picture(record: JsonObject) -> bool:
    """Whether a JSON object is the metadata of a picture, or of a tweet, of gallery-dl's extractor for Twitter."""
    return record.get("category") == "twitter" and "tweet_id" in record and "content" in record


def read_picture(record: JsonObject) -> Post:
    """The post of a picture's tweet, with all its pictures: each of them has a record, all with the same text."""
    text = text_field(record, "content")
    is_repost = id_text(record.get("retweet_id")) not in ("", "0")
    return Post(
        post_id=id_field(record, "tweet_id"),
        text=text,
        hashtags=listed_hashtags(record.get("hashtags"), text),
        images=tuple(_images(record)),
        lang=optional_text(record, "lang") or None,
        created_at=date_field(record, "date"),
        is_repost=is_repost,
        is_quote=id_text(record.get("quote_id")) not in ("", "0") and not is_repost,
        sensitive=record.get("sensitive") is True,
    )


def _images(record: JsonObject) -> list[ImageRef]:
    """The pictures by the names that gallery-dl gives their files: `{tweet_id}_{num}.{extension}`.

    A record describes the picture that it belongs to (`num`), and no other.
    """
    if record.get("type", "photo") != "photo":
        return []
    extension, count = record.get("extension"), record.get("count")
    if not isinstance(extension, str) or not isinstance(count, int):
        return []
    tweet = id_field(record, "tweet_id")
    return [
        ImageRef(
            path=valid_text(f"{tweet}_{number}.{extension}"),
            alt=alt_text(record, "description") if number == record.get("num") else "",
        )
        for number in range(1, min(count, 4) + 1)
    ]
