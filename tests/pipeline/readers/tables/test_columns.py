"""Columns as the tools name them, and what their cells hold."""

import datetime
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from m3h.pipeline.readers.formats import read_records
from m3h.pipeline.rules import ReadRules
from m3h.schemas.posts import Dropped, ImageRef, Post
from tests.pipeline.readers.tables.made import PHOTO, delimited, file, posts, raw, read

TEXT = "a long walk #Tide"
FIRST, SECOND = "https://x/a.jpg", "https://x/b.jpg"


def row(folder: Path, **cells: str) -> Post:
    delimited(",")(folder / "dump", tuple(cells), [tuple(cells.values())])
    (found,) = posts(folder / "dump")
    (again,) = read_records(raw(folder / "dump", 1))
    assert again == found.having(source="", position=0)
    return found


def parquet(folder: Path, **columns: Any) -> list[Post]:
    pq.write_table(pa.table(columns), folder / "dump")
    return posts(folder / "dump")


def test_gazouilloire_and_minet(tmp_path: Path) -> None:
    found = row(
        tmp_path, id="1", timestamp_utc="1546509600", local_time="2019-01-03T11:00:00", text=TEXT, lang="en",
        url="https://twitter.com/a_person/status/1", media_urls=f"{FIRST}|https://x/b.mp4", media_files="a.jpg|b.mp4",
        media_types="photo|video", media_alt_texts="the sea|", hashtags="tide|sea", collection_time="2019-01-04",
    )  # fmt: skip
    assert found == Post(
        "1", TEXT, ("tide", "sea"), (ImageRef("a.jpg", FIRST, "the sea"),), "en",
        created_at="2019-01-03T10:00:00+00:00", collected_at="2019-01-04", source="detected:dump", position=1,
    )  # fmt: skip


def test_a_single_video_of_minet_is_no_picture(tmp_path: Path) -> None:
    assert row(tmp_path, id="1", text=TEXT, media_urls="https://x/b.mp4", media_types="video").images == ()


def test_dmi_tcat(tmp_path: Path) -> None:
    found = row(
        tmp_path, id="1", time="1546509600", created_at="2019-01-03 10:00:00", from_user_name="a_person", text=TEXT,
        lang="en", source="web", hashtags="", media_urls=f"{FIRST}|{SECOND}",
    )  # fmt: skip
    assert (found.created_at, found.hashtags) == ("2019-01-03 10:00:00", ("tide",))
    assert found.images == (ImageRef(url=FIRST), ImageRef(url=SECOND))


def test_snscrape_in_a_data_frame(tmp_path: Path) -> None:
    media = f"[Photo(previewUrl='https://x/small', fullUrl='{FIRST}', altText=None)]"
    cells = {"": "0", "Datetime": "2022-01-01 10:00:00+00:00", "Tweet Id": "1", "Text": TEXT, "Hashtags": "['Tide']"}
    found = row(tmp_path, **cells, Url="https://twitter.com/a_person/status/1", media=media)
    assert (found.post_id, found.created_at) == ("1", "2022-01-01 10:00:00+00:00")
    assert (found.hashtags, found.images) == (("tide",), (ImageRef(url=FIRST),))


def test_rtweet(tmp_path: Path) -> None:
    found = row(
        tmp_path, user_id="x99999", status_id="x1083587784462443001", text=TEXT, hashtags="Tide sea", media_url=FIRST
    )
    assert (found.post_id, found.hashtags) == ("1083587784462443001", ("tide", "sea"))
    assert found.images == (ImageRef(url=FIRST),)


def test_twint_has_the_reader_of_its_json(tmp_path: Path) -> None:
    found = row(
        tmp_path, id="1", conversation_id="1", created_at="2019-01-03 10:00:00 CET", date="2019-01-03", time="10:00:00",
        timezone="+0100", username="a_person", tweet=f"{TEXT} pic.twitter.com/abc", photos=f"['{FIRST}']",
        language="en", hashtags="['tide']", retweet="False",
    )  # fmt: skip
    assert (found.text, found.created_at) == (TEXT, "2019-01-03T10:00:00+01:00")
    assert (found.images, found.is_repost) == ((ImageRef(url=FIRST),), False)


MEDIA = [{"media_key": "3_1", "type": "photo", "url": PHOTO}]


def twarc(folder: Path, **cells: str) -> Post:
    usual = {
        **{"id": "1", "author_id": "2", "created_at": "2019-09-06T20:38:01.000Z", "text": TEXT, "lang": "en"},
        **{"public_metrics.like_count": "3", "entities.hashtags": '[{"start": 12, "end": 17, "tag": "Tide"}]'},
        **{"attachments.media": json.dumps(MEDIA), "attachments.media_keys": '["3_1"]', "author.username": "a_person"},
        **{"referenced_tweets.quoted.id": "", "__twarc.retrieved_at": "2020-01-01T00:00:00Z"},
    }
    return row(folder, **{**usual, **cells})


