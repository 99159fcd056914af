"""What tools around Twitter write: twscrape, the embed API, gallery-dl, twint, Gnip, and exports of databases."""

import pytest

from m3h.pipeline.readers.record import RecordFault, texts
from m3h.schemas.posts import ImageRef, Post
from tests.pipeline.json_records import fault, post, results

TEXT = "boats in the harbour #Low_Tide"
LINK = "https://t.co/Zz09"
PHOTO = "https://pbs.twimg.com/media/Boat1.jpg"
MARKS = {"hashtags": [{"text": "Low_Tide", "indices": [21, 30]}], "media": [{"url": LINK}]}
MEDIUM = {"type": "photo", "media_url_https": PHOTO, "url": LINK}


def twscraped(**media: object) -> dict[str, object]:
    return {
        "_type": "snscrape.modules.twitter.Tweet", "id": 1780000000000000011, "date": "2024-04-17 16:44:46+00:00",
        "rawContent": f"{TEXT} {LINK}", "lang": "en", "hashtags": ["Low_Tide"], "links": [], "quotedTweet": None,
        "retweetedTweet": None, "media": {"photos": [], "videos": [], "animated": [], **media},
    }  # fmt: skip


def test_twscrape_lists_media_by_kind() -> None:
    found = post(twscraped(photos=[{"url": PHOTO}]))
    assert (found.text, found.hashtags, found.images) == (TEXT, ("low_tide",), (ImageRef(url=PHOTO),))
    two = post(twscraped(photos=[{"url": PHOTO}, {"url": PHOTO.replace("1", "2")}]))
    assert len(two.images) == 2
    video = post(twscraped(videos=[{"thumbnailUrl": PHOTO}]))
    assert (video.text, video.images) == (TEXT, ())
    none = post(twscraped())
    assert (none.text, none.images) == (f"{TEXT} {LINK}", ())


def test_an_embedded_tweet() -> None:
    record = {
        "__typename": "Tweet", "id_str": "1780000000000000012", "text": f"{TEXT} {LINK}", "lang": "en",
        "created_at": "2024-04-17T16:44:46.000Z", "entities": MARKS, "user": {"screen_name": "harbour_fan"},
        "mediaDetails": [MEDIUM], "photos": [{"url": PHOTO}], "quoted_tweet": {"id_str": "5", "text": "no record"},
    }  # fmt: skip
    found = post(record)
    assert (found.post_id, found.text, found.images) == ("1780000000000000012", TEXT, (ImageRef(url=PHOTO),))
    assert found.is_quote
    assert post({**record, "mediaDetails": [{**MEDIUM, "type": "video"}]}).images == ()


def gallery(**fields: object) -> dict[str, object]:
    return {
        "category": "twitter", "subcategory": "tweet", "tweet_id": 1599000000000000013, "retweet_id": 0, "quote_id": 0,
        "date": "2022-12-04 17:54:38", "author": {"name": "harbour_fan"}, "lang": "en", "content": TEXT,
        "hashtags": ["Low_Tide"], "count": 1, "num": 1, "filename": "Boat1", "extension": "jpg", "type": "photo",
        **fields,
    }  # fmt: skip


def test_gallery_dl_names_the_files_of_a_tweet() -> None:
    found = post(gallery())
    assert (found.post_id, found.text) == ("1599000000000000013", TEXT)
    assert found.images == (ImageRef(path="1599000000000000013_1.jpg"),)
    assert found.created_at == "2022-12-04 17:54:38"


def test_each_picture_of_gallery_dl_brings_its_tweet_with_all_pictures() -> None:
    """So that a tweet of two pictures, which has two records, does not become two posts of one."""
    first, second = results([gallery(count=2), gallery(count=2, num=2)])
    assert isinstance(first, Post)
    assert first == second
    assert [image.path for image in first.images] == ["1599000000000000013_1.jpg", "1599000000000000013_2.jpg"]


