"""Twitter API v2: pages (`data`, `includes`, `meta`) as they were answered, and tweets that twarc flattened."""

from typing import Any

from pipeline.readers.record import (
    RecordFault,
    as_dict,
    dicts,
    edit_fields,
    id_field,
    id_text,
    marked_hashtags,
    refuse_withheld,
    text_field,
    valid_text,
    without_links,
)
from schemas.posts import ImageRef, Post

MARKS = ("author_id", "edit_history_tweet_ids", "public_metrics", "referenced_tweets", "conversation_id", "attachments")
"""Fields of a v2 tweet that no other format has."""
_PHOTO_KEY = "3_"


def is_page(record: dict[str, Any]) -> bool:
    """Whether a JSON object is an answer of the API: tweets with what they refer to, or only errors or a count."""
    data = record.get("data")
    if isinstance(data, list):
        return not data or any(isinstance(item, dict) and "id" in item and "text" in item for item in data)
    if isinstance(data, dict):
        return "id" in data and "text" in data
    answer = "includes" in record or "errors" in record or "result_count" in as_dict(record.get("meta"))
    return data is None and answer


def tweets_of(page: dict[str, Any]) -> list[Any]:
    """Its tweets, each with its own media and the time it was collected, as twarc flattens them.

    Tweets in `includes` are what others refer to, and no records. RecordFault `notice` for a page without tweets.
    """
    data = page.get("data")
    found = data if isinstance(data, list) else [data] if data else []
    if not found:
        titles = [error["title"] for error in dicts(page.get("errors")) if isinstance(error.get("title"), str)]
        raise RecordFault("notice", ", ".join(["a page without tweets", *dict.fromkeys(titles)]))
    media = {key: item for item in dicts(as_dict(page.get("includes")).get("media")) if (key := _key(item))}
    collected = {"__twarc": page.get("__twarc")}
    return [_flat(tweet, media) | collected if isinstance(tweet, dict) else tweet for tweet in found]


def _key(medium: dict[str, Any]) -> str:
    return id_text(medium.get("media_key"))


def _flat(tweet: dict[str, Any], media: dict[str, dict[str, Any]]) -> dict[str, Any]:
    attachments = as_dict(tweet.get("attachments"))
    mine = [media[key] for key in _keys(attachments) if key in media]
    return {**tweet, "attachments": {**attachments, "media": mine}}


def _keys(attachments: dict[str, Any]) -> list[str]:
    keys = attachments.get("media_keys")
    return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []


def is_tweet(record: dict[str, Any]) -> bool:
    """Whether a JSON object is a tweet of a v2 page, with or without what it refers to."""
    return "id" in record and "text" in record and "user" not in record and any(mark in record for mark in MARKS)


def read_tweet(record: dict[str, Any]) -> Post:
    """The post itself, its long text where it has one. RecordFault `withheld` as for v1.1."""
    withheld = as_dict(record.get("withheld"))
    refuse_withheld(withheld.get("country_codes"), withheld.get("copyright"))
    text, entities = text_field(record, "text"), as_dict(record.get("entities"))
    if note := as_dict(record.get("note_tweet")):
        text = text_field(note, "text", default="") or text
        entities = {"urls": entities.get("urls"), **as_dict(note.get("entities"))}
    text = without_links(text, (url.get("url") for url in dicts(entities.get("urls")) if _is_picture_link(url)))
    post_id = id_field(record, "id")
    relations = {
        other.get("type") for other in dicts(record.get("referenced_tweets")) if isinstance(other.get("type"), str)
    }
    is_repost = "retweeted" in relations or text.startswith("RT @")
    return Post(
        post_id=post_id,
        text=text,
        hashtags=marked_hashtags(entities.get("hashtags", [] if entities else None), "tag", text),
        images=tuple(_photos(as_dict(record.get("attachments")))),
        lang=text_field(record, "lang", default="") or None,
        created_at=text_field(record, "created_at", default=""),
        is_repost=is_repost,
        is_quote="quoted" in relations and not is_repost,
        collected_at=text_field(as_dict(record.get("__twarc")), "retrieved_at", default=""),
        **edit_fields(post_id, record.get("edit_history_tweet_ids")),
    )


def _is_picture_link(url: dict[str, Any]) -> bool:
    return "media_key" in url or str(url.get("display_url")).startswith(("pic.twitter.com/", "pic.x.com/"))


def _photos(attachments: dict[str, Any]) -> list[ImageRef]:
    """Pictures only. One whose URL the dump does not tell is known by its key: it still counts as a picture."""
    media = {key: item for item in dicts(attachments.get("media")) if (key := _key(item))}
    listed = dict.fromkeys([*_keys(attachments), *media])
    return [found for key in listed if (found := _photo(key, media.get(key)))]


def _photo(key: str, medium: dict[str, Any] | None) -> ImageRef | None:
    if (medium or {}).get("type") not in (None, "photo") or not key.startswith(_PHOTO_KEY):
        return None
    url = (medium or {}).get("url")
    return ImageRef(url=valid_text(url)) if isinstance(url, str) and url else ImageRef(path=valid_text(key))
