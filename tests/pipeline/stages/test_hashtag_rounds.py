"""Rare hashtags by rounds of counts decide what one process decides, and name the same hashtags."""

from collections import Counter

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.cleaning.hashtag_rounds import OpenList, added, is_rare, is_safe, still_open
from m3h.pipeline.cleaning.rare_hashtags import kept_by_rule, rare_hashtags, rare_posts, without_hashtags
from m3h.pipeline.rules import CleanRules, TextRules
from m3h.pipeline.stages.coders import pack, unpack
from m3h.pipeline.stages.hashtag_rounds import RareLists
from m3h.pipeline.stages.rare_hashtags import KeptByRule, RareHashtags
from m3h.schemas.posts import Dropped, Post

TAG_LISTS = st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=4).map(tuple), max_size=40)


def chain(length):
    """Each hashtag is in two posts, but the first and the last. So in every round a post goes at both ends."""
    return [(f"t{i:03d}", f"t{i + 1:03d}") for i in range(length)]


DEGENERATE = [
    *([], [()] * 3),
    chain(25),  # longer than the rounds
    [("hub", f"ray{i}") for i in range(30)],  # a star: all go at once, but for the hub's sake none
    [("b", "a"), ("a", "b"), ("a", "b")],
    [("c",)] * 3 + [("c", "d")] * 3,
]


def together(cases):
    """Many cases in one pipeline: hashtags of two of them are never the same, so they do not meet."""
    lists = [tuple(f"{number}.{tag}" for tag in tags) for number, case in enumerate(cases) for tags in case]
    return [
        Post(str(i), "", hashtags=tags, keyphrases=tags, source="jsonl:d", position=i) for i, tags in enumerate(lists)
    ]


def expected(posts, least, rule):
    """What becomes of each post, by the functions of one process."""
    hashtags = {post.post_id: post.hashtags for post in posts}
    if rule == "drop_post":
        gone = rare_posts(hashtags, least)
        return [(i, f"#{gone[i]}" if i in gone else tags) for i, tags in hashtags.items()]
    rare = rare_hashtags(hashtags, least)
    verdicts = [without_hashtags(post, rare[post.post_id], {}) for post in posts]
    return [
        (post.post_id, verdict.detail if isinstance(verdict, Dropped) else verdict.hashtags)
        for post, verdict in zip(posts, verdicts, strict=True)
    ]


def check(cases, least, rule):
    posts = together(cases)
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        made = root | beam.Create(posts)
        out = made | RareHashtags(CleanRules(min_hashtag_count=least, rare_hashtags=rule), TextRules(), in_rounds=True)
        left = out.keep | "left" >> beam.Map(lambda post: (post.post_id, post.hashtags))
        gone = out.dropped | "gone" >> beam.Map(lambda dropped: (dropped.record_id, dropped.detail))
        assert_that((left, gone) | beam.Flatten(), equal_to(expected(posts, least, rule)), "posts")
        kept = made | KeptByRule(least, in_rounds=True)
        lists = Counter(tuple(sorted(post.hashtags)) for post in posts)
        assert_that(kept, equal_to(list(kept_by_rule(lists, least).items())), "kept")


@pytest.mark.parametrize("rule", ["drop_post", "drop_tag"])
def test_degenerate_lists_are_decided_as_by_one_process(rule):
    check(DEGENERATE, 2, rule)
    check([[]], 2, rule)


@settings(max_examples=3, deadline=None)
@given(st.lists(TAG_LISTS, min_size=20, max_size=40), st.integers(1, 6), st.sampled_from(["drop_post", "drop_tag"]))
def test_rounds_decide_what_one_process_decides(cases, least, rule):
    check(cases, least, rule)


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_however_many_rounds_are_wired_the_same_lists_go_for_the_same_hashtags(rounds):
    tag_lists = [*chain(12), ("x", "y"), ("y",), ("t003", "y"), ("p", "q"), ("q", "s"), ("s", "p")]
    lists = {pack(tags): (1 + i % 3, tags) for i, tags in enumerate(tag_lists)}
    gone = rare_posts({k: tags for k, (_, tags) in lists.items()}, 3, {k: posts for k, (posts, _) in lists.items()})
    assert 0 < len(gone) < len(lists)
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        made = root | beam.Create([(name, pack(value)) for name, value in lists.items()])
        found = made | RareLists(3, rounds) | beam.MapTuple(lambda name, packed: (name, *unpack(packed)))
        assert_that(found, equal_to([(name, tag, lists[name][0]) for name, tag in gone.items()]))


WEIGHTED = st.dictionaries(
    st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=4).map(lambda tags: tuple(sorted(tags))),
    st.integers(1, 6), max_size=20,
)  # fmt: skip


def counts_of(lists, least):
    counts = {}
    for tags, posts in lists.items():
        support = OpenList(posts, tags).support(least)
        for tag in tags:
            counts[tag] = added(counts.get(tag, (0, 0, [])), (posts, support, [pack(tags)]), least)
    return counts


@given(WEIGHTED, st.integers(1, 8))
def test_a_safe_hashtag_keeps_enough_posts_whatever_goes(lists, least):
    gone = rare_posts({pack(tags): tags for tags in lists}, least, {pack(tags): n for tags, n in lists.items()})
    left = Counter()
    for tags, posts in lists.items():
        if pack(tags) not in gone:
            left.update(dict.fromkeys(tags, posts))
    counts = counts_of(lists, least)
    assert all(left[tag] >= least for tag, count in counts.items() if is_safe(count, least))
    assert all(left[tag] == 0 for tag, count in counts.items() if is_rare(count, least))


@given(WEIGHTED, st.integers(1, 8))
def test_a_post_counts_as_often_as_it_is_said_to(lists, least):
    weighted = rare_posts({pack(tags): tags for tags in lists}, least, {pack(tags): n for tags, n in lists.items()})
    single = {f"{number} {i}": tags for number, tags in enumerate(lists) for i in range(lists[tags])}
    gone = rare_posts(single, least)
    assert {pack(single[post]): tag for post, tag in gone.items()} == weighted


@given(WEIGHTED, st.integers(1, 8))
def test_only_the_places_of_a_rare_hashtag_are_remembered(lists, least):
    for tag, (posts, _, places) in counts_of(lists, least).items():
        mine = [pack(tags) for tags in lists if tag in tags]
        assert posts == min(least, sum(number for tags, number in lists.items() if tag in tags))
        assert places == (mine if posts < least else [])


def test_a_list_stays_open_for_its_hashtags_that_are_not_safe():
    one = OpenList(3, ("a", "b", "c"))
    assert still_open(one, {"b"}) == OpenList(3, ("a", "c"))
    assert still_open(one, {"a", "b", "c"}) is None
    assert [one.support(3), one.support(4), OpenList(3, ("a",)).support(4)] == [3, 0, 3]
