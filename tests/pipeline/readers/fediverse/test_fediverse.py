"""Mastodon and ActivityPub: one post is the same post as a status and as a note; only what all may read is a post."""

import json
from pathlib import Path

import pytest

from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.pipeline.readers.record import Part
from m3h.pipeline.rules import ReadRules
from m3h.pipeline.text.pii import stored_id
from m3h.schemas.posts import Dropped, ImageRef, Post
from tests.pipeline.json_records import fault, post
from tests.pipeline.readers.fediverse.made import (
    ALT,
    HTML,
    NUMBER,
    PHOTO,
    PUBLIC,
    SERVER,
    TEXT,
    URI,
    Json,
    activity,
    medium,
    note,
    outbox,
    status,
)

STATUSES: dict[str, object] = {
    "a status": status(),
    "a list": [status()],
    "a search": {"accounts": [], "statuses": [status()], "hashtags": []},
    "the posts around a post": {"ancestors": [], "descendants": [status()]},
    "an event of the stream": {"stream": ["public"], "event": "update", "payload": json.dumps(status())},
    "an edit in the stream": {"event": "status.update", "payload": status()},
}
NOTES: dict[str, object] = {
    "an activity": activity(),
    "an edit": activity("Update"),
    "a note": note(),
    "an outbox": outbox(activity()),
    "a page of one": {"type": "OrderedCollectionPage", "orderedItems": [activity()]},
    "an outbox with its first page": {"type": "OrderedCollection", "id": SERVER, "first": outbox(activity())},
}


@pytest.mark.parametrize("shape", STATUSES)
def test_a_status_in_every_shape(shape: str) -> None:
    picture = ImageRef(url=PHOTO, alt=ALT)
    assert post(STATUSES[shape]) == Post(
        stored_id(URI), TEXT, ("lowtide",), (picture,), "en", "2024-11-21T16:09:27.095Z"
    )


@pytest.mark.parametrize("shape", NOTES)
def test_a_note_in_every_shape(shape: str) -> None:
    picture = ImageRef("media_attachments/files/1/original/a.jpg", alt=ALT)
    assert post(NOTES[shape]) == Post(stored_id(URI), TEXT, ("lowtide",), (picture,), "en", "2024-11-21T16:09:27Z")


def test_the_id_names_the_post_and_its_server_but_not_its_author() -> None:
    found = post(status()).post_id
    assert found == stored_id(f"{SERVER}/@harbour_fan/{NUMBER}")
    assert found.startswith(f"{NUMBER}-")
    assert found != post(status(uri=URI.replace("town", "city"))).post_id
    assert post(status(uri="https://note.example/notes/9abc")).post_id == "https://note.example/notes/9abc"
    assert post(status(uri=None)).post_id == NUMBER


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (status(visibility="private"), "not_public"),
        (status(visibility="direct"), "not_public"),
        (activity("Create", note(to=[f"{SERVER}/users/x/followers"], cc=[]), to=[], cc=[]), "not_public"),
        (note(to=f"{SERVER}/users/y", cc=None), "not_public"),
        (note(directMessage=True), "not_public"),
        (activity("Announce", f"{SERVER}/users/y/statuses/2"), "notice"),
        (activity("Like", URI), "notice"),
        (activity("Undo", activity("Announce", URI)), "notice"),
        (activity("Create", note(type="Article")), "notice"),
        (outbox(), "notice"),
        ({"event": "delete", "payload": NUMBER}, "notice"),
        ({"event": "notification", "payload": "{broken"}, "notice"),
        ({"type": "Tombstone", "id": URI}, "unavailable"),
        (status(content=5), "bad_field"),
        ({"type": "Note", "id": URI}, "missing_field"),
    ],
)
def test_what_is_no_public_post_leaves_with_a_reason(value: object, reason: str) -> None:
    assert fault(value).reason == reason


def test_what_an_archive_says_of_its_owner_is_not_kept() -> None:
    owner = f"{SERVER}/users/harbour_fan"
    likes = {"type": "OrderedCollection", "id": "likes.json", "orderedItems": [f"{SERVER}/users/y/statuses/2"]}
    person = {"type": "Person", "id": owner, "name": "Someone"}
    like = activity("Like", URI, id=f"{owner}#likes/1")
    for record in (person, likes, like, activity("Follow", owner, id=f"{owner}#follows/1")):
        assert (fault(record).reason, fault(record).record_id) == ("notice", "")


def test_a_fault_knows_its_post() -> None:
    for broken in (status(visibility="direct"), note(to=[], cc=[]), activity("Create", note(to=[], cc=[]), to=[])):
        assert fault(broken).record_id == stored_id(URI)


@pytest.mark.parametrize("deleted", [URI, {"type": "Tombstone", "id": URI}, {"id": URI}])
def test_a_deletion_names_the_post(deleted: object) -> None:
    assert fault(activity("Delete", deleted)).parts == (Part("deletion", post(status()).post_id),)
    assert fault({"type": "Tombstone", "id": URI}).parts == (Part("deletion", post(status()).post_id),)
    assert fault(activity("Delete", f"{SERVER}/users/harbour_fan")).parts == ()


