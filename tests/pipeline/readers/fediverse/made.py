"""Statuses and activities as Mastodon writes them; names, texts and pictures are invented."""

from typing import Any

SERVER = "https://town.example"
NUMBER = "113500000000000001"
URI = f"{SERVER}/users/harbour_fan/statuses/{NUMBER}"
TEXT = "Boats in the old harbour #LowTide"
ALT = "Three boats lie on the sand."
TAG = f'<a href="{SERVER}/tags/LowTide" class="mention hashtag" rel="tag">#<span>LowTide</span></a>'
HTML = f"<p>Boats in the old harbour {TAG}</p>"
PHOTO = "https://files.town.example/media_attachments/files/1/original/a.jpg"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"

Json = dict[str, Any]


def medium(kind: str = "image", **fields: Any) -> Json:
    """An attachment of a status."""
    return {"id": "1", "type": kind, "url": PHOTO, "remote_url": None, "description": ALT, **fields}


def status(**fields: Any) -> Json:
    """A public status with one picture and one hashtag."""
    account = {"id": "1", "username": "harbour_fan", "acct": "harbour_fan"}
    return {
        "id": NUMBER, "created_at": "2024-11-21T16:09:27.095Z", "sensitive": False, "spoiler_text": "",
        "visibility": "public", "language": "en", "uri": URI, "url": f"{SERVER}/@harbour_fan/{NUMBER}",
        "edited_at": None, "content": HTML, "reblog": None, "account": account, "media_attachments": [medium()],
        "mentions": [], "tags": [{"name": "lowtide", "url": f"{SERVER}/tags/lowtide"}], "poll": None, **fields,
    }  # fmt: skip


def note(**fields: Any) -> Json:
    """The same post as an archive has it."""
    document = {"type": "Document", "mediaType": "image/jpeg", "name": ALT}
    return {
        "id": URI, "type": "Note", "summary": None, "published": "2024-11-21T16:09:27Z", "attributedTo": SERVER,
        "to": [PUBLIC], "cc": [f"{SERVER}/users/harbour_fan/followers"], "sensitive": False, "content": HTML,
        "contentMap": {"en": HTML}, "attachment": [{**document, "url": "/media_attachments/files/1/original/a.jpg"}],
        "tag": [{"type": "Hashtag", "name": "#lowtide"}, {"type": "Mention", "name": "@x@city.example"}], **fields,
    }  # fmt: skip


def activity(kind: str = "Create", about: object = None, **fields: Any) -> Json:
    """An activity of the account about the note."""
    actor = f"{SERVER}/users/harbour_fan"
    about = note() if about is None else about
    return {"id": f"{URI}/activity", "type": kind, "actor": actor, "to": [PUBLIC], "cc": [], "object": about, **fields}


def outbox(*activities: Json) -> Json:
    """The `outbox.json` of an archive."""
    head = {"@context": "https://www.w3.org/ns/activitystreams", "id": "outbox.json", "type": "OrderedCollection"}
    return {**head, "totalItems": len(activities), "orderedItems": list(activities)}
