"""Posts of Bluesky and Mastodon about the sample's topics, written as the networks' APIs answer, with drawn pictures.

The pictures lie where a web server for the folder `pictures` finds them by the posts' URLs.
"""

import base64
import datetime
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3h.sample.drafts import Draft, Writer
from m3h.sample.draw import stream
from m3h.sample.plan import TOPICS
from m3h.sample.texts import HANDLES

SEED = 2026
POSTS_PER_TOPIC = 12
"""Of each network: 216 posts about the 18 topics."""
DELETED, PRIVATE, BOOSTS = 5, 6, 4
BLUESKY, STREAM, MASTODON, PICTURES = "bluesky_feed.jsonl", "bluesky_stream.jsonl", "mastodon.jsonl", "pictures"
_START = datetime.datetime(2024, 11, 21, tzinfo=datetime.timezone.utc)
_BASE32 = "234567abcdefghijklmnopqrstuvwxyz"
_PAGE = 30
Json = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A post on its way to a dump. text: with hashtags. alt: what its author says that the picture shows, or ""."""

    draft: Draft
    number: int
    alt: str

    @property
    def text(self) -> str:
        """With hashtags."""
        return self.draft.text

    @property
    def picture(self) -> bytes:
        """A JPEG."""
        return self.draft.pictures[0] or b""

    @property
    def moment(self) -> datetime.datetime:
        """When it was written."""
        return _START + datetime.timedelta(minutes=37 * self.number)

    @property
    def hashtags(self) -> list[str]:
        """As the text writes them, without `#`."""
        return [word.lstrip("#").rstrip(".,!?") for word in self.text.split() if word.startswith("#")]


def sent_posts(seed: int = SEED) -> Iterator[Sent]:
    """The posts of both networks in turn: even numbers are Bluesky's, odd ones Mastodon's."""
    writer = Writer(seed)
    for number in range(2 * POSTS_PER_TOPIC * len(TOPICS)):
        topic = TOPICS[number // 2 % len(TOPICS)]
        draft = writer.draft(topic, number)
        shown = f"A picture of {' '.join(topic.words)}, taken by hand." if topic.family == "picture" else ""
        yield Sent(draft, number, shown)


def _encoded(number: int, digits: int) -> str:
    return "".join(_BASE32[number >> 5 * place & 31] for place in reversed(range(digits)))


def _did(rng: random.Random) -> str:
    return "did:plc:" + "".join(rng.choices("234567abcdefghijklmnopqrstuvwxyz", k=24))


def _key(post: Sent) -> str:
    """A timestamp as the AT protocol writes it."""
    return _encoded(int(post.moment.timestamp() * 1e6) << 10 | post.number % 1024, 13)


def _written(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cid(picture: bytes) -> str:
    """The content identifier of a picture."""
    raw = b"\x01\x55\x12\x20" + hashlib.sha256(picture).digest()
    return "b" + base64.b32encode(raw).decode().lower().rstrip("=")


def _facets(post: Sent) -> Iterator[Json]:
    for tag in post.hashtags:
        start = len(post.text.partition(f"#{tag}")[0].encode())
        place = {"byteStart": start, "byteEnd": start + len(tag) + 1}
        yield {"index": place, "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": tag}]}


def bluesky_item(post: Sent, server: str, seed: int = SEED) -> tuple[Json, str]:
    """An item of a feed, and the path of its picture at the server."""
    rng = stream(seed, "bluesky", post.number)
    did, cid = _did(rng), _cid(post.picture)
    path = f"img/feed_fullsize/plain/{did}/{cid}@jpeg"
    blob = {"$type": "blob", "ref": {"$link": cid}, "mimeType": "image/jpeg", "size": len(post.picture)}
    shown = {
        "thumb": f"{server}/{path.replace('fullsize', 'thumbnail')}",
        "fullsize": f"{server}/{path}",
        "alt": post.alt,
    }
    record = {
        "$type": "app.bsky.feed.post", "text": post.text, "createdAt": _written(post.moment), "langs": ["en"],
        "facets": list(_facets(post)),
        "embed": {"$type": "app.bsky.embed.images", "images": [{"alt": post.alt, "image": blob}]},
    }  # fmt: skip
    view = {
        "uri": f"at://{did}/app.bsky.feed.post/{_key(post)}", "cid": _cid(post.text.encode()),
        "author": {"did": did, "handle": f"{rng.choice(HANDLES).replace('_', '-')}.example.com", "labels": []},
        "record": record, "embed": {"$type": "app.bsky.embed.images#view", "images": [shown]},
        "likeCount": rng.randint(0, 40), "indexedAt": _written(post.moment), "labels": [],
    }  # fmt: skip
    return {"post": view}, path


def _event(item: Json, kind: str, number: int) -> Json:
    did, _, key = item["post"]["uri"].removeprefix("at://").split("/")
    time = int(_START.timestamp() * 1e6) + number
    if kind == "account":
        return {"did": did, "time_us": time, "kind": kind, "account": {"active": True, "did": did, "seq": number}}
    commit = {"rev": key, "operation": "delete", "collection": "app.bsky.feed.post", "rkey": key}
    return {"did": did, "time_us": time, "kind": "commit", "commit": commit}


def mastodon_status(post: Sent, server: str, seed: int = SEED) -> tuple[Json, str]:
    """A status, and the path of its picture at the server."""
    rng = stream(seed, "mastodon", post.number)
    number, name = int(post.moment.timestamp() * 1000) << 16, rng.choice(HANDLES)
    path = f"media_attachments/files/{number}/original/{hashlib.sha256(post.picture).hexdigest()[:16]}.jpg"
    home = "https://town.example"
    text = post.text
    for tag in post.hashtags:
        link = f'<a href="{home}/tags/{tag}" class="mention hashtag" rel="tag">#<span>{tag}</span></a>'
        text = text.replace(f"#{tag}", link, 1)
    medium = {"id": str(number), "type": "image", "url": f"{server}/{path}", "remote_url": None}
    status = {
        "id": str(number), "created_at": _written(post.moment), "sensitive": False, "spoiler_text": "",
        "visibility": "public", "language": "en", "uri": f"{home}/users/{name}/statuses/{number}",
        "url": f"{home}/@{name}/{number}", "edited_at": None, "content": f"<p>{text}</p>", "reblog": None,
        "account": {"id": str(rng.randint(1, 999)), "username": name, "acct": name},
        "media_attachments": [{**medium, "description": post.alt or None}], "mentions": [],
        "tags": [{"name": tag.lower(), "url": f"{home}/tags/{tag.lower()}"} for tag in post.hashtags], "poll": None,
    }  # fmt: skip
    return status, path


def make(out: Path, server: str, seed: int = SEED) -> Json:
    """Write both networks' dumps and the pictures. Returns what must become of the records.

    Args:
        out: the folder to write into.
        server: the address of the web server that will serve the folder `pictures`.
        seed: of everything.
    """
    items, statuses = [], []
    for post in sent_posts(seed):
        made, path = (mastodon_status if post.number % 2 else bluesky_item)(post, server, seed)
        (statuses if post.number % 2 else items).append(made)
        file = out / PICTURES / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(post.picture)
    pages = [{"feed": items[i : i + _PAGE], "cursor": str(i)} for i in range(0, len(items), _PAGE)]
    events = [_event(item, "delete", i) for i, item in enumerate(items[:: len(items) // DELETED][:DELETED])]
    events += [_event(items[0], "account", len(events))]
    private = [{**status, "visibility": "private"} for status in statuses[:PRIVATE]]
    boosts = [_boost(status, i) for i, status in enumerate(statuses[-BOOSTS:])]
    _write(out / BLUESKY, pages)
    _write(out / STREAM, events)
    _write(out / MASTODON, [*private, *statuses[PRIVATE:], *boosts])
    dropped = {"deleted": DELETED, "not_public": PRIVATE, "retweet": BOOSTS, "notice": len(events)}
    return {"read": len(items) + len(events) + len(statuses) + len(boosts), "dropped": dropped}


def _boost(status: Json, number: int) -> Json:
    post_id = str(int(status["id"]) + 1 + number)
    uri = f"https://city.example/users/reader/statuses/{post_id}/activity"
    return {**status, "id": post_id, "uri": uri, "content": "", "media_attachments": [], "tags": [], "reblog": status}


def _write(path: Path, records: list[Json]) -> None:
    path.write_text("".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records), encoding="utf-8")