@pytest.mark.parametrize(
    ("fields", "is_repost", "is_quote", "images"),
    [
        ({"retweet_id": 7}, True, False, 1),
        ({"quote_id": 7}, False, True, 1),
        ({"type": "video", "extension": "mp4"}, False, False, 0),
        ({"count": 0, "extension": None}, False, False, 0),
        ({"count": 10**9}, False, False, 4),
    ],
)
def test_other_kinds_of_gallery_dl(fields: dict[str, object], is_repost: bool, is_quote: bool, images: int) -> None:
    found = post(gallery(**fields))
    assert (found.is_repost, found.is_quote, len(found.images)) == (is_repost, is_quote, images)


def twinted(**fields: object) -> dict[str, object]:
    return {
        "id": 1237000000000000014, "conversation_id": "1237000000000000014", "created_at": "2020-03-09 10:00:00 CET",
        "date": "2020-03-09", "time": "10:00:00", "timezone": "+0100", "username": "harbour_fan", "language": "en",
        "tweet": f"{TEXT} pic.twitter.com/Zz09", "photos": [PHOTO], "hashtags": ["low_tide"], "retweet": False,
        "quote_url": "", "video": 1, **fields,
    }  # fmt: skip


def test_a_tweet_of_twint() -> None:
    found = post(twinted())
    assert (found.text, found.hashtags, found.images) == (TEXT, ("low_tide",), (ImageRef(url=PHOTO),))
    assert (found.lang, found.created_at) == ("en", "2020-03-09T10:00:00+01:00")
    assert post(twinted(retweet=True)).is_repost
    assert post(twinted(quote_url="https://twitter.com/a/status/1")).is_quote
    assert post(twinted(timezone=None)).created_at == "2020-03-09 10:00:00 CET"


def activity(**fields: object) -> dict[str, object]:
    return {
        "id": "tag:search.twitter.com,2005:1083000000000000015", "objectType": "activity", "verb": "post",
        "postedTime": "2019-01-11T05:00:00.000Z", "body": f"{TEXT} {LINK}", "twitter_lang": "en",
        "twitter_entities": {**MARKS, "media": [MEDIUM]}, **fields,
    }  # fmt: skip


def test_an_activity_of_gnip() -> None:
    found = post(activity())
    assert (found.post_id, found.text, found.images) == ("1083000000000000015", TEXT, (ImageRef(url=PHOTO),))
    assert (found.hashtags, found.lang, found.created_at) == (("low_tide",), "en", "2019-01-11T05:00:00.000Z")
    assert post(activity(verb="share")).is_repost
    whole = activity(long_object={"body": f"low and high {TEXT}", "twitter_entities": {"hashtags": []}})
    assert (post(whole).text, post(whole).hashtags) == (f"low and high {TEXT}", ())
    two = {"media": [MEDIUM, {**MEDIUM, "media_url_https": f"{PHOTO}2"}]}
    assert len(post(activity(twitter_extended_entities=two)).images) == 2


def test_what_is_no_activity_of_a_post_is_a_notice() -> None:
    assert fault(activity(verb="delete")).reason == "notice"
    assert fault({"info": {"message": "Replay Request Completed", "activity_count": 2}}).reason == "notice"


STATUS = {
    "id_str": "1084000000000000016",
    "text": f"{TEXT} {LINK}",
    "user": {},
    "entities": {**MARKS, "media": [MEDIUM]},
}


def test_records_inside_hits_of_elasticsearch() -> None:
    hit = {"_index": "tweets", "_id": "1", "_score": 1, "_source": STATUS}
    assert post(hit) == post(STATUS)
    assert results({"took": 3, "hits": {"total": 2, "hits": [hit, hit]}}) == [post(STATUS)] * 2
    assert results([hit, hit]) == [post(STATUS)] * 2
    assert fault({"_index": "tweets", "_source": "no object"}).reason == "unknown_format"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ({"$date": "2019-01-03T10:00:00Z"}, "2019-01-03T10:00:00Z"),
        ({"$date": 1546509600000}, "2019-01-03T10:00:00+00:00"),
        ({"$date": {"$numberLong": "1546509600000"}}, "2019-01-03T10:00:00+00:00"),
    ],
)
def test_extended_json_of_mongodb_is_plain_json(date: object, expected: str) -> None:
    wrapped = {"$numberLong": STATUS["id_str"]}
    found = post({**STATUS, "id_str": None, "id": wrapped, "_id": {"$oid": "6202c480e980"}, "created_at": date})
    assert (found.post_id, found.created_at) == (STATUS["id_str"], expected)