def test_unlisted_posts_are_public() -> None:
    assert post(status(visibility="unlisted")).text == TEXT
    assert post(note(to=[f"{SERVER}/users/x/followers"], cc=PUBLIC)).text == TEXT
    assert post(note(to=["as:Public"])).text == TEXT


def test_a_boost_is_a_repost_with_an_id_of_its_own() -> None:
    boost = post(
        status(id="2", uri=URI.replace(NUMBER, "2/activity"), content="", media_attachments=[], reblog=status())
    )
    assert (boost.is_repost, boost.text, len(boost.images)) == (True, TEXT, 1)
    assert boost.post_id == stored_id(URI.replace(NUMBER, "2"))
    announced = post(activity("Announce", note(), id=URI.replace(NUMBER, "2/activity")))
    assert (announced.is_repost, announced.post_id) == (True, boost.post_id)
    assert not post(status(in_reply_to_id="5")).is_repost


def test_an_edit_is_newer() -> None:
    assert post(status(edited_at="2024-11-22T00:00:00.000Z")).collected_at == "2024-11-22T00:00:00.000Z"
    assert post(note(updated="2024-11-22T00:00:00Z")).collected_at == "2024-11-22T00:00:00Z"


def test_the_content_warning_is_part_of_the_text() -> None:
    assert post(status(spoiler_text="tide tables,\nlong", sensitive=True)).text == f"tide tables, long\n{TEXT}"
    assert post(status(sensitive=True)).sensitive
    assert post(note(summary="tide tables", sensitive=True)).text == f"tide tables\n{TEXT}"
    assert post(note(sensitive=True)).sensitive
    assert not post(note()).sensitive


def test_only_pictures_are_pictures() -> None:
    others = [medium(kind) for kind in ("gifv", "video", "audio", "unknown")]
    assert len(post(status(media_attachments=[*others, medium(), medium(url=None, remote_url=PHOTO)])).images) == 2
    sound = {"type": "Document", "mediaType": "audio/mpeg", "url": "/a.mp3"}
    far = {"type": "Image", "url": [{"type": "Link", "href": PHOTO}], "name": None}
    assert post(note(attachment=[sound, far])).images == (ImageRef(url=PHOTO),)
    assert post(note(attachment={"mediaType": "image/png", "url": "/b.png"})).images == (ImageRef("b.png"),)


def test_hashtags_and_languages() -> None:
    assert post(status(tags=[])).hashtags == ()
    assert post(status(tags=None)).hashtags == ("lowtide",)
    assert post(note(tag={"type": "Hashtag", "name": "#One"})).hashtags == ("one",)
    assert post(note(contentMap={"en": HTML, "de": HTML})).lang is None
    assert post(note(content=None, contentMap={"de": HTML})).lang == "de"
    assert post(status(language=None)).lang is None


@pytest.mark.parametrize("field", ["quote", "quoteUri", "_misskey_quote"])
def test_quotes_are_marked(field: str) -> None:
    assert post(note(**{field: f"{SERVER}/users/y/statuses/2"})).is_quote
    assert post(status(quote={"state": "accepted", "quoted_status": status()})).is_quote
    assert not post(status(quote=None)).is_quote


def _read(path: Path, text: str, **rules: int) -> list[Post | Dropped]:
    path.write_text(text, encoding="utf-8")
    return list(read_dump(DumpFile("outbox.json", str(path)), ReadRules(**rules)))


def _many(count: int) -> Json:
    return outbox(*(activity(about=note(id=URI.replace(NUMBER, str(i)))) for i in range(1, count + 1)))


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_an_outbox_of_any_size_is_cut_at_its_activities(tmp_path: Path, separators: tuple[str, str]) -> None:
    text = json.dumps(_many(50), separators=separators)
    found = _read(tmp_path / "outbox.json", text, max_line_bytes=2000)
    assert [type(record) for record in found] == [Post] * 50
    assert [record.position for record in found] == list(range(1, 51))
    raw = json.loads(
        raw_record(DumpFile("outbox.json", str(tmp_path / "outbox.json")), 7, ReadRules(max_line_bytes=2000))
    )
    assert raw["object"]["id"] == URI.replace(NUMBER, "7")


def test_an_outbox_may_have_fields_after_its_list_and_lines_after_it(tmp_path: Path) -> None:
    first = json.dumps({**_many(2), "next": f"{SERVER}/outbox?page=2"})
    found = _read(tmp_path / "outbox.json", f"{first}\n{json.dumps(status())}\n")
    assert [type(record) for record in found] == [Post] * 3
    broken = _read(tmp_path / "outbox.json", f"{first[:-1]} and more\n")
    assert [record.reason for record in broken if isinstance(record, Dropped)] == ["not_json"]


def test_a_written_out_outbox_is_one_page(tmp_path: Path) -> None:
    assert len(_read(tmp_path / "outbox.json", json.dumps(_many(5), indent=2))) == 5
