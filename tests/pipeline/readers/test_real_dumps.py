"""Every real dump file is read completely: the counts are right, and each post makes sense."""

import gzip
import json
from collections import Counter

import pytest

from m3h.pipeline.readers.dumps import DumpFile, raw_record, read_dump
from m3h.pipeline.text.dates import moment
from m3h.schemas.posts import Post

FIRST_TWEET = moment("2006-03-21T20:50:14Z")

# file: posts, dropped, posts with hashtags, pictures, retweets, quotes, edits
FILES = {
    "graphql/twscrape_results": (437, {}, 35, 148, 85, 56, 5),
    "snscrape/text-query-tweets": (538, {}, 86, 126, 0, 31, 0),
    "v1/python_twitter": (569, {}, 86, 134, 167, 22, 0),
    "v1/python_twitter_stream_lines": (72, {}, 25, 20, 1, 8, 0),
    "v1/tweepy_cassettes": (99, {}, 6, 29, 26, 0, 0),
    "v1/tweet_parser": (25, {}, 2, 3, 3, 8, 0),
    "v1/twitter_ruby": (394, {}, 107, 68, 71, 20, 0),
    "v2/2sets": (200, {}, 175, 22, 145, 11, 0),
    "v2/brexit": (100, {}, 77, 6, 67, 11, 0),
    "v2/cashtags": (1, {}, 1, 1, 0, 0, 0),
    "v2/cotweet": (1, {}, 0, 0, 0, 0, 0),
    "v2/edited": (1, {}, 0, 0, 0, 0, 1),
    "v2/edited_after": (1, {}, 0, 0, 0, 0, 1),
    "v2/edited_before": (1, {}, 0, 1, 0, 0, 0),
    "v2/entities_test": (474, {}, 89, 0, 314, 12, 0),
    "v2/flat": (100, {}, 8, 1, 47, 8, 0),
    "v2/geo_tweets": (2, {}, 1, 0, 0, 0, 0),
    "v2/kpop": (100, {}, 98, 16, 78, 0, 0),
    "v2/many_urls": (1, {}, 0, 0, 0, 0, 0),
    "v2/media_policy_violation_off": (100, {}, 48, 13, 42, 14, 0),
    "v2/media_policy_violation_on": (100, {}, 0, 13, 42, 14, 0),
    "v2/media_tweet": (1, {}, 0, 0, 0, 0, 0),
    "v2/mentions_tweet": (1, {}, 0, 0, 1, 0, 0),
    "v2/noflat": (100, {}, 8, 1, 47, 8, 0),
    "v2/quoted_edit": (1, {}, 0, 0, 0, 1, 0),
    "v2/streaming_output_with_error": (7, {"not_json": 1}, 1, 2, 0, 1, 0),
    "v2/two_tweets": (1, {}, 1, 0, 1, 0, 0),
    "v2/verified_type": (1, {}, 0, 0, 0, 0, 0),
    "v2/withheld": (202, {"withheld": 13}, 60, 20, 73, 8, 0),
}


def path_of(m3h_data, name):
    return m3h_data / f"tweets_{name}.jsonl.gz"


def read(m3h_data, name):
    path = path_of(m3h_data, name)
    return list(read_dump(DumpFile(path.name, str(path))))


def lines(m3h_data, name):
    return gzip.decompress(path_of(m3h_data, name).read_bytes()).split(b"\n")[:-1]


def test_every_real_dump_file_is_in_the_table(m3h_data):
    found = {f"{path.parent.name}/{path.name}" for path in m3h_data.glob("tweets_*/*.gz")}
    assert found == {f"tweets_{name}.jsonl.gz" for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_every_record_of_a_real_dump_is_accounted_for(m3h_data, name):
    found = read(m3h_data, name)
    posts = [item for item in found if isinstance(item, Post)]
    dropped = Counter(item.reason for item in found if not isinstance(item, Post))
    assert len(found) == len(posts) + sum(dropped.values())
    assert [item.position for item in found] == list(range(1, len(found) + 1))
    assert FILES[name] == (
        len(posts), dropped, sum(bool(p.hashtags) for p in posts), sum(len(p.images) for p in posts),
        sum(p.is_repost for p in posts), sum(p.is_quote for p in posts), sum(p.edit for p in posts),
    )  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_post_of_a_real_dump_makes_sense(m3h_data, name):
    for post in read(m3h_data, name):
        if not isinstance(post, Post):
            continue
        assert post.post_id.isdigit()
        assert post.text == post.text.strip()
        assert post.lang is None or 2 <= len(post.lang) <= 5
        assert FIRST_TWEET <= moment(post.created_at) < moment("2027-01-01")
        assert post.hashtags == tuple(dict.fromkeys(tag.lower() for tag in post.hashtags))
        for image in post.images:
            assert image.path.startswith("3_") or "twimg.com/" in image.url
            assert "video" not in image.url
        if post.first_id:
            assert int(post.first_id) < int(post.post_id)
        if name.startswith("v2"):
            assert moment(post.created_at) < moment(post.collected_at)


def tweets_of_page(line):
    try:
        page = json.loads(line)
    except ValueError:
        return []
    data = page.get("data", page)
    return data if isinstance(data, list) else [data]


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("v2")])
def test_ids_and_hashtags_are_those_the_api_marked(m3h_data, name):
    tweets = {tweet["id"]: tweet for line in lines(m3h_data, name) for tweet in tweets_of_page(line)}
    for item in read(m3h_data, name):
        if isinstance(item, Post):
            marked = tweets[item.post_id].get("entities", {}).get("hashtags", [])
            assert item.hashtags == tuple(dict.fromkeys(mark["tag"].lower() for mark in marked))
        elif item.reason == "withheld":
            assert "withheld" in tweets[item.record_id]


@pytest.mark.parametrize("name", FILES)
def test_the_raw_bytes_of_a_real_record_are_found_by_its_position(m3h_data, name):
    stored = lines(m3h_data, name)
    path = path_of(m3h_data, name)
    dump = DumpFile(path.name, str(path))
    found = read(m3h_data, name)
    for item in (found[0], found[len(found) // 2], found[-1]):
        raw = raw_record(dump, item.position)
        assert raw in stored
        assert getattr(item, "post_id", getattr(item, "record_id", "")).encode() in raw


def test_a_page_and_the_same_page_flattened_are_the_same_posts(m3h_data):
    def posts(name):
        return [item.having(source="", position=0, collected_at="") for item in read(m3h_data, name)]

    assert posts("v2/flat") == posts("v2/noflat")


def test_a_post_collected_before_and_after_its_edit_is_one_post(m3h_data):
    before, after = (read(m3h_data, f"v2/edited_{when}")[0] for when in ("before", "after"))
    assert (before.post_id, before.first_id, before.edit) == (after.first_id, "", 0)
    assert after.edit == 1
    assert len(before.images) == 1
    assert after.images == ()
