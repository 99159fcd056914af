"""Twitter API v1.1 statuses: compat (`text`) and extended (`full_text`, `extended_tweet`), retweets, quotes, edits.

The `tweets.js` of a personal archive holds the same statuses, each wrapped in `tweet`, without their user.
"""

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

NOTICES = ("delete", "limit", "scrub_geo", "status_withheld", "user_withheld", "disconnect", "warning", "friends")
"""Single-key messages of the streaming API that are no posts."""
_STILL = "video_thumb/"


def is_search(record: dict[str, Any]) -> bool:
    """Whether a JSON object is an answer of the search: a page of statuses."""
    return isinstance(record.get("statuses"), list)


def statuses_of(page: dict[str, Any]) -> list[Any]:
    """Its statuses. RecordFault `notice` for a page without any."""
    if not page["statuses"]:
        raise RecordFault("notice", "a page without tweets")
    return list(page["statuses"])


def is_status(record: dict[str, Any]) -> bool:
    """Whether a JSON object is a v1.1 status."""
    record = _unwrapped(record)
    has_text = "text" in record or "full_text" in record
    return has_text and ("id_str" in record or "id" in record) and ("user" in record or "entities" in record)


def is_notice(record: dict[str, Any]) -> bool:
    """Whether a JSON object is a streaming notice rather than a post."""
    return any(notice in record for notice in NOTICES) and "text" not in record and "full_text" not in record


def read_status(record: dict[str, Any]) -> Post:
    """The post itself; a quoted status is not part of it, a retweet is marked as one.

    RecordFault `withheld` for a post that is not shown in some country, or for its copyright.
    """
    record = _unwrapped(record)
    refuse_withheld(record.get("withheld_in_countries"), record.get("withheld_copyright"))
    body = {**record, **as_dict(record.get("extended_tweet"))}
    text = text_field(body, "full_text", default="") or text_field(record, "text", default="")
    media = _media(body)
    text = without_links(text, (item.get("url") for item in media))
    post_id = id_field(record, "id_str", "id")
    is_repost = bool(record.get("retweeted_status")) or text.startswith("RT @")
    return Post(
        post_id=post_id,
        text=text,
        hashtags=marked_hashtags(as_dict(body.get("entities")).get("hashtags"), "text", text),
        images=tuple(_photos(media)),
        lang=text_field(record, "lang", default="") or None,
        created_at=text_field(record, "created_at", default=""),
        is_repost=is_repost,
        is_quote=bool(record.get("is_quote_status")) and not is_repost,
        **_edits(post_id, record),
    )


def _unwrapped(record: dict[str, Any]) -> dict[str, Any]:
    wrapped = record.get("tweet")
    return wrapped if len(record) == 1 and isinstance(wrapped, dict) else record


def _edits(post_id: str, record: dict[str, Any]) -> dict[str, Any]:
    """As the API has them (`edit_history`), the web (`edit_control`), or a personal archive (`edit_info`)."""
    history = as_dict(record.get("edit_history"))
    web = as_dict(record.get("edit_control"))
    web = {**web, **as_dict(web.get("edit_control_initial"))}
    archive = as_dict(record.get("edit_info"))
    archive = as_dict(archive.get("initial")) or as_dict(archive.get("edit"))
    archive = {**archive, **as_dict(archive.get("editControlInitial"))}
    listed = history.get("edit_tweet_ids") or web.get("edit_tweet_ids") or archive.get("editTweetIds")
    firsts = (history.get("initial_tweet_id"), web.get("initial_tweet_id"), archive.get("initialTweetId"))
    return edit_fields(post_id, listed, next((found for first in firsts if (found := id_text(first))), ""))


def _media(body: dict[str, Any]) -> list[dict[str, Any]]:
    extended = dicts(as_dict(body.get("extended_entities")).get("media"))
    return extended or dicts(as_dict(body.get("entities")).get("media"))


def _photos(media: list[dict[str, Any]]) -> list[ImageRef]:
    """Pictures only: the still of a video or an animation is not the author's picture, whatever `entities` call it."""
    urls = (item.get("media_url_https") or item.get("media_url") for item in media if item.get("type") == "photo")
    pictures = (valid_text(url) for url in urls if isinstance(url, str) and _STILL not in url)
    return [ImageRef(url=url) for url in dict.fromkeys(pictures)]
