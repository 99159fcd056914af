"""Records of the v2 API, GraphQL, snscrape and personal archives: each becomes a Post or a reason by its own fields."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.readers.formats import FORMATS, MAX_CHARACTERS, read_records
from m3h.pipeline.readers.record import RecordFault, edit_fields
from m3h.pipeline.text.dates import LONG_AGO, moment
from m3h.schemas.posts import ImageRef, Post

PHOTO = {"media_key": "3_1", "type": "photo", "url": "https://pbs.twimg.com/media/a.jpg"}
VIDEO = {"media_key": "7_2", "type": "video", "preview_image_url": "https://pbs.twimg.com/thumb.jpg"}
PICTURE = ImageRef(url=PHOTO["url"])
LINK = "https://t.co/pic"


def read(record, forced=""):
    return read_records(json.dumps(record).encode(), forced)


def one(record, forced=""):
    (found,) = read(record, forced)
    return found


def reasons(record, forced=""):
    return [(item.reason, item.record_id) for item in read(record, forced) if isinstance(item, RecordFault)]


def tweet(number=7, **fields):
    return {"id": str(number), "text": f"a day out {number}", "author_id": "1", "lang": "en", **fields}


def page(*tweets, **fields):
    return {"data": list(tweets), **fields}


# v2


def test_each_tweet_of_a_page_has_its_own_media_and_collection_time():
    urls = [{"url": LINK, "display_url": "pic.twitter.com/x"}, {"url": "https://t.co/b", "display_url": "b.org"}]
    first = tweet(
        1, text=f"sun #Beach https://t.co/b {LINK}", created_at="2021-05-18T19:24:56.000Z",
        entities={"hashtags": [{"tag": "Beach"}], "urls": urls}, attachments={"media_keys": ["7_2", "3_1"]},
    )  # fmt: skip
    found = read(
        page(first, tweet(2), includes={"media": [PHOTO, VIDEO], "tweets": [tweet(3)]},
             __twarc={"retrieved_at": "2021-05-19T00:00:00+00:00"})
    )  # fmt: skip
    assert found == [
        Post("1", "sun #Beach https://t.co/b", hashtags=("beach",), images=(PICTURE,), lang="en",
             created_at="2021-05-18T19:24:56.000Z", collected_at="2021-05-19T00:00:00+00:00"),
        Post("2", "a day out 2", lang="en", collected_at="2021-05-19T00:00:00+00:00"),
    ]  # fmt: skip


def test_an_answer_of_the_stream_holds_one_tweet():
    assert one({"data": tweet(), "includes": {}, "matching_rules": []}) == Post("7", "a day out 7", lang="en")


def test_a_flattened_tweet_has_its_media_inside():
    flat = tweet(attachments={"media_keys": ["3_1"], "media": [PHOTO]}, author={"username": "x"})
    assert one(flat).images == (PICTURE,)


@pytest.mark.parametrize(
    ("media", "images"),
    [
        ([], (ImageRef(path="3_1"),)),
        ([{"media_key": "3_1", "type": "photo"}], (ImageRef(path="3_1"),)),
        ([{**PHOTO, "url": 5}], (ImageRef(path="3_1"),)),
        ([PHOTO], (PICTURE,)),
    ],
)
def test_a_picture_without_a_url_is_still_a_picture(media, images):
    assert one(page(tweet(attachments={"media_keys": ["3_1"]}), includes={"media": media})).images == images


@pytest.mark.parametrize(
    ("fields", "is_repost", "is_quote"),
    [
        ({"referenced_tweets": [{"type": "retweeted", "id": "1"}]}, True, False),
        ({"text": "RT @x: hello"}, True, False),
        ({"referenced_tweets": [{"type": "quoted"}, {"type": "replied_to"}]}, False, True),
        ({"referenced_tweets": [{"type": "retweeted"}, {"type": "quoted"}]}, True, False),
        ({"referenced_tweets": "retweeted"}, False, False),
        ({"referenced_tweets": [{"type": []}, 3]}, False, False),
    ],
)
def test_retweets_and_quotes_are_recognised_by_their_references(fields, is_repost, is_quote):
    found = one(tweet(**fields))
    assert (found.is_repost, found.is_quote) == (is_repost, is_quote)


def test_a_long_text_replaces_the_one_that_was_cut_short():
    note = {"text": "the whole of it #End", "entities": {"hashtags": [{"tag": "End"}]}}
    found = one(tweet(text="the whole #cut", entities={"hashtags": [{"tag": "cut"}]}, note_tweet=note))
    assert (found.text, found.hashtags) == ("the whole of it #End", ("end",))


def test_only_hashtags_that_the_api_marked_count():
    assert one(tweet(text="cut off at #Br…", entities={"mentions": []})).hashtags == ()
    assert one(tweet(text="nothing marked #Sun")).hashtags == ("sun",)


@pytest.mark.parametrize(
    "withheld", [{"country_codes": ["DE"]}, {"copyright": True}, {"copyright": True, "country_codes": ["XY"]}]
)
def test_a_withheld_tweet_has_a_reason_of_its_own(withheld):
    assert reasons(tweet(withheld=withheld)) == [("withheld", "7")]
    assert reasons(tweet(withheld={"copyright": False, "country_codes": []})) == []


@pytest.mark.parametrize(
    "record",
    [
        {"meta": {"result_count": 0}},
        {"errors": [{"title": "Not Found Error", "detail": "x"}]},
        {"data": [], "includes": {}},
        {"includes": {"users": []}},
    ],
)
def test_a_page_without_tweets_is_a_notice(record):
    assert reasons(record) == [("notice", "")]


def test_a_broken_tweet_of_a_page_loses_only_itself():
    found = read(page(tweet(1), 5, tweet(2, text=None), tweet(3)))
    assert [getattr(item, "reason", "post") for item in found] == ["post", "not_an_object", "missing_field", "post"]


# GraphQL


def result(number=9, **fields):
    legacy = {"full_text": f"look #A {LINK}", "created_at": "Thu Jul 20 16:57:24 +0000 2023", "lang": "en",
              "entities": {"hashtags": [{"text": "A"}], "media": [{"url": LINK, "type": "photo"}]},
              "extended_entities": {"media": [
                  {"url": LINK, "type": "photo", "media_url_https": "https://pbs.twimg.com/media/a.jpg"}]},
              "id_str": str(number), **fields.pop("legacy", {})}  # fmt: skip
    return {"__typename": "Tweet", "rest_id": str(number), "legacy": legacy, **fields}


EXPECTED = Post(
    "9", "look #A", hashtags=("a",), images=(PICTURE,), lang="en", created_at="Thu Jul 20 16:57:24 +0000 2023"
)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda found: found,
        lambda found: {"tweet_results": {"result": found}},
        lambda found: {"data": {"tweetResult": {"result": found}}},
        lambda found: {"__typename": "TweetWithVisibilityResults", "tweet": found, "limitedActionResults": {}},
        lambda found: {"entryId": "tweet-9", "content": {"itemContent": {"tweet_results": {"result": found}}}},
    ],
)
def test_a_result_is_found_wherever_it_is_wrapped(wrap):
    assert one(wrap(result())) == EXPECTED


def test_an_answer_gives_all_its_tweets_without_the_quoted_ones():
    quoted = {"quoted_status_result": {"result": result(1)}}
    retweet = {"legacy": {"full_text": "RT @x: look", "retweeted_status_result": {"result": result(2)}}}
    entries = [
        {"entryId": str(i), "content": {"itemContent": {"tweet_results": {"result": found}}}}
        for i, found in enumerate((result(10, **quoted), result(11, **retweet), {"__typename": "TweetTombstone"}))
    ]
    answer = {"data": {"home": {"instructions": [{"entries": [*entries, {"content": {"cursorType": "Bottom"}}]}]}}}
    ten, eleven, gone = read(answer)
    assert (ten.post_id, eleven.post_id, gone.reason) == ("10", "11", "unavailable")
    assert (ten.is_repost, eleven.is_repost) == (False, True)


@pytest.mark.parametrize(
    ("record", "detail"),
    [
        ({"__typename": "TweetTombstone", "tombstone": {"text": {"text": "Post deleted."}}}, "Post deleted."),
        ({"__typename": "TweetUnavailable", "reason": "Protected"}, "Protected"),
        ({"__typename": "TweetUnavailable"}, "TweetUnavailable"),
    ],
)
def test_a_tombstone_is_unavailable(record, detail):
    found = one({"tweet_results": {"result": record}})
    assert (found.reason, found.detail) == ("unavailable", detail)


def test_a_note_is_the_whole_text_and_keeps_the_pictures():
    note = {"text": "the whole of it #End", "entity_set": {"hashtags": [{"text": "End"}]}}
    found = one(result(note_tweet={"note_tweet_results": {"result": note}}))
    assert (found.text, found.hashtags, found.images) == ("the whole of it #End", ("end",), (PICTURE,))


def test_a_result_without_its_status_says_so():
    assert reasons({"__typename": "TweetWithVisibilityResults", "tweet": {"rest_id": "5"}}) == [("missing_field", "5")]


# snscrape


def item(**fields):
    return {
        "_type": "snscrape.modules.twitter.Tweet", "id": 1454422100714803203, "date": "2021-10-30T12:17:05+00:00",
        "content": f"see https://t.co/out {LINK}", "lang": "pt", "hashtags": None, "tcooutlinks": ["https://t.co/out"],
        "media": [{"_type": "snscrape.modules.twitter.Photo", "fullUrl": PHOTO["url"]}], **fields,
    }  # fmt: skip


def test_a_scraped_tweet():
    assert one(item()) == Post(
        "1454422100714803203", "see https://t.co/out", images=(PICTURE,), lang="pt",
        created_at="2021-10-30T12:17:05+00:00",
    )  # fmt: skip


def test_later_snscrape_versions_have_other_names_for_text_and_links():
    later = item(rawContent=f"new {LINK} https://t.co/b", tcooutlinks=None, links=[{"tcourl": "https://t.co/b"}])
    assert one(later).text == "new   https://t.co/b"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"hashtags": ["IFMG", "ifmg"]}, {"hashtags": ("ifmg",)}),
        ({"content": "see #Sun", "media": None}, {"hashtags": ("sun",), "images": ()}),
        ({"retweetedTweet": {"id": 1}}, {"is_repost": True, "is_quote": False}),
        ({"quotedTweet": {"id": 1}}, {"is_repost": False, "is_quote": True}),
        ({"media": [{"_type": "snscrape.modules.twitter.Video", "thumbnailUrl": "https://x"}]}, {"images": ()}),
    ],
)
def test_fields_of_a_scraped_tweet(fields, expected):
    found = one(item(**fields))
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_scraped_tombstone_is_unavailable():
    assert reasons({"_type": "snscrape.modules.twitter.Tombstone", "id": 5}) == [("unavailable", "5")]


# v1.1: personal archives, edits, withheld posts


def status(**fields):
    return {"id_str": "7", "full_text": "a day out #Sun", "entities": {"hashtags": [{"text": "Sun"}]}, **fields}


def test_a_personal_archive_wraps_its_tweets():
    archived = {"tweet": status(favorite_count="3", lang="en", display_text_range=["0", "14"])}
    assert one(archived) == Post("7", "a day out #Sun", hashtags=("sun",), lang="en")


@pytest.mark.parametrize(
    "fields",
    [{"withheld_in_countries": ["DE"]}, {"withheld_copyright": True}, {"withheld_in_countries": "XX"}],
)
def test_a_withheld_status_has_a_reason_of_its_own(fields):
    assert reasons(status(**fields)) == [("withheld", "7")]


def test_a_search_page_gives_all_its_statuses():
    answer = {"statuses": [status(), 5, status(id_str="8")], "search_metadata": {"count": 3}}
    assert [getattr(found, "post_id", "") for found in read(answer)] == ["7", "", "8"]
    assert reasons({"statuses": []}) == [("notice", "")]


def test_a_status_withheld_nowhere_is_a_post():
    assert reasons(status(withheld_in_countries=[], withheld_copyright=False)) == []


EDITS = [
    {"edit_history": {"initial_tweet_id": "5", "edit_tweet_ids": ["5", "6", "7"]}},
    {"edit_control": {"initial_tweet_id": "5", "edit_control_initial": {"edit_tweet_ids": ["5", "6", "7"]}}},
    {"edit_info": {"initial": {"editTweetIds": ["5", "6", "7"]}}},
    {"edit_info": {"edit": {"initialTweetId": "5", "editControlInitial": {"editTweetIds": ["5", "6", "7"]}}}},
]


@pytest.mark.parametrize("fields", EDITS)
def test_edits_are_read_from_every_api(fields):
    found = one(status(**fields))
    assert (found.first_id, found.edit) == ("5", 2)


def test_an_edited_tweet_of_the_v2_api():
    found = one(tweet(7, edit_history_tweet_ids=["5", "7"]))
    assert (found.first_id, found.edit) == ("5", 1)


@pytest.mark.parametrize(
    ("history", "first", "expected"),
    [
        (["7"], "", {}),
        (["7", "8"], "", {"versions": ("7", "8")}),
        (None, "", {}),
        ("7", "", {}),
        (["1", "2"], "", {}),
        ([5, 7], "", {"first_id": "5", "edit": 1, "versions": ("5", "7")}),
        (None, "5", {"first_id": "5", "edit": 1, "versions": ("5", "7")}),
        ([5, 6], "5", {"first_id": "5", "edit": 1, "versions": ("5", "6", "7")}),
        ([None, {}], "7", {}),
    ],
)
def test_which_version_a_post_is(history, first, expected):
    assert edit_fields("7", history, first) == expected


# all formats


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T00:00:10.500Z", 10.5),
        ("1970-01-01 00:00:10", 10),
        ("1970-01-01T01:00:00+01:00", 0),
        ("Thu Jan 01 00:01:00 +0000 1970", 60),
        ("", LONG_AGO),
        ("yesterday", LONG_AGO),
        ("2021-13-45T99:99:99Z", LONG_AGO),
        ("99999-01-01T00:00:00Z", LONG_AGO),
        ("0001-01-01T00:00:00+14:00", -62135596800 - 14 * 3600),
        ("Thu Jan 99 00:01:00 +0000 1970", LONG_AGO),
    ],
)
def test_dates_become_seconds(text, seconds):
    assert moment(text) == seconds


@given(st.text())
def test_any_text_is_a_date_or_the_oldest_date(text):
    assert isinstance(moment(text), float)


@pytest.mark.parametrize("text", ["x" * MAX_CHARACTERS, "😀" * MAX_CHARACTERS])
def test_a_record_with_too_many_characters_is_dropped(text):
    assert reasons(tweet(text=text)) == [("record_too_large", "7")]
    assert reasons(tweet(text=text[: MAX_CHARACTERS - 3])) == []


def test_a_nul_in_a_text_or_a_path_is_replaced():
    assert one({"id": "1\0", "text": "a\0b", "image": "a\0.jpg"}) == Post("1�", "a�b", images=(ImageRef("a�.jpg"),))


@pytest.mark.parametrize(
    "fields", [{"user": "someone"}, {"user": {"name": "x"}}, {"author_id": "1"}, {"source": "web"}]
)
@pytest.mark.parametrize("wrap", [lambda record: record, lambda record: {"data": [record]}])
def test_a_record_of_ones_own_keeps_its_picture_beside_fields_that_a_tweet_has(fields, wrap):
    found = one(wrap({"id": "1", "text": "a #Walk", "image": "a.jpg", **fields}))
    assert found == Post("1", "a #Walk", ("walk",), (ImageRef("a.jpg"),))


def test_a_tweet_of_an_api_stays_one_beside_a_field_of_its_owner():
    status = {"id": 1, "text": "a #Walk", "user": {}, "entities": {"hashtags": []}, "image": "a.jpg"}
    assert one(status) == Post("1", "a #Walk")
    assert one(tweet(image="a.jpg", withheld={"copyright": True, "country_codes": []})).reason == "withheld"


@pytest.mark.parametrize("between", ["", ",", " , ", " "])
@pytest.mark.parametrize("end", ["", ","])
def test_objects_that_follow_each_other_in_a_line_are_records(between, end):
    line = between.join(json.dumps(tweet(number)) for number in (1, 2)) + end
    assert [found.post_id for found in read_records(line.encode())] == ["1", "2"]
    assert [found.post_id for found in read_records((json.dumps(tweet(1)) + ",").encode())] == ["1"]


@pytest.mark.parametrize(
    "line", ['{"id": 1}x', '{"id": 1},,{"id": 2}', '{"id": 1} 5', '{"id": 1}{"id"', '{"a": 1},'[1:]]
)
def test_anything_else_behind_an_object_is_no_json(line):
    assert [found.reason for found in read_records(line.encode())] == ["not_json"]


def test_each_object_of_a_list_is_a_record():
    assert [post.post_id for post in read([tweet(1), tweet(2)])] == ["1", "2"]
    assert [fault.reason for fault in read([tweet(1), 2])] == ["not_an_object"]
    assert [fault.reason for fault in read([])] == ["not_an_object"]


PARTS = {
    "id": ["1", 1, None, [], "\ud800"], "id_str": ["1", {}], "rest_id": ["1", 5], "text": ["a #b", 3, None],
    "full_text": ["c", []], "data": [[], {}, "x", None], "includes": [{}, []], "errors": [[{}], 3],
    "meta": [{}, {"result_count": 0}], "legacy": [{}, [], {"full_text": "x"}], "tweet": [{}, 3],
    "tweet_results": [{"result": {}}, {"result": 3}, []], "edit_control": [{}, 3, {"edit_tweet_ids": 3}],
    "__typename": ["Tweet", "TweetTombstone", "TweetWithVisibilityResults", []], "media": [[{}], 3],
    "_type": ["snscrape.modules.twitter.Tweet", "snscrape.modules.twitter.User", 3], "author_id": ["1"], "user": [{}],
    "entities": [{}, {"hashtags": [{"tag": 3}], "urls": [{"url": 3}]}, 3], "__twarc": [{}, {"retrieved_at": 3}, 3],
    "attachments": [{}, {"media_keys": ["3_1", 3]}, 3], "edit_history_tweet_ids": [["1"], 3, [None]],
    "note_tweet": [{}, {"text": 3}, 3], "withheld": [{}, {"country_codes": 3}, 3], "withheld_in_countries": [3],
    "referenced_tweets": [[{"type": 3}], 3], "links": [[{"tcourl": 3}], 3], "tcooutlinks": [[3], 3], "delete": [{}],
    "statuses": [[], [{}], 3],
    "created_at": ["x", 3], "content": ["x", 3],
}  # fmt: skip
NAMES = st.sampled_from(["data", "tweet", "tweet_results", "result", "legacy"])
ODD = st.recursive(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in PARTS.items()}),
    lambda inner: st.dictionaries(NAMES, inner | st.lists(inner, max_size=2), max_size=3),
    max_leaves=5,
)


@given(ODD, st.sampled_from(["", *FORMATS[:-1]]))
def test_any_object_gives_at_least_one_post_or_reason(record, forced):
    found = read(record, forced)
    assert found
    for item in found:
        assert isinstance(item, Post | RecordFault)
        repr(item).encode()
        if isinstance(item, RecordFault):
            f"{item.record_id}{item.detail}".encode()