@pytest.mark.parametrize(
    "value", [{"$numberLong": "x"}, {"$numberLong": "9" * 5000}, {"$numberLong": None}, {"$date": []}]
)
def test_odd_extended_json_is_no_value(value: object) -> None:
    assert fault({"id": value, "text": TEXT, "image": "a.jpg"}).reason == "missing_field"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"created_at": 1713372286000}, {"created_at": "2024-04-17T16:44:46+00:00"}),
        ({"created_at": 1713372286}, {"created_at": "2024-04-17T16:44:46+00:00"}),
        ({"lang": float("nan"), "created_at": float("nan")}, {"lang": None, "created_at": ""}),
        ({"hashtags": "['Tide', 'sea']"}, {"hashtags": ("tide", "sea")}),
        ({"hashtags": '["Tide"]'}, {"hashtags": ("tide",)}),
        ({"hashtags": "[]"}, {"hashtags": ()}),
        ({"split": "validation"}, {"split": "valid"}),
        ({"split": "dev"}, {"split": "valid"}),
        ({"split": "training"}, {"split": "train"}),
        ({"image": ["a.jpg"]}, {"images": (ImageRef("a.jpg"),)}),
        ({"image": None, "img": "b.jpg"}, {"images": (ImageRef("b.jpg"),)}),
        ({"image": None, "photos": [PHOTO]}, {"images": (ImageRef(url=PHOTO),)}),
        ({"image": None, "media": PHOTO}, {"images": (ImageRef(url=PHOTO),)}),
        ({"image": "a.jpg", "media": PHOTO}, {"images": (ImageRef("a.jpg", PHOTO),)}),
    ],
)
def test_cells_of_tables_are_read_where_their_meaning_is_plain(
    fields: dict[str, object], expected: dict[str, object]
) -> None:
    found = post({"id": 17, "text": TEXT, "image": "a.jpg", **fields})
    assert {name: getattr(found, name) for name in expected} == expected


def test_other_names_of_columns() -> None:
    found = post({"tweet_id": 1780000000000000018, "tweet_text": TEXT, "image_url": PHOTO})
    assert (found.post_id, found.text, found.images) == ("1780000000000000018", TEXT, (ImageRef(url=PHOTO),))


@pytest.mark.parametrize("tags", [['it\'s "2"'], ["a\\b", "[c]"], ["\U0001f600", "x\u200by"], [], ["a"] * 20_000])
def test_a_list_that_a_table_wrote_is_that_list(tags: list[str]) -> None:
    assert texts(repr(tags)) == texts(str(tags)) == tags


def test_half_a_character_in_a_notice_is_replaced() -> None:
    (found,) = results(activity(verb="po\ud83dst"))
    assert isinstance(found, RecordFault)
    assert (found.reason, found.detail) == ("notice", "po�st")


def test_a_fault_of_an_activity_has_the_id_of_its_post() -> None:
    (found,) = results(activity(verb="unknown"))
    assert isinstance(found, RecordFault)
    assert found.record_id == post(activity()).post_id


def test_a_float_id_has_lost_digits() -> None:
    assert fault({"id": 1.78063854572555e18, "text": TEXT, "image": "a.jpg"}).reason == "bad_field"


def test_a_deleted_post_of_an_archive_is_deleted() -> None:
    assert fault({"tweet": {**STATUS, "deleted_at": "Mon Nov 24 07:10:00 +0000 2025"}}).reason == "deleted"


def test_an_advertisement_is_promoted() -> None:
    result = {"__typename": "Tweet", "rest_id": STATUS["id_str"], "legacy": {**STATUS, "full_text": TEXT}}
    item = {"tweet_results": {"result": result}}
    assert isinstance(results({"data": {"itemContent": item}})[0], Post)
    assert fault({"data": {"itemContent": {**item, "promotedMetadata": {}}}}).reason == "promoted"


def test_a_post_of_weibo_is_no_tweet() -> None:
    weibo = {"id": 5100000000000021, "mblogid": "P0bbbbbbb", "user": {}, "text": "<a>…</a>", "text_raw": "…"}
    assert fault(weibo).reason == "unknown_format"
