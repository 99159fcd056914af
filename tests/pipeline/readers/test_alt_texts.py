"""What authors say that their pictures show, and which pictures they mark, as every source writes it."""

import json
from typing import Any

import pytest

from m3h.pipeline.readers.formats import read_records
from m3h.schemas.posts import Post

ALT = "Three boats lie on the sand."
URL = "https://pbs.twimg.com/media/Boat1.jpg"
V1_PHOTO = {"type": "photo", "media_url_https": URL, "url": "https://t.co/Zz09"}
STATUS = {"id_str": "1780000000000000021", "full_text": "boats #Low_Tide", "user": {}, "possibly_sensitive": True}
Json = dict[str, Any]


def v2(**medium: str) -> Json:
    tweet = {"id": "1780000000000000022", "text": "boats #Low_Tide", "author_id": "1", "possibly_sensitive": True}
    media = {"media_key": "3_1780000000000000023", "type": "photo", "url": URL, **medium}
    return {"data": {**tweet, "attachments": {"media_keys": [media["media_key"]]}}, "includes": {"media": [media]}}


def scraped(media: object) -> Json:
    kind = "snscrape.modules.twitter.Tweet"
    return {
        "_type": kind,
        "id": 1,
        "date": "2024-04-17",
        "content": "boats",
        "media": media,
        "possibly_sensitive": True,
    }


def gallery(**fields: object) -> Json:
    made = {"category": "twitter", "tweet_id": 1, "content": "boats", "count": 1, "num": 1, "extension": "jpg"}
    return {**made, "type": "photo", "sensitive": True, **fields}


DESCRIBED: dict[str, Json] = {
    "v1": {**STATUS, "extended_entities": {"media": [{**V1_PHOTO, "ext_alt_text": ALT}]}},
    "v2": v2(alt_text=ALT),
    "graphql": {
        "rest_id": "1780000000000000021",
        "legacy": {**STATUS, "extended_entities": {"media": [{**V1_PHOTO, "ext_alt_text": f" {ALT}\n"}]}},
    },
    "snscrape": scraped([{"_type": "snscrape.modules.twitter.Photo", "fullUrl": URL, "altText": ALT}]),
    "twscrape": scraped({"photos": [{"url": URL, "altText": ALT}], "videos": [], "animated": []}),
    "gallery-dl": gallery(description=ALT),
    "jsonl": {"id": "1", "text": "boats", "image": "boat.jpg", "alt_text": ALT},
}


@pytest.mark.parametrize("source", DESCRIBED)
def test_the_description_is_kept(source: str) -> None:
    (found,) = read_records(json.dumps(DESCRIBED[source]).encode())
    assert isinstance(found, Post)
    assert (found.alt, found.sensitive) == (ALT, source != "jsonl")


@pytest.mark.parametrize("said", [None, 5, ["a"], "", "  "])
def test_a_description_that_says_nothing_costs_no_picture(said: object) -> None:
    records = (
        {**STATUS, "extended_entities": {"media": [{**V1_PHOTO, "ext_alt_text": said}]}},
        gallery(description=said),
    )
    for record in records:
        (found,) = read_records(json.dumps(record).encode())
        assert isinstance(found, Post)
        assert (found.alt, len(found.images)) == ("", 1)


def test_a_picture_that_is_listed_twice_is_one_with_the_description_of_either() -> None:
    media = [V1_PHOTO, {**V1_PHOTO, "ext_alt_text": ALT}]
    (found,) = read_records(json.dumps({**STATUS, "extended_entities": {"media": media}}).encode())
    assert isinstance(found, Post)
    assert (found.alt, len(found.images)) == (ALT, 1)


def test_the_description_of_one_of_several_pictures_is_not_that_of_another() -> None:
    (found,) = read_records(json.dumps(gallery(count=2, num=2, description=ALT)).encode())
    assert isinstance(found, Post)
    assert [image.alt for image in found.images] == ["", ALT]
    assert found.alt == ""  # such a post is never stored
