"""Reads statuses of the Twitter API v1.1, compat (`text`) and extended (`full_text`, `extended_tweet`).

The `tweets.js` of a personal archive holds the same statuses. There each status is wrapped in `tweet` and has no user.
"""

from m3h.pipeline.readers.record import (
    EditFields,
    JsonObject,
    Part,
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

SEARCH_MARKS = frozenset(("statuses",))
STATUS_MARKS = frozenset(("tweet", "text", "full_text"))
_EDITS = frozenset(("edit_history", "edit_control", "edit_info"))
_VIDEO_STILL = "video_thumb/"


def is_search(record: JsonObject) -> bool:
    """Whether a JSON object is a page of search results."""
    return isinstance(record.get("statuses"), list)


def statuses_of(page: JsonObject) -> list[object]:
    """The statuses of a page of search results. RecordFault `notice` for a page without statuses."""
    statuses = page["statuses"]
    if not isinstance(statuses, list) or not statuses:
        raise RecordFault("notice", "a page without tweets")
    return statuses


def is_status(record: JsonObject) -> bool:
    """Whether a JSON object is a v1.1 status."""
    record = _unwrapped(record)
    has_text = ("text" in record or "full_text" in record) and "mblogid" not in record  # which a post of Weibo has
    return has_text and ("id_str" in record or "id" in record) and ("user" in record or "entities" in record)


def read_status(record: JsonObject) -> Post:
    """The post of a status, without the status that it quotes. A retweet is marked as one.

    RecordFault `withheld` when the post is hidden in some country or because of a copyright claim, `deleted` when its
    author deleted it: a personal archive lists such posts for a while, in a file of their own. Copies of them go too.
    """
    record = _unwrapped(record)
    if record.get("deleted_at"):
        deletion = Part("deletion", id_field(record, "id_str", "id"))
        raise RecordFault("deleted", "its author deleted it", parts=(deletion,))
    refuse_withheld(record.get("withheld_in_countries"), record.get("withheld_copyright"))
    extended = as_dict(record.get("extended_tweet"))
    body = {**record, **extended} if extended else record
    text = text_field(body, "full_text", default="") or text_field(record, "text", default="")
    media = _media(body)
    text = without_links(text, (item.get("url") for item in media))
    post_id = id_field(record, "id_str", "id")
    is_repost = bool(record.get("retweeted_status")) or text.startswith("RT @")
    return EMPTY_POST.having(
        post_id=post_id,
        text=text,
        hashtags=marked_hashtags(as_dict(body.get("entities")).get("hashtags"), "text", text),
        images=tuple(_photos(media)),
        lang=optional_text(record, "lang") or None,
        created_at=date_field(record, "created_at"),
        is_repost=is_repost,
        is_quote=bool(record.get("is_quote_status")) and not is_repost,
        sensitive=record.get("possibly_sensitive") is True,
        **edits_of(post_id, record),
    )


def _unwrapped(record: JsonObject) -> JsonObject:
    wrapped = record.get("tweet")
    return wrapped if len(record) == 1 and isinstance(wrapped, dict) else record


def edits_of(post_id: str, record: JsonObject) -> EditFields:
    """Edits as the API (`edit_history`), the web (`edit_control`) or a personal archive (`edit_info`) lists them."""
    if _EDITS.isdisjoint(record):
        return {}
    api = as_dict(record.get("edit_history"))
    web = as_dict(record.get("edit_control"))
    web = {**web, **as_dict(web.get("edit_control_initial"))}
    archive = as_dict(record.get("edit_info"))
    archive = as_dict(archive.get("initial")) or as_dict(archive.get("edit"))
    archive = {**archive, **as_dict(archive.get("editControlInitial"))}
    versions = api.get("edit_tweet_ids") or web.get("edit_tweet_ids") or archive.get("editTweetIds")
    first_ids = (api.get("initial_tweet_id"), web.get("initial_tweet_id"), archive.get("initialTweetId"))
    return edit_fields(post_id, versions, next((found for first_id in first_ids if (found := id_text(first_id))), ""))


def _media(body: JsonObject) -> list[JsonObject]:
    extended = dicts(as_dict(body.get("extended_entities")).get("media"))
    return extended or dicts(as_dict(body.get("entities")).get("media"))


def _photos(media: list[JsonObject]) -> list[ImageRef]:
    """The photos. The still of a video or an animation is not one, even when `entities` lists it as a photo."""
    alts: dict[str, str] = {}
    for item in media:
        if item.get("type") not in (None, "photo"):  # archives of 2012 to 2014 have no types
            continue
        url = item.get("media_url_https") or item.get("media_url")
        if isinstance(url, str) and _VIDEO_STILL not in url:
            url = valid_text(url)
            alts[url] = alts.get(url) or alt_text(item, "ext_alt_text", "altText")
    return [ImageRef(url=url, alt=alt) for url, alt in alts.items()]
