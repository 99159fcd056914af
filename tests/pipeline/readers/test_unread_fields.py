"""A field that is wrong costs itself, and is noted; it never costs the post."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.readers.formats import read_records
from m3h.pipeline.text.pii import is_personal, stored_id
from m3h.schemas.posts import ImageRef, Post

TEXT = "a long walk by the sea #Tide"
PLAIN = {"id": 17, "text": TEXT, "image": "a.jpg"}
ENTITIES = {"hashtags": [{"text": "Tide"}]}


def post(record: dict[str, object]) -> Post:
    (found,) = read_records(json.dumps(record).encode())
    assert isinstance(found, Post), found
    return found


@pytest.mark.parametrize(
    ("fields", "unread", "empty"),
    [
        ({"split": "part2"}, "split", {"split": None}),
        ({"split": 3}, "split", {"split": None}),
        ({"lang": []}, "lang", {"lang": None}),
        ({"collected_at": {}}, "collected_at", {"collected_at": ""}),
        ({"hashtags": ["a", 3]}, "hashtags", {"hashtags": ("tide",)}),
        ({"image": 3}, "image", {"images": ()}),
        ({"image": None, "images": [3]}, "images", {"images": ()}),
        *(({"created_at": value}, "created_at", {"created_at": ""}) for value in (-1, 10**18, True, [], {})),
        *(
            ({"hashtags": tags}, "hashtags", {"hashtags": ("tide",)})
            for tags in ("['a'", "[a]", "[['a']]", "[1]", "['a' 5", "[" + "'a'," * 5 + "b]")
        ),
        *(({"hashtags": tags}, "hashtags", {"hashtags": ("tide",)}) for tags in ("[-1]", "[1is 2]", "['\\d']", "{}")),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_wrong_field_of_a_plain_record_is_empty_and_noted(
    fields: dict[str, object], unread: str, empty: dict[str, object]
) -> None:
    found = post({**PLAIN, **fields})
    assert found.unread == (unread,)
    assert {name: getattr(found, name) for name in empty} == empty
    assert found.having(**{name: getattr(post(PLAIN), name) for name in empty}, unread=()) == post(PLAIN)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"hashtags": "#a"}, {"hashtags": ("a",)}),
        ({"hashtags": "Tide|sea"}, {"hashtags": ("tide", "sea")}),
        ({"hashtags": "Tide, #sea"}, {"hashtags": ("tide", "sea")}),
        ({"hashtags": '[{"text": "Tide", "indices": [0, 4]}]'}, {"hashtags": ("tide",)}),
        ({"hashtags": [{"tag": "Tide"}]}, {"hashtags": ("tide",)}),
        ({"split": "Train"}, {"split": "train"}),
        ({"split": ""}, {"split": None}),
        ({"created_at": 1713372286000.0}, {"created_at": "2024-04-17T16:44:46+00:00"}),
        ({"created_at": "1713372286000"}, {"created_at": "2024-04-17T16:44:46+00:00"}),
        ({"created_at": "1713372286"}, {"created_at": "2024-04-17T16:44:46+00:00"}),
        ({"created_at": "1713372286.0"}, {"created_at": "2024-04-17T16:44:46+00:00"}),
        ({"created_at": "20190103"}, {"created_at": "20190103"}),
        ({"created_at": "NaT", "lang": "nan"}, {"created_at": "", "lang": None}),
        ({"image": {"path": "a.jpg", "bytes": None}}, {"images": (ImageRef("a.jpg"),)}),
        ({"images": [None]}, {"images": ()}),
        ({"image": [{"url": "http://x/a.jpg", "alt": "sea"}]}, {"images": (ImageRef("", "http://x/a.jpg", "sea"),)}),
        ({"image": None, "media": '[{"type": "video", "url": "http://x/a.mp4"}]'}, {"images": ()}),
    ],
)
def test_what_is_plainly_meant_is_read(fields: dict[str, object], expected: dict[str, object]) -> None:
    found = post({**PLAIN, **fields})
    assert found.unread == ()
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_picture_in_a_record_is_taken_from_there() -> None:
    (image,) = post({**PLAIN, "image": {"path": "a.jpg", "bytes": "/9j/4A=="}}).images
    assert (image.path, image.content) == ("a.jpg", b"\xff\xd8\xff\xe0")


@pytest.mark.parametrize(
    ("record", "unread"),
    [
        ({"text": TEXT, "user": {}, "entities": ENTITIES, "lang": 3, "created_at": []}, ["created_at", "lang"]),
        ({"text": TEXT, "author_id": "2", "lang": {}, "__twarc": {"retrieved_at": 4}}, ["lang", "retrieved_at"]),
        ({"_type": "snscrape.modules.twitter.Tweet", "content": TEXT, "date": {}, "lang": 1}, ["date", "lang"]),
        ({"category": "twitter", "tweet_id": 1, "content": TEXT, "num": 1, "date": [1], "lang": 1}, ["date", "lang"]),
        (
            {"tweet": TEXT, "conversation_id": "1", "username": "", "language": 1, "created_at": {}},
            ["created_at", "language"],
        ),
    ],
)
def test_every_reader_notes_them(record: dict[str, object], unread: list[str]) -> None:
    assert sorted(post({"id": "1", **record}).unread) == unread


@given(st.integers(min_value=1, max_value=10**25))
def test_a_bare_number_without_a_zero_in_front_is_stored_as_it_is(number: int) -> None:
    assert stored_id(str(number)) == str(number)
    assert not is_personal(str(number))


def test_a_copy_of_a_post_takes_only_fields_that_it_has() -> None:
    found = post(PLAIN)
    assert found.having(text="b") == Post(**{**vars(found), "text": "b"})
    assert found.text == TEXT
    with pytest.raises(TypeError):
        found.having(words="b")