def test_twarc_csv_is_the_tweet_of_the_api(tmp_path: Path) -> None:
    assert twarc(tmp_path) == Post(
        "1", TEXT, ("tide",), (ImageRef(url=PHOTO),), "en", created_at="2019-09-06T20:38:01.000Z",
        collected_at="2020-01-01T00:00:00Z", source="detected:dump", position=1,
    )  # fmt: skip


def test_twarc_csv_escapes_texts_shortens_hashtags_and_renames_references(tmp_path: Path) -> None:
    found = twarc(tmp_path, **{"text": '"caf\\u00e9 \\n #Tide"', "entities.hashtags": '["#Tide"]'})
    assert (found.text, found.hashtags) == ("café \n #Tide", ("tide",))
    assert twarc(tmp_path, text="one\\ntwo").text == "one\ntwo"
    assert twarc(tmp_path, **{"referenced_tweets.quoted.id": "7"}).is_quote
    assert twarc(tmp_path, **{"referenced_tweets.retweeted.id": "7"}).is_repost


def test_a_withheld_tweet_of_twarc_csv_is_withheld(tmp_path: Path) -> None:
    names = ("id", "text", "author_id", "withheld.country_codes", "withheld.copyright")
    delimited(",")(tmp_path / "dump", names, [("1", "a", "2", '["DE"]', "False"), ("2", "b", "2", "", "False")])
    first, second = read(tmp_path / "dump")
    assert isinstance(first, Dropped)
    assert first.reason == "withheld"
    assert isinstance(second, Post)


def test_tweets_of_the_first_api_that_pandas_flattened(tmp_path: Path) -> None:
    marks = "[{'text': 'Tide', 'indices': [12, 17]}]"
    media = f"[{{'type': 'photo', 'url': 'https://t.co/a', 'media_url_https': '{PHOTO}', 'ext': None}}]"
    cells = {
        "id_str": "1",
        "text": f"{TEXT} https://t.co/a",
        "user.screen_name": "a_person",
        "is_quote_status": "False",
    }
    found = row(tmp_path, **cells, **{"entities.hashtags": marks, "entities.media": media})
    assert (found.text, found.hashtags, found.is_quote) == (TEXT, ("tide",), False)
    assert found.images == (ImageRef(url=PHOTO),)


def test_nested_columns_are_tweets_too(tmp_path: Path) -> None:
    status = {"text": TEXT, "id_str": "1", "user": {"screen_name": "a"}, "entities": {"hashtags": [{"text": "Tide"}]}}
    pq.write_table(pa.Table.from_pylist([status]), tmp_path / "dump")
    (found,) = posts(tmp_path / "dump")
    assert (found.post_id, found.hashtags) == ("1", ("tide",))
    assert read_records(raw(tmp_path / "dump", 1)) == [found.having(source="", position=0)]


def test_pictures_of_hugging_face_lie_in_the_table(tmp_path: Path) -> None:
    cells = [{"bytes": b"\xff\xd8\xff", "path": "a.jpg"}, {"bytes": None, "path": "b.jpg"}, None]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    found = parquet(tmp_path, id=["1", "2", "3"], text=[TEXT] * 3, image=pa.array(cells, kind))
    assert [[(image.path, image.content) for image in post.images] for post in found] == [
        [("a.jpg", b"\xff\xd8\xff")], [("b.jpg", b"")], [],
    ]  # fmt: skip
    (again,) = read_records(raw(tmp_path / "dump", 1))
    assert isinstance(again, Post)
    assert again.images[0].content == b"\xff\xd8\xff"


def test_values_of_parquet_are_what_they_mean(tmp_path: Path) -> None:
    moment = datetime.datetime(2019, 1, 3, 10, tzinfo=datetime.timezone.utc)
    found = parquet(
        tmp_path,
        id=pa.array([Decimal("1083587784462443001"), Decimal(2)], pa.decimal128(20, 0)),
        text=pa.array([TEXT, "b"]).dictionary_encode(),
        created_at=pa.array([moment, None], pa.timestamp("ns", "Europe/Berlin")),
        lang=pa.array([float("nan"), None]),
        hashtags=[["Tide"], None],
        photos=[[FIRST, SECOND], []],
    )
    assert [post.post_id for post in found] == ["1083587784462443001", "2"]
    assert [post.created_at for post in found] == ["2019-01-03T10:00:00+00:00", ""]
    assert [post.hashtags for post in found] == [("tide",), ()]
    assert [len(post.images) for post in found] == [2, 0]
    assert [(post.text, post.lang, post.unread) for post in found] == [(TEXT, None, ()), ("b", None, ())]


