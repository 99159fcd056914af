"""Reads the Twitter API v2: pages (`data`, `includes`, `meta`) as the API answers them, and tweets twarc flattened."""

from m3h.pipeline.readers.record import (
    JsonObject,
    RecordFault,
    alt_text,
    as_dict,
    date_field,
    dicts,
    edit_fields,
    id_field,
    id_text,
    marked_hashtags,
    optional_text,
    refuse_withheld,
    text_field,
    valid_text,
    without_links,
)
from m3h.schemas.posts import EMPTY_POST, ImageRef, Post

V2_FIELDS = (
    "author_id",
    "edit_history_tweet_ids",
    "public_metrics",
    "referenced_tweets",
    "conversation_id",
    "attachments",
)
"""Fields of a v2 tweet that no other format has."""
PAGE_MARKS = frozenset(("data", "includes", "errors", "meta"))
TWEET_MARKS = frozenset(V2_FIELDS)
_PHOTO_KEY_PREFIX = "3_"


def is_page(record: JsonObject) -> bool:
    """Whether a JSON object is an answer of the API: tweets with their references, or only errors or a count."""
    data = record.get("data")
    if isinstance(data, list):
        return not data or any(isinstance(item, dict) and "id" in item and "text" in item for item in data)
    if isinstance(data, dict):
        return "id" in data and "text" in data
    is_answer = "includes" in record or "errors" in record or "result_count" in as_dict(record.get("meta"))
    return data is None and is_answer


def tweets_of(page: JsonObject) -> list[object]:
    """The tweets of a page. Each gets its own media and the time of its collection, as twarc does it.

    Tweets in `includes` are only references and not records. RecordFault `notice` for a page without tweets.
    """
    data = page.get("data")
    tweets = data if isinstance(data, list) else [data] if data else []
    if not tweets:
        titles = [title for error in dicts(page.get("errors")) if isinstance(title := error.get("title"), str)]
        raise RecordFault("notice", ", ".join(["a page without tweets", *dict.fromkeys(titles)]))
    media = {key: item for item in dicts(as_dict(page.get("includes")).get("media")) if (key := _key(item))}
    collected = {"__twarc": page.get("__twarc")}
    return [_flat(tweet, media) | collected if isinstance(tweet, dict) else tweet for tweet in tweets]


def _key(medium: JsonObject) -> str:
    return id_text(medium.get("media_key"))


def _flat(tweet: JsonObject, media: dict[str, JsonObject]) -> JsonObject:
    attachments = as_dict(tweet.get("attachments"))
    own_media = [media[key] for key in _keys(attachments) if key in media]
    return {**tweet, "attachments": {**attachments, "media": own_media}}


def _keys(attachments: JsonObject) -> list[str]:
    keys = attachments.get("media_keys")
    return [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []


def is_tweet(record: JsonObject) -> bool:
    """Whether a JSON object is a single tweet of the v2 API, with or without its references."""
    return "id" in record and "text" in record and "user" not in record and any(name in record for name in V2_FIELDS)


def read_tweet(record: JsonObject) -> Post:
    """The post of a tweet, with the long text if it has one. RecordFault `withheld` as for v1.1."""
    withheld = as_dict(record.get("withheld"))
    refuse_withheld(withheld.get("country_codes"), withheld.get("copyright"))
    text, entities = text_field(record, "text"), as_dict(record.get("entities"))
    if note := as_dict(record.get("note_tweet")):
        text = text_field(note, "text", default="") or text
        entities = {"urls": entities.get("urls"), **as_dict(note.get("entities"))}
    text = without_links(text, (url.get("url") for url in dicts(entities.get("urls")) if _is_picture_link(url)))
    post_id = id_field(record, "id")
    relations = {kind for tweet in dicts(record.get("referenced_tweets")) if isinstance(kind := tweet.get("type"), str)}
    is_repost = "retweeted" in relations or text.startswith("RT @")
    return EMPTY_POST.having(
        post_id=post_id,
        text=text,
        hashtags=marked_hashtags(entities.get("hashtags", [] if entities else None), "tag", text),
        images=tuple(_photos(as_dict(record.get("attachments")))),
        lang=optional_text(record, "lang") or None,
        created_at=date_field(record, "created_at"),
        is_repost=is_repost,
        is_quote="quoted" in relations and not is_repost,
        sensitive=record.get("possibly_sensitive") is True,
        collected_at=optional_text(as_dict(record.get("__twarc")), "retrieved_at"),
        **edit_fields(post_id, record.get("edit_history_tweet_ids")),
    )


def _is_picture_link(url: JsonObject) -> bool:
    return "media_key" in url or str(url.get("display_url")).startswith(("pic.twitter.com/", "pic.x.com/"))


def _photos(attachments: JsonObject) -> list[ImageRef]:
    """The photos. When the dump does not have the URL of a photo, the photo's key takes its place."""
    media = {key: item for item in dicts(attachments.get("media")) if (key := _key(item))}
    listed = dict.fromkeys([*_keys(attachments), *media])
    return [found for key in listed if (found := _photo(key, media.get(key)))]


def _photo(key: str, medium: JsonObject | None) -> ImageRef | None:
    if (medium or {}).get("type") not in (None, "photo") or not key.startswith(_PHOTO_KEY_PREFIX):
        return None
    url, alt = (medium or {}).get("url"), alt_text(medium or {}, "alt_text")
    if isinstance(url, str) and url:
        return ImageRef(url=valid_text(url), alt=alt)
    return ImageRef(path=valid_text(key), alt=alt)
