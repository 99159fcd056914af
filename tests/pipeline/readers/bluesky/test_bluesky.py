"""Bluesky: one post is the same post in the stream, in answers of the API and in the rows of datasets."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv

from m3h.pipeline.readers.bluesky.rich_text import readable
from m3h.pipeline.readers.dumps import DumpFile, read_dump
from m3h.pipeline.readers.record import Part, RecordFault
from m3h.pipeline.text.pii import stored_id
from m3h.schemas.posts import ImageRef, Post
from tests.pipeline.json_records import fault, post, results
from tests.pipeline.readers.bluesky.made import (
    ALT,
    CDN,
    CID,
    DID,
    KEY,
    OTHER,
    TEXT,
    URI,
    Json,
    event,
    facet,
    images,
    picture,
    record,
    view,
)

PICTURE = ImageRef(f"{DID}/{CID}", CDN, ALT)


SHAPES: dict[str, Json] = {
    "a line of Jetstream": event(),
    "a line of the first Jetstream": {
        "did": DID, "time_us": 1725911162329308, "type": "com",
        "commit": {"rev": "3l", "type": "c", "collection": "app.bsky.feed.post", "rkey": KEY, "record": record()},
    },
    "a page of a feed": {"feed": [{"post": view()}], "cursor": "x"},
    "an item of a feed": {"post": view(), "reply": {"root": view(uri=URI.replace(KEY, "3kaaaaaaaaaaa")), "parent": {}}},
    "a page of a search": {"posts": [view()], "hitsTotal": 1},
    "a post": view(),
    "a post without its embed": view(embed=None),
    "a thread": {"thread": {"$type": "app.bsky.feed.defs#threadViewPost", "post": view(), "replies": []}},
    "a page of a repository": {"records": [{"uri": URI, "cid": "bafy", "value": record()}], "cursor": "x"},
    "a row with the record": {"uri": URI, "cid": "bafy", "record": record(), "etype": "images"},
    "a row with the record's fields": {"uri": URI, "author": DID, **{k: v for k, v in record().items() if k[0] != "$"}},
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_one_post_in_every_shape(shape: str) -> None:
    found = post(SHAPES[shape])
    expected = Post(
        stored_id(URI), TEXT, ("lowtide",), (PICTURE,), "en", "2024-11-21T16:09:27.095Z", found.collected_at
    )
    assert found == expected


def test_the_id_names_the_post_and_not_its_author() -> None:
    found = post(event()).post_id
    assert found == stored_id(URI) == stored_id(f"https://bsky.app/profile/{DID}/post/{KEY}")
    assert found.startswith(f"{KEY}-")
    assert DID[8:] not in found
    assert found != post(event(did=OTHER)).post_id
    assert stored_id(found) == found


def test_an_update_is_a_newer_version_and_a_deletion_names_the_post() -> None:
    created, updated = post(event()), post(event("update", record("Anew"), time_us=1732205400000000))
    assert (created.post_id, created.collected_at) == (updated.post_id, "2024-11-21T16:09:27.095000+00:00")
    assert updated.collected_at == "2024-11-21T16:10:00.000000+00:00"
    deleted = fault(event("delete"))
    assert (deleted.reason, deleted.record_id) == ("notice", "")
    assert deleted.parts == (Part("deletion", created.post_id),)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"did": DID, "time_us": 1, "kind": "identity", "identity": {"did": DID, "handle": "a.example.com"}}, "notice"),
        ({"did": DID, "time_us": 1, "kind": "account", "account": {"active": False, "status": "deleted"}}, "notice"),
        (event(commit={"operation": "create", "collection": "app.bsky.feed.like", "rkey": KEY}), "notice"),
        (event("rename"), "bad_field"),
        (event(commit={"operation": "create", "collection": "app.bsky.feed.post"}), "missing_field"),
        ({"feed": [], "cursor": "x"}, "notice"),
        ({"records": [{"uri": URI.replace("post", "like"), "value": {"$type": "app.bsky.feed.like"}}]}, "notice"),
        ({"uri": URI, "notFound": True}, "unavailable"),
        ({"post": {"uri": URI, "blocked": True, "author": {"did": DID}}}, "unavailable"),
        ({"posts": [view(labels=[{"val": "!takedown"}])]}, "withheld"),
        (view(author={"did": DID, "labels": [{"val": "!no-unauthenticated"}]}), "not_public"),
        (view({**record(), "text": 3}), "bad_field"),
        ({"uri": "at://x", "text": "no post"}, "bad_field"),
    ],
)  # fmt: skip
def test_what_is_no_post_leaves_with_a_reason(value: Json, reason: str) -> None:
    assert fault(value).reason == reason


def test_a_fault_knows_its_post() -> None:
    assert fault(view({**record(), "text": 3})).record_id == stored_id(URI)
    assert fault({"uri": URI, "blocked": True}).record_id == stored_id(URI)


def test_hashtags_are_marked_by_bytes_and_hidden_in_tags() -> None:
    text = "😀 #Two_Words and #plain"
    marks = [facet(text, "#plain", "tag", tag="plain"), facet(text, "#Two_Words", "tag", tag="Two_Words")]
    assert post(event(made=record(text, facets=marks, tags=["Hidden", "plain"]))).hashtags == (
        "two_words",
        "plain",
        "hidden",
    )
    assert post(event(made=record(text, facets=[]))).hashtags == ()
    assert post(event(made=record(text, facets=None))).hashtags == ("two_words", "plain")
    mark = facet(text, "#plain", "link", uri="https://example.com/tag")
    assert post(event(made=record(text, facets=[mark]))).hashtags == ()


def test_links_are_written_out_and_accounts_are_not_named() -> None:
    text = "🌊 @anna-b.art saw example.com/a-long…  today"
    marks = [
        facet(text, "@anna-b.art", "mention", did=OTHER),
        facet(text, "example.com/a-long…", "link", uri="https://example.com/a-long-way"),
    ]
    assert readable(text, marks) == "🌊 @someone saw https://example.com/a-long-way  today"
    wrong = [{"index": {"byteStart": 1, "byteEnd": 3}, "features": marks[0]["features"]}]
    assert readable(text, wrong) == text


@given(st.text(), st.lists(st.tuples(st.integers(-2, 40), st.integers(-2, 40)), max_size=4))
def test_no_mark_breaks_a_text(text: str, places: list[tuple[int, int]]) -> None:
    feature = {"$type": "app.bsky.richtext.facet#mention", "did": DID}
    marks = [{"index": {"byteStart": a, "byteEnd": b}, "features": [feature]} for a, b in places]
    readable(text, marks).encode()


def _quoted(uri: str) -> Json:
    return {"$type": "app.bsky.embed.record", "record": {"uri": uri, "cid": "bafy"}}


@pytest.mark.parametrize(
    ("embed", "pictures", "is_quote"),
    [
        (images(picture(), picture(CID.replace("k", "a"))), 2, False),
        ({"$type": "app.bsky.embed.recordWithMedia", "record": _quoted(URI), "media": images(picture())}, 1, True),
        (_quoted(URI), 0, True),
        (_quoted(f"at://{DID}/app.bsky.feed.generator/cats"), 0, False),
        (
            {"$type": "app.bsky.embed.external", "external": {"uri": "https://example.com", "thumb": picture()}},
            0,
            False,
        ),
        ({"$type": "app.bsky.embed.video", "video": picture()["image"]}, 0, False),
        (images({"alt": "", "image": {"cid": CID, "mimeType": "image/jpeg"}}), 1, False),
        (images({"alt": 5, "image": {"ref": "no link"}}), 0, False),
        ("nothing", 0, False),
    ],
)
def test_pictures_and_quotes(embed: Any, pictures: int, is_quote: bool) -> None:
    found = post(event(made=record(embed=embed)))
    assert (len(found.images), found.is_quote) == (pictures, is_quote)
    assert {image.path for image in found.images} <= {f"{DID}/{CID}", f"{DID}/{CID.replace('k', 'a')}"}


def test_a_repost_in_a_feed_is_marked() -> None:
    by = {"$type": "app.bsky.feed.defs#reasonRepost", "by": {"did": OTHER}, "indexedAt": "2024-11-22T00:00:00Z"}
    assert post({"feed": [{"post": view(), "reason": by}]}).is_repost
    assert not post({"feed": [{"post": view(), "reason": {"$type": "app.bsky.feed.defs#reasonPin"}}]}).is_repost
    assert not post({"post": view(record(reply={"root": {}, "parent": {}}))}).is_repost


@pytest.mark.parametrize(("langs", "lang"), [(["de"], "de"), (["en", "de"], None), ([], None), ("en", None)])
def test_one_stated_language_counts(langs: object, lang: str | None) -> None:
    assert post(event(made=record(langs=langs))).lang == lang


def test_labels_mark_sensitive_pictures() -> None:
    own = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "nudity"}]}
    assert post(event(made=record(labels=own))).sensitive
    assert post(view(labels=[{"val": "graphic-media", "src": OTHER}])).sensitive
    assert not post(view(labels=[{"val": "porn", "neg": True}, {"val": "spam"}])).sensitive
    assert not post(event()).sensitive
    assert post({"uri": URI, "record": record(), "label": "graphic-media", "neg": ""}).sensitive


def test_a_thread_holds_all_its_posts() -> None:
    def at(key: str, **more: Any) -> Json:
        return {"post": view(uri=URI.replace(KEY, key)), **more}

    before = at("3kbbbbbbbbbbb", parent=at("3kaaaaaaaaaaa"))
    after = [at("3kddddddddddd", replies=[{"uri": URI, "notFound": True}]), at("3keeeeeeeeeee")]
    thread = at("3kccccccccccc", parent=before, replies=after)
    found = results({"thread": thread})
    ids = [item.post_id if isinstance(item, Post) else item.record_id for item in found]
    assert "".join(one[2] for one in ids) == "abcdxe"
    assert isinstance(found[4], RecordFault)


def test_a_row_of_a_dataset_without_pictures_says_that_there_was_one() -> None:
    row = {
        "uri": URI,
        "text": TEXT,
        "created_at": "2024-11-27 07:53:47.202000+00:00",
        "has_images": True,
        "reply_to": None,
    }
    found = post(row)
    assert (found.images, found.created_at) == ((ImageRef(f"{DID}/{KEY}"),), row["created_at"])
    assert post({**row, "has_images": False}).images == ()


TABLE = {
    "text": [TEXT, "The second one"],
    "created_at": ["2024-11-27T07:53:47+00:00"] * 2,
    "author": [DID] * 2,
    "uri": [URI, URI.replace(KEY, "3kxyz2abcde3g")],
    "has_images": [True, False],
    "langs": [["en"], ["de"]],
}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_table_of_rows_is_told_by_its_addresses(tmp_path: Path, kind: str) -> None:
    path, table = tmp_path / "posts.bin", pa.table(TABLE)
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        csv.write_csv(table.set_column(5, "langs", [["['en']", "['de']"]]), path)
    first, second = read_dump(DumpFile("posts", str(path)))
    assert isinstance(first, Post)
    assert isinstance(second, Post)
    assert (first.post_id, first.text, first.hashtags, first.lang) == (stored_id(URI), TEXT, ("lowtide",), "en")
    assert (len(first.images), len(second.images), second.position) == (1, 0, 2)


def test_a_table_with_an_id_and_an_address_stays_a_plain_one(tmp_path: Path) -> None:
    path = tmp_path / "posts.bin"
    pq.write_table(pa.table({"id": ["7"], "text": [TEXT], "uri": ["https://example.com"], "image": ["a.jpg"]}), path)
    (found,) = read_dump(DumpFile("posts", str(path)))
    assert isinstance(found, Post)
    assert (found.post_id, found.images) == ("7", (ImageRef("a.jpg"),))