def test_texts_that_are_not_marked_as_such_are_texts(tmp_path: Path) -> None:
    picture = b"\xff\xd8 and more"
    (found,) = parquet(tmp_path, id=[b"7"], text=[TEXT.encode()], jpg=[picture])
    assert (found.post_id, found.text, found.images[0].content) == ("7", TEXT, picture)
    assert json.loads(raw(tmp_path / "dump", 1))["text"] == TEXT


@pytest.mark.parametrize("page", ["@someone/113500", "users/someone/statuses/113500"])
def test_the_page_of_a_post_of_mastodon_is_no_picture(tmp_path: Path, page: str) -> None:
    assert row(tmp_path, id="113500", text=TEXT, url=f"https://m.example/{page}").images == ()
    assert row(tmp_path, id="113500", text=TEXT, url=f"https://m.example/{page}.jpg").images


def test_ids_that_became_decimal_numbers_are_refused_row_by_row(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"id": [1.78063854572555e18, None], "id_str": [None, "7"], "text": ["a", "b"]}), tmp_path / "dump"
    )
    first, second = read(tmp_path / "dump")
    assert isinstance(first, Dropped)
    assert (first.reason, first.position) == ("bad_field", 1)
    assert isinstance(second, Post)
    assert second.post_id == "7"


@pytest.mark.parametrize(
    "number", ["1.78e+18", "1.78E18", "1,78E+18", "1,78063854572555E+18", "2e+18", "178,0", "178."]
)
def test_decimal_numbers_in_cells_are_no_ids(tmp_path: Path, number: str) -> None:
    delimited(";")(tmp_path / "dump", ("id", "text"), [(number, TEXT), ("7e10", TEXT)])
    first, second = read(tmp_path / "dump")
    assert isinstance(first, Dropped)
    assert (first.reason, first.position) == ("bad_field", 1)
    assert isinstance(second, Post)


@pytest.mark.parametrize("written", ["x1065912", "'1065912", '="1065912"'])
def test_what_keeps_an_id_from_becoming_a_number_is_no_part_of_it(tmp_path: Path, written: str) -> None:
    assert row(tmp_path, id=written, text=TEXT).post_id == "1065912"


