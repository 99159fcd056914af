"""Dump records: a v1.1 status as Twitter's API gave it, or a plain line."""

import datetime
import random
import re
from typing import Any

from m3h.sample.drafts import Draft, short_code
from m3h.sample.texts import HANDLES

EPOCH_MS = 1288834974657
"""Where Twitter's ids start to count."""
COMPAT_LIMIT = 140
_QUOTED = (
    "Does anybody else have a whole folder of these?",
    "Show me the last picture you were proud of",
    "What was the best part of your week so far?",
)


def status_id(rng: random.Random, moment_ms: int) -> int:
    """An id that holds its time, as Twitter's do."""
    return (moment_ms - EPOCH_MS) << 22 | rng.getrandbits(22)


def created_at(post_id: int) -> str:
    """In the v1.1 API's own format."""
    moment = datetime.datetime.fromtimestamp(((post_id >> 22) + EPOCH_MS) // 1000, datetime.timezone.utc)
    return moment.strftime("%a %b %d %H:%M:%S +0000 %Y")


def user(rng: random.Random) -> dict[str, Any]:
    """An account that does not exist."""
    number = rng.randint(10_000_000, 900_000_000)
    handle = f"{rng.choice(HANDLES)}{rng.randint(1, 999)}"
    return {
        "id": number,
        "id_str": str(number),
        "name": handle.replace("_", " ").title(),
        "screen_name": handle,
        "followers_count": rng.randint(3, 5000),
        "verified": False,
    }


def media(rng: random.Random, names: list[str], kind: str, start: int) -> list[dict[str, Any]]:
    """Media entities; all share one link in the text, from character `start` on."""
    link = f"https://t.co/{short_code(rng, 10)}"
    entities = []
    for name in names:
        number = rng.getrandbits(60)
        entities.append(
            {
                "id": number,
                "id_str": str(number),
                "indices": [start, start + len(link)],
                "media_url": f"http://pbs.twimg.com/media/{name}",
                "media_url_https": f"https://pbs.twimg.com/media/{name}",
                "url": link,
                "display_url": f"pic.twitter.com/{link[-10:]}",
                "type": kind,
            }
        )
    return entities


def entities_in(text: str) -> dict[str, list[dict[str, Any]]]:
    """Hashtags, mentions and links of `text`, with indices in characters."""
    return {
        "hashtags": [{"text": m[1], "indices": [*m.span()]} for m in re.finditer(r"#(\w+)", text)],
        "symbols": [],
        "user_mentions": [{"screen_name": m[1], "indices": [*m.span()]} for m in re.finditer(r"@(\w+)", text)],
        "urls": [
            {"url": m[0], "expanded_url": f"https://example.org/{m[1]}", "indices": [*m.span()]}
            for m in re.finditer(r"https://t\.co/(\w+)", text)
        ],
    }


def status(rng: random.Random, draft: Draft, post_id: int, names: list[str], compat: bool) -> dict[str, Any]:
    """A v1.1 status. compat: in the streaming form, where a long text moves into `extended_tweet`."""
    text = draft.text.replace("&", "&amp;")
    found = entities_in(text)
    pictures = media(rng, names, draft.media_type, len(text) + 1)
    whole = f"{text} {pictures[0]['url']}" if pictures else text
    body: dict[str, Any] = {"display_text_range": [0, len(text)], "entities": found}
    if pictures:
        body["entities"] = {**found, "media": pictures[:1]}
        body["extended_entities"] = {"media": pictures}
    record = _head(rng, draft, post_id)
    if not compat:
        return {**record, "full_text": whole, "truncated": False, **body}
    if len(text) <= COMPAT_LIMIT:
        return {**record, "text": whole, "truncated": False, **body}
    link = f"https://t.co/{short_code(rng, 10)}"
    cut = f"{text[: COMPAT_LIMIT - len(link) - 2].rstrip()}… {link}"
    return {
        **record,
        "text": cut,
        "truncated": True,
        "entities": entities_in(cut),
        "extended_tweet": {"full_text": whole, **body},
    }


def _head(rng: random.Random, draft: Draft, post_id: int) -> dict[str, Any]:
    return {
        "created_at": created_at(post_id),
        "id": post_id,
        "id_str": str(post_id),
        "lang": draft.lang,
        "source": '<a href="https://example.org" rel="nofollow">Twitter for Phones</a>',
        "in_reply_to_status_id": None,
        "user": user(rng),
        "retweet_count": rng.randint(0, 40),
        "favorite_count": rng.randint(0, 300),
        "is_quote_status": False,
    }


def quoting(rng: random.Random, record: dict[str, Any]) -> dict[str, Any]:
    """`record` as a quote of somebody's post, which has a picture and a hashtag of its own."""
    number = record["id"] - rng.getrandbits(40)
    text = f"{rng.choice(_QUOTED)} #showmeyours"
    pictures = media(rng, [f"E{short_code(rng, 14)}.jpg"], "photo", len(text) + 1)
    quoted = {
        "created_at": created_at(number),
        "id": number,
        "id_str": str(number),
        "full_text": f"{text} {pictures[0]['url']}",
        "lang": "en",
        "user": user(rng),
        "entities": {**entities_in(text), "media": pictures},
        "extended_entities": {"media": pictures},
    }
    quote = {"is_quote_status": True, "quoted_status_id": number, "quoted_status_id_str": str(number)}
    return {**record, **quote, "quoted_status": quoted}


def retweet(rng: random.Random, original: dict[str, Any], post_id: int) -> dict[str, Any]:
    """A retweet of the status `original`."""
    body = original.get("extended_tweet", original)
    whole = body["full_text"] if "full_text" in body else body["text"]
    text = f"RT @{original['user']['screen_name']}: {whole}"
    record = {key: value for key, value in original.items() if key not in ("text", "full_text", "extended_tweet")}
    return {
        **record,
        "created_at": created_at(post_id),
        "id": post_id,
        "id_str": str(post_id),
        "user": user(rng),
        "full_text": text,
        "truncated": False,
        "entities": {**entities_in(text), "media": body["entities"].get("media", [])},
        "extended_entities": body.get("extended_entities", {}),
        "retweeted_status": original,
    }


def plain(rng: random.Random, draft: Draft, post_id: int, names: list[str]) -> dict[str, Any]:
    """A plain record: `hashtags` and `lang` only now and then."""
    record: dict[str, Any] = {"id": str(post_id), "text": draft.text, "image": names[0] if names else ""}
    if len(names) > 1:
        record = {"id": str(post_id), "text": draft.text, "images": names}
    if rng.random() < 0.5:
        record["hashtags"] = re.findall(r"#(\w+)", draft.text)
    if draft.lang != "es" and rng.random() < 0.6:  # Spanish has to be recognised
        record["lang"] = draft.lang
    return record
