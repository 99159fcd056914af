"""JSON of networks and tools that no reader knows: what it is, so that a person who has it learns what to do."""

from collections.abc import Collection

from m3h.pipeline.readers.record import JsonObject

_KINDS: tuple[tuple[Collection[str], str], ...] = (
    ({"mblogid"}, "a post of Weibo"),
    ({"idstr", "mid"}, "a post of Weibo"),
    ({"text_post_app_text_posts"}, "an export of Threads"),
    ({"ig_stories"}, "an export of Instagram"),
    ({"ig_reels_media"}, "an export of Instagram"),
    ({"media", "title", "creation_timestamp"}, "an export of Instagram"),
    ({"shortcode"}, "a post of Instagram"),
    ({"edge_media_to_caption"}, "a post of Instagram"),
    ({"status_updates_v2"}, "an export of Facebook"),
    ({"posts_v2"}, "an export of Facebook"),
    ({"timestamp", "attachments", "data"}, "an export of Facebook"),
    ({"message", "permalink_url", "created_time"}, "a post of Facebook"),
    ({"subreddit"}, "a post of Reddit"),
    ({"aweme_id"}, "a video of TikTok"),
    ({"desc", "music", "author"}, "a video of TikTok"),
    ({"reblog_key"}, "a post of Tumblr"),
    ({"date_unixtime"}, "a message of Telegram"),
    ({"messages", "name", "type"}, "an export of Telegram"),
    ({"guild", "channel", "messages"}, "an export of Discord"),
    ({"owner_id", "from_id", "post_type"}, "a post of VK"),
    ({"annotations", "images"}, "captions or marks of pictures in the form of COCO"),
    ({"nbformat", "cells"}, "a notebook of Jupyter"),
    ({"type", "features"}, "a map in GeoJSON"),
    ({"log", "_meta"}, "a record of a browser (HAR)"),
)
"""Fields that an object must have, and what it is then."""


def what_is(record: JsonObject) -> str:
    """What an object is that has no format, by its fields; "" where nothing is known of it."""
    kind = record.get("kind")
    if isinstance(kind, str) and kind.startswith("youtube#"):
        return "a record of YouTube"
    if record.keys() == {"media"} and "creation_timestamp" in str(record["media"])[:2000]:
        return "an export of Instagram"
    return next((what for fields, what in _KINDS if all(name in record for name in fields)), "")
