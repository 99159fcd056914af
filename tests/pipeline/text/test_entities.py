"""Links, hashtags, mentions and cashtags: worked out by hand, Twitter's own suite, and laws for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.conformance import failures, groups
from m3h.pipeline.text.entities import Entity, cashtags, entities, hashtags, mentions, urls


def values(found):
    return [entity.value for entity in found]


def test_a_text_with_everything_gives_every_part_in_order():
    text = "@bob see x.org/a #Tag, https://t.co/Ab1's $TSLA @al/friends"
    assert entities(text) == [
        Entity("mention", "bob", 0, 4),
        Entity("url", "x.org/a", 9, 16),
        Entity("hashtag", "Tag", 17, 21),
        Entity("url", "https://t.co/Ab1", 23, 39),
        Entity("cashtag", "TSLA", 42, 47),
        Entity("list", "al/friends", 48, 59),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#one #2 #3d (#four) ＃five", ["one", "3d", "four", "five"]),
        ("a#b &#39; #️⃣ #c#d #http://x.org", []),
        ("http://x.org/#a x.org/#b #c", ["c"]),
        ("👨‍👩‍👧#family 日本#語 。#語", ["family", "語"]),
    ],
)
def test_hashtags_stand_alone_and_hold_a_letter(text, expected):
    assert values(hashtags(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("me@mail.com @a @b_1: RT@c .@d", ["a", "b_1", "c", "d"]),
        ("f!@n @é @@x @http://x.org", []),
        ("@" + "a" * 20 + " @b/list-1 @b/1", ["a" * 20, "b/list-1", "b"]),
    ],
)
def test_mentions_are_accounts_and_lists(text, expected):
    assert values(mentions(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so.it end.No me@mail.com x.tar.bz2 3.5", ["so.it", "end.No"]),
        ("wowhttps://t.co/abc, (see a.co/b(c)d)", ["a.co/b(c)d"]),
        ("日本https://t.co/abc日本 ‏x.org‏", ["https://t.co/abc", "x.org"]),
        ("http://x.org/a... http://x.org?a=b&c=d. http://a_b.x.org:80/", ["http://x.org/a", "http://x.org?a=b&c=d", "http://a_b.x.org:80/"]),
    ],
)  # fmt: skip
def test_links_end_where_their_address_ends(text, expected):
    assert values(urls(text)) == expected


def test_cashtags_are_short_and_stand_alone():
    assert values(cashtags("$A $BRK.B, $toolong1 a$B $1 $C-$D ($E)")) == ["A", "BRK.B", "C"]


PIECES = st.sampled_from(
    ["#", "@", "$", ".", "/", "http://", "a", "Ab1", "com", "日", " ", "-", "_", "(", ")", "?", "&", "rt", ":", "é"]
)


@given(st.text(max_size=40) | st.lists(PIECES, max_size=25).map("".join))
def test_entities_lie_apart_where_they_say_in_any_text(text):
    end = 0
    for entity in entities(text):
        assert end <= entity.start < entity.end <= len(text)
        sign = "" if entity.kind == "url" else text[entity.start]
        assert text[entity.start : entity.end] == sign + entity.value
        assert sign in ("", "#", "＃", "@", "＠", "$")
        end = entity.end


@pytest.mark.parametrize(
    "piece",
    ["a.", "1-", "a.com", "あ.", "ああ.", "http://", "http://a.", "http://a.com/(", "a_", "@a", "#a", "$a", "rt:@"],
)  # fmt: skip
def test_a_hostile_text_is_read_to_its_end(piece):
    text = piece * (10_000 // len(piece)) + " #end"
    assert values(hashtags(text))[-1] == "end"


def test_every_case_of_twitters_own_suite_passes(m3h_data):
    folder = m3h_data / "twitter_text_conformance"
    assert {group: [case["text"] for case in wrong] for group, wrong in failures(folder).items() if wrong} == {}
    assert {group: len(cases) for group, cases in groups(folder).items()} == {
        "hashtags": 65, "hashtags_from_astral": 3, "hashtags_with_indices": 8,
        "mentions": 23, "mentions_with_indices": 3, "mentions_or_lists_with_indices": 5, "replies": 13,
        "urls": 91, "urls_with_indices": 10, "urls_with_directional_markers": 2, "tco_urls_with_params": 5,
        "cashtags": 8, "cashtags_with_indices": 2, "country": 311, "generic": 1251,
    }  # fmt: skip
