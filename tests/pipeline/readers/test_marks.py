"""The format of a record is looked for among those whose marks it has, and none is missed by that."""

from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.readers import formats

NAMES = sorted(
    {
        *(name for format_ in formats._ALL for name in format_.marks),
        *(
            "id",
            "id_str",
            "rest_id",
            "user",
            "entities",
            "author",
            "author_id",
            "record",
            "value",
            "notFound",
            "account",
        ),
        *("content", "payload", "time_us", "kind", "object", "actor", "orderedItems", "verb", "body", "tweet_id"),
        *("username", "conversation_id", "image", "hashtags", "result_count", "activity_count", "mblogid"),
    }
)
LEAVES = st.sampled_from(
    (
        *(None, True, 1, "a", "at://did:plc:a/app.bsky.feed.post/1", "http://a.bc", "Note", "Create", "Tweet"),
        *(
            "OrderedCollection",
            "TweetTombstone",
            "snscrape.modules.twitter.Tweet",
            "twitter",
            "activity",
            "update",
            "commit",
        ),
    )
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
)
RECORDS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)


@settings(max_examples=500, deadline=None)
@given(RECORDS)
def test_what_has_no_mark_of_a_format_is_not_of_that_format(record: dict[str, object]) -> None:
    for format_ in formats._ALL:
        assert not format_.matches({name: value for name, value in record.items() if name not in format_.marks})


@settings(max_examples=300, deadline=None)
@given(RECORDS)
def test_the_format_is_the_first_that_matches(record: dict[str, object]) -> None:
    first = next((format_ for format_ in formats._ALL if format_.matches(record)), None)
    assert first in (formats.format_of(record, ""), formats._V2_TWEET, formats._V1_STATUS)


def test_a_status_is_asked_only_whether_it_is_one() -> None:
    record = {"id_str": "1", "full_text": "sun", "user": {}, "entities": {}, "lang": "en"}
    assert formats._possible(tuple(record)) == (formats._V1_STATUS, formats._PLAIN)
    assert formats.format_of(record, "") is formats._V1_STATUS