def test_text_of_parquet_that_is_not_utf8_costs_its_row(tmp_path: Path) -> None:
    broken = pa.array([b"a", b"\xe9", b"c"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": ["1", "2", "3"], "text": broken}), tmp_path / "dump")
    found = read(tmp_path / "dump")
    assert [getattr(record, "reason", "post") for record in found] == ["post", "not_utf8", "post"]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_columns_of_one_name_are_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    table = pa.Table.from_arrays([pa.array(["1"])] * 3, names=["id", "text", "text"])
    if kind == "parquet":
        pq.write_table(table, tmp_path / "dump")
    else:
        with pa.ipc.new_file(str(tmp_path / "dump"), table.schema) as out:
            out.write_table(table)
    (found,) = read(tmp_path / "dump")
    assert isinstance(found, Dropped)
    assert (found.reason, found.detail[:30]) == ("unreadable_file", "several columns are named text")


def database(folder: Path, *statements: str) -> Path:
    path = folder / "posts.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


POSTS = "CREATE TABLE tweets (id, text, lang)"


def test_one_table_of_a_database_is_that_of_the_posts(tmp_path: Path) -> None:
    users = "CREATE TABLE users (id, name)"
    path = database(
        tmp_path,
        users,
        POSTS,
        "INSERT INTO tweets VALUES (2, 'b', 'en'), (1, 'a', NULL)",
        "CREATE INDEX i ON tweets (id)",
    )
    assert [(post.post_id, post.text, post.lang) for post in posts(path)] == [("2", "b", "en"), ("1", "a", None)]


def test_of_several_tables_one_is_named(tmp_path: Path) -> None:
    path = database(tmp_path, POSTS, "CREATE TABLE old_tweets (id, text)", "INSERT INTO old_tweets VALUES (1, 'a')")
    (found,) = read(path)
    assert isinstance(found, Dropped)
    assert (found.reason, found.detail[:37]) == ("unknown_table", "2 of its tables could be the one of p")
    assert [post.post_id for post in posts(path, ReadRules(table="old_tweets"))] == ["1"]
    (found,) = read(path, ReadRules(table="new"))
    assert isinstance(found, Dropped)
    assert found.detail.startswith("no table new")


def test_a_database_with_changes_beside_it_is_refused(tmp_path: Path) -> None:
    path = database(tmp_path, POSTS)
    path.with_name("posts.db-wal").write_bytes(b"x")
    (found,) = read(path)
    assert isinstance(found, Dropped)
    assert (found.reason, "posts.db-wal" in found.detail) == ("unreadable_file", True)


ROWS = [{"id": 1, "text": "a", "img": "a.jpg"}, {"id": 2, "text": "b", "img": "b.jpg"}]


@pytest.mark.parametrize(
    "written",
    [
        {name: [each[name] for each in ROWS] for name in ("id", "text", "img")},
        {name: {str(n): each[name] for n, each in enumerate(ROWS)} for name in ("id", "text", "img")},
        {str(n): each for n, each in enumerate(ROWS)},
        {"columns": ["id", "text", "img"], "index": [0, 1], "data": [list(each.values()) for each in ROWS]},
        {"schema": {"fields": []}, "data": ROWS},
        {"1": {"tweet_text": "a", "img_url": "a.jpg"}, "2": {"tweet_text": "b", "img_url": "b.jpg"}},
        ROWS,
    ],
)
def test_tables_as_pandas_and_others_write_them_in_json(tmp_path: Path, written: object) -> None:
    found = posts(file(tmp_path, json.dumps(written)))
    assert [(post.post_id, post.text, post.position) for post in found] == [("1", "a", 1), ("2", "b", 2)]


@pytest.mark.parametrize(
    "written", [{"id": [1, 2], "text": ["a"]}, {"id": {"0": 1}, "text": {"1": "a"}}, {"id": [], "text": []}]
)
def test_columns_that_do_not_fit_are_no_table(tmp_path: Path, written: object) -> None:
    (found,) = read(file(tmp_path, json.dumps(written)))
    assert isinstance(found, Dropped)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_of_records_is_read_record_by_record_however_many_there_are(
    tmp_path: Path, indent: int | None
) -> None:
    many = {str(n): {"tweet_text": f'}} {n} "]', "img_url": FIRST, "labels": [0, {"a": 1}]} for n in range(1, 400)}
    path, rules = file(tmp_path, json.dumps(many, indent=indent)), ReadRules(max_line_bytes=300)
    found = posts(path, rules)
    assert [(post.post_id, post.text, post.position) for post in found] == [
        (name, record["tweet_text"], n) for n, (name, record) in enumerate(many.items(), start=1)
    ]
    assert json.loads(raw(path, 7, rules)) == {"7": many["7"]}
    broken = json.dumps(many).replace('"img_url": "https://x/a.jpg"', '"img_url": nonsense', 1)
    first, *others = read(file(tmp_path, broken), rules)
    assert isinstance(first, Dropped)
    assert (first.reason, len(others)) == ("not_json", 398)
    *_, last = read(file(tmp_path, json.dumps(many)[:-9]), rules)
    assert isinstance(last, Dropped)
    assert last.reason == "unreadable_file"


def test_rows_with_addresses_of_bluesky_are_its_posts(tmp_path: Path) -> None:
    uri = "at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/3kabc"
    columns = {"uri": [uri], "text": [TEXT], "created_at": ["2024-01-01T00:00:00Z"], "langs": [["en"]]}
    found, record = parquet(tmp_path, **columns, has_images=[True]), {name: cells[0] for name, cells in columns.items()}
    (expected,) = posts(file(tmp_path, json.dumps({**record, "has_images": True})))
    assert found == [expected]
    assert (expected.text, len(expected.images)) == (TEXT, 1)
    delimited(",")(tmp_path / "dump", ("uri", "text"), [(uri, TEXT)])
    assert [post.post_id for post in posts(tmp_path / "dump")] == [expected.post_id]
    assert row(tmp_path, id="1", uri="https://x/1", text=TEXT).post_id == "1"


def test_a_table_of_mastodon_s_posts_has_texts_without_html_and_no_post_for_some(tmp_path: Path) -> None:
    names = ("id", "content", "visibility", "image_url")
    html = "<p>a long walk<br>by the sea</p><p>#Tide</p>"
    rows = [("1", html, "public", FIRST), ("2", html, "private", FIRST), ("3", html, "direct", FIRST)]
    delimited(",")(tmp_path / "dump", names, [*rows, ("4", TEXT, "unlisted", SECOND)])
    first, private, direct, unlisted = read(tmp_path / "dump")
    assert isinstance(first, Post)
    assert (first.text.split(), first.hashtags) == (["a", "long", "walk", "by", "the", "sea", "#Tide"], ("tide",))
    for found, visibility in ((private, "private"), (direct, "direct")):
        assert isinstance(found, Dropped)
        assert (found.reason, found.detail) == ("not_public", visibility)
    assert isinstance(unlisted, Post)
    (own,) = read_records(json.dumps({"id": 1, "text": TEXT, "image": "a.jpg", "visibility": "direct"}).encode())
    assert not isinstance(own, Post)
    assert own.reason == "not_public"
