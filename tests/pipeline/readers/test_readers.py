"""Each JSON line becomes one Post or one reason."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from m3h.pipeline.readers.formats import read_records
from m3h.pipeline.readers.record import RecordFault, hashtags_in, normal_hashtags
from m3h.schemas.posts import ImageRef, Post

USER = {"screen_name": "x"}
LINK = "https://t.co/pic"


def photo(name="a.jpg", link=LINK, kind="photo"):
    return {"type": kind, "url": link, "media_url_https": f"https://pbs.twimg.com/media/{name}"}


def read(record, forced=""):
    line = record if isinstance(record, bytes) else json.dumps(record).encode()
    (found,) = read_records(line, forced)
    return found


def post(record, forced=""):
    found = read(record, forced)
    assert isinstance(found, Post), found
    return found


def fault(record, forced=""):
    found = read(record, forced)
    assert isinstance(found, RecordFault), found
    return found.reason, found.detail


def status(**fields):
    return {"id": 7, "id_str": "7", "user": USER, "text": "a day out", "lang": "en", "created_at": "Mon", **fields}


PICTURE = ImageRef(url="https://pbs.twimg.com/media/a.jpg")


def test_a_compat_status():
    record = status(
        text=f"sun #Beach {LINK}",
        entities={"hashtags": [{"text": "Beach"}], "media": [photo()]},
    )
    assert post(record) == Post("7", "sun #Beach", hashtags=("beach",), images=(PICTURE,), lang="en", created_at="Mon")


def test_an_extended_status():
    record = status(full_text=f"long #A text {LINK}", entities={"hashtags": [{"text": "A"}], "media": [photo()]})
    del record["text"]
    assert (post(record).text, post(record).hashtags, post(record).images) == ("long #A text", ("a",), (PICTURE,))


def test_an_extended_tweet_overrides_the_shortened_text_and_its_entities():
    record = status(
        text="the start of it…",
        truncated=True,
        entities={"hashtags": [{"text": "cut"}], "media": []},
        extended_tweet={
            "full_text": f"the start of it and its #End {LINK}",
            "entities": {"hashtags": [{"text": "End"}], "media": [photo()]},
            "extended_entities": {"media": [photo()]},
        },
    )
    assert (post(record).text, post(record).hashtags) == ("the start of it and its #End", ("end",))
    assert post(record).images == (PICTURE,)


def test_extended_entities_hold_all_pictures_and_entities_only_the_first():
    record = status(entities={"media": [photo()]}, extended_entities={"media": [photo(), photo("b.jpg")]})
    assert [image.url[-5:] for image in post(record).images] == ["a.jpg", "b.jpg"]


def test_one_picture_listed_twice_is_one_picture():
    assert post(status(entities={"media": [photo(), photo()]})).images == (PICTURE,)


@pytest.mark.parametrize("kind", ["video", "animated_gif"])
def test_the_still_of_a_video_is_not_a_picture_and_its_link_is_removed(kind):
    record = status(text=f"look {LINK}", extended_entities={"media": [photo(kind=kind)]})
    assert (post(record).images, post(record).text) == ((), "look")


def test_other_links_stay_in_the_text():
    record = status(text=f"read https://t.co/other {LINK} now", entities={"media": [photo()]})
    assert post(record).text == "read https://t.co/other   now"


@pytest.mark.parametrize(
    ("fields", "is_repost"),
    [
        ({"text": "RT @x: hello", "retweeted_status": status()}, True),
        ({"text": "RT @x: hello"}, True),
        ({"text": "hello", "retweeted_status": status()}, True),
        ({"text": "hello", "retweeted_status": None}, False),
        ({"text": "hello", "quoted_status": status(), "is_quote_status": True}, False),
        ({"text": "no RT @x"}, False),
    ],
)
def test_a_retweet_is_marked_and_a_quote_is_not(fields, is_repost):
    assert post(status(**fields)).is_repost is is_repost


def test_a_quoted_status_is_not_part_of_the_post():
    quoted = status(text="#theirs", entities={"hashtags": [{"text": "theirs"}], "media": [photo("theirs.jpg")]})
    found = post(status(text="mine #own", quoted_status=quoted))
    assert (found.text, found.hashtags, found.images) == ("mine #own", ("own",), ())


def test_the_entities_hashtags_win_over_those_of_the_text():
    assert post(status(text="#a #b", entities={"hashtags": [{"text": "A"}]})).hashtags == ("a",)
    assert post(status(text="cut off at #a…", entities={"hashtags": []})).hashtags == ()
    assert post(status(text="#a #b", entities={})).hashtags == ("a", "b")


@pytest.mark.parametrize(
    "entities",
    [None, 3, [], {"media": None, "hashtags": None}, {"media": [3, None], "hashtags": ["a", {"text": 3}]},
     {"media": [{"type": "photo", "media_url": {"a": 1}, "url": 3}]}, {"media": [{"type": "photo"}]}],
)  # fmt: skip
def test_entities_of_another_shape_are_no_entities(entities):
    assert (post(status(entities=entities)).images, post(status(entities=entities)).hashtags) == ((), ())


@pytest.mark.parametrize(
    "name", ["delete", "limit", "scrub_geo", "status_withheld", "disconnect", "warning", "friends"]
)
def test_a_streaming_notice_is_not_a_post(name):
    assert fault({name: {"id": 1}}) == ("notice", name)


def plain(**fields):
    return {"id": 1, "text": "a #Sunny day", "image": "a.jpg", **fields}


@pytest.mark.parametrize("name", ["image", "file", "image_file", "image_path", "filename"])
def test_any_of_these_fields_may_name_the_file(name):
    record = {"id": 1, "text": "a #Sunny day", name: "d/a.jpg"}
    assert post(record) == Post("1", "a #Sunny day", hashtags=("sunny",), images=(ImageRef(path="d/a.jpg"),))


@pytest.mark.parametrize(
    ("fields", "images"),
    [
        ({"image_url": "http://x/a.jpg"}, [("a.jpg", "http://x/a.jpg")]),
        ({"url": "http://x/a.jpg", "image": None}, [("", "http://x/a.jpg")]),
        ({"image": "https://x/a.jpg"}, [("", "https://x/a.jpg")]),
        ({"image": "", "images": ["b.jpg", "http://x/c.jpg", "b.jpg"]}, [("b.jpg", ""), ("", "http://x/c.jpg")]),
        ({"images": []}, []),
        ({"image": ""}, []),
        ({"file": "second.jpg"}, [("a.jpg", "")]),
    ],
)
def test_the_file_or_url_of_a_picture(fields, images):
    assert [(image.path, image.url) for image in post(plain(**fields)).images] == images


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"hashtags": ["#A", "a", "ＢＢ", ""]}, ("a", "ｂｂ")),
        ({"hashtags": []}, ()),
        ({"hashtags": None}, ("sunny",)),
        ({"hashtags": ["game  of\tthrones\n"]}, ("game of thrones",)),
    ],
)
def test_given_hashtags_win_over_those_of_the_text(fields, expected):
    assert post(plain(**fields)).hashtags == expected


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_record_may_have_a_split(split):
    assert post(plain(split=split)).split == split


def test_a_record_may_say_when_it_was_written_and_collected():
    found = post(plain(created_at="2021-05-18", collected_at="2021-05-19T00:00:00Z"))
    assert (found.created_at, found.collected_at) == ("2021-05-18", "2021-05-19T00:00:00Z")


@pytest.mark.parametrize("value", ["12", 12, " 12 "])
def test_an_id_is_text_or_a_whole_number(value):
    assert post(plain(id=value)).post_id == "12"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (plain(id=None), ("missing_field", "id or id_str or tweet_id")),
        (plain(id=True), ("missing_field", "id or id_str or tweet_id")),
        (plain(id=1.5), ("missing_field", "id or id_str or tweet_id")),
        (plain(id=1.5e18), ("bad_field", "id: 1.5e+18 is a decimal number, whose last digits are lost")),
        (plain(id="1.08359E+18"), ("bad_field", "id: 1.08359E+18 is a decimal number, whose last digits are lost")),
        (plain(id="12.0"), ("bad_field", "id: 12.0 is a decimal number, whose last digits are lost")),
        (plain(id=" "), ("missing_field", "id or id_str or tweet_id")),
        (plain(text=None), ("missing_field", "text")),
        (plain(text=["a"]), ("bad_field", "text: expected text, got list")),
        (status(text=3), ("bad_field", "text: expected text, got int")),
        (status(id=None, id_str=None), ("missing_field", "id_str or id")),
        ({"id": 1, "text": "no picture"}, ("unknown_format", "fields: id, text")),
        ({}, ("unknown_format", "fields: ")),
        ([1, 2], ("not_an_object", "list")),
        (None, ("not_an_object", "NoneType")),
        (3, ("not_an_object", "int")),
    ],
)
def test_a_record_that_is_not_a_post_has_a_reason(record, expected):
    assert fault(record) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not_json"),
        (b"nonsense", "not_json"),
        (b'{"id": 1', "not_json"),
        (b"\xef\xbb\xbf", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"id": ' + b"9" * 5000 + b"}", "not_json"),
        (b'{"text": "\xff"}', "not_utf8"),
        (b"\xed\xa0\x80", "not_utf8"),
        (b"\x00\x01", "not_json"),
    ],
)
def test_a_line_that_is_not_a_record_has_a_reason(line, reason):
    assert fault(line)[0] == reason


def test_a_byte_order_mark_is_not_part_of_the_record():
    assert post(b"\xef\xbb\xbf" + json.dumps(plain()).encode()).post_id == "1"


@pytest.mark.parametrize(
    "record",
    [
        plain(text="a \ud800 b", id="\udfff1", images=["\ud800.jpg"], hashtags=["\ud800"], lang="\ud800"),
        status(text="a \ud800 b", entities={"media": [photo("\ud800")], "hashtags": [{"text": "\ud800"}]}),
    ],
)
def test_lone_surrogates_are_replaced_wherever_they_stand(record):
    found = post(record)
    assert found.text == "a � b"
    repr(found).encode("utf-8")
    assert "\\ud800" not in repr(found)


@pytest.mark.parametrize(("forced", "hashtags"), [("v1", ("e",)), ("jsonl", ("j",))])
def test_a_forced_format_decides_when_several_formats_match(forced, hashtags):
    record = status(image="a.jpg", hashtags=["j"], entities={"hashtags": [{"text": "e"}]})
    assert post(record, forced).hashtags == hashtags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#a b #C", ("a", "c")),
        ("#1 #2020 #3d", ("3d",)),
        ("a#b &#39; x/#y", ("y",)),
        ("#a#b", ()),
        ("http://x.org/#a", ()),
        ("＃full #日本 #été_1", ("full", "日本", "été_1")),
        ("(#in) #a, #a!", ("in", "a")),
        ("# a #", ()),
    ],
)
def test_hashtags_in_a_text(text, expected):
    assert hashtags_in(text) == expected


@given(st.lists(st.text(max_size=6), max_size=6))
def test_normal_hashtags_are_distinct_valid_and_normal_already(tags):
    found = normal_hashtags(tags)
    assert normal_hashtags(found) == found
    assert len(set(found)) == len(found)
    assert not any(c in tag for tag in found for c in "\t\n\r")
    "".join(found).encode("utf-8")


FIELDS = [
    "id", "id_str", "text", "full_text", "user", "entities", "extended_entities", "extended_tweet", "retweeted_status",
    "media", "hashtags", "url", "media_url", "media_url_https", "type", "image", "images", "file", "image_url", "split",
    "lang", "created_at", "delete",
]  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(
    ["photo", "train", "\ud800", "http://[", "RT @x", "#a"]
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=15,
)
RECORDS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8)


@given(RECORDS, st.sampled_from(["", "v1", "jsonl"]))
@example({"id": {"id": None, "id_str": None}, "text": {"id": None, "id_str": None}}, "")
def test_any_object_is_a_post_or_has_a_reason(record, forced):
    """An object of objects that each look like a post may be a table: then each of them."""
    results = read_records(json.dumps(record).encode(), forced)
    assert results
    for found in results:
        assert isinstance(found, Post | RecordFault)
        if isinstance(found, Post):
            assert found.post_id
            for text in (found.post_id, found.text, found.lang or "", found.created_at, *found.hashtags):
                text.encode("utf-8")
            for image in found.images:
                f"{image.path}{image.url}".encode()
                assert image.path or image.url
