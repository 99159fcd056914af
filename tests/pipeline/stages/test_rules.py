"""Every rule of cleaning at its boundary, against plain definitions where it looks at all posts."""

import hashlib
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.cleaning.duplicates import (
    KeepFirst,
    first_version,
    keep_last_edit,
    keep_newest,
    quote,
    repost,
    same_text,
)
from m3h.pipeline.cleaning.groups import age, groups, record_key
from m3h.pipeline.cleaning.image_rules import fetchable, single_picture
from m3h.pipeline.cleaning.rare_hashtags import rare_posts
from m3h.pipeline.cleaning.splits import shared_traits, split_of
from m3h.pipeline.cleaning.text_rules import text_reason
from m3h.pipeline.rules import CleanRules, SplitRules
from m3h.pipeline.text.language import language_of
from m3h.schemas.posts import Dropped, ImageRef, Post, text_key


def post(post_id="1", tokens=4, hashtags=1, **fields):
    fields = {"text": "", "tokens": ("w",) * tokens, "hashtags": tuple(f"h{i}" for i in range(hashtags)), **fields}
    return Post(post_id, **fields)


@pytest.mark.parametrize(
    ("tokens", "hashtags", "rules", "expected"),
    [
        (4, 1, {}, None),
        (3, 1, {}, ("too_few_tokens", "3 tokens")),
        (0, 1, {}, ("too_few_tokens", "0 tokens")),
        (4, 5, {}, None),
        (4, 6, {}, ("too_many_hashtags", "6 hashtags")),
        (4, 0, {}, ("no_hashtag", "")),
        (3, 6, {}, ("too_few_tokens", "3 tokens")),
        (0, 1, {"min_tokens": 0}, None),
        (9, 2, {"max_hashtags": 1}, ("too_many_hashtags", "2 hashtags")),
    ],
)
def test_tokens_and_hashtags_are_counted(tokens, hashtags, rules, expected):
    assert text_reason(post(tokens=tokens, hashtags=hashtags), CleanRules(**rules)) == expected


@pytest.mark.parametrize(
    ("count", "reason"), [(0, "no_image"), (1, None), (2, "several_images"), (4, "several_images")]
)
def test_exactly_one_picture_stays(count, reason):
    one = post(images=tuple(ImageRef(f"{i}.jpg") for i in range(count)))
    verdict = single_picture(one)
    assert verdict == one if reason is None else (verdict.stage, verdict.reason) == ("image", reason)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([ImageRef("", "http://a/b.jpg")], None),
        ([ImageRef("b.jpg", "http://a/b.jpg")], None),
        ([ImageRef("b.jpg")], "no_url"),
    ],
)
def test_a_picture_is_fetched_where_it_has_a_url(images, reason):
    one = post(images=tuple(images))
    verdict = fetchable(one)
    assert verdict == one if reason is None else (verdict.stage, verdict.reason) == ("image", reason)


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("en", "was it quatsch", "en"),
        ("en-gb", "", "en"),
        ("PT_br", "", "pt"),
        ("in", "", "id"),
        (None, "I love fashion nova so so much", "en"),
        (None, "RT @you: Y’all go watch my one and only tik tok &lt;3", "en"),
        ("de", "this is plainly english text", "de"),
        ("und", "this is plainly an english sentence about the weather", "en"),
        (None, "das ist ganz eindeutig ein deutscher satz über das wetter", "de"),
        ("zxx", "c'est clairement une phrase en français sur la météo @english #english http://english", "fr"),
        ("", "this is plainly an english sentence about the weather", "en"),
    ],
)
def test_the_dump_says_the_language_and_else_the_words_do(lang, text, expected):
    assert language_of(Post("1", text, lang=lang)) == expected


# duplicates


def test_of_one_id_the_record_read_last_stays_where_nothing_else_tells():
    first, middle, last = (post(source="v1:a", position=i, text=str(i)) for i in (2, 9, 10))
    kept, *gone = keep_newest([first, middle, last])
    assert kept == last
    assert gone == [
        Dropped("duplicates", "duplicate_id", "1", "v1:a", 2, "1 at v1:a, 10"),
        Dropped("duplicates", "duplicate_id", "1", "v1:a", 9, "1 at v1:a, 10"),
    ]


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"collected_at": "2022-01-02T00:00:00Z"}, {"collected_at": "2022-01-01T23:59:59.999Z", "source": "v9:z"}),
        ({"collected_at": "2022-01-01"}, {"created_at": "2030-01-01"}),
        ({"created_at": "Sun Jan 02 00:00:00 +0000 2022"}, {"created_at": "2022-01-01T00:00:00Z", "position": 99}),
        ({"created_at": "2022-01-01T00:00:00-01:00"}, {"created_at": "2022-01-01T00:30:00Z"}),
        ({"created_at": "2022-01-01"}, {"created_at": "99999-99-99", "source": "v9:z"}),
        ({"source": "v2:b", "position": 1}, {"source": "v2:a", "position": 2}),
        ({"source": "v2:b", "position": 10}, {"source": "v2:b", "position": 9}),
    ],
)
def test_of_one_id_the_newest_record_stays(newer, older):
    for both in ([post(**newer), post(**older)], [post(**older), post(**newer)]):
        kept, gone = keep_newest(both)
        assert kept == post(**newer)
        assert (gone.source, gone.position) == (older.get("source", ""), older.get("position", 0))


def test_the_last_edit_stays_and_is_named():
    versions = [post("5"), post("7", first_id="5", edit=1), post("9", first_id="5", edit=2, position=3)]
    for order in permutations(versions):
        kept, *gone = keep_last_edit(list(order))
        assert kept.post_id == "9"
        assert sorted((item.record_id, item.reason, item.detail) for item in gone) == [
            ("5", "superseded", "9 at , 3"), ("7", "superseded", "9 at , 3"),
        ]  # fmt: skip


def test_versions_of_a_post_are_one_group_even_where_only_one_record_knows_of_the_edit():
    unknowing = post("7", collected_at="2022-01-02")
    knowing = post("7", collected_at="2022-01-01", first_id="5", edit=1)
    kept, _ = keep_newest([unknowing, knowing])
    assert kept == unknowing.having(first_id="5", edit=1)
    assert first_version(kept) == first_version(post("5")) == "5"


VERSIONS = st.builds(
    post,
    st.just("1"),
    edit=st.integers(0, 3),
    collected_at=st.sampled_from(["", "2022-01-01", "2022-01-02", "odd"]),
    created_at=st.sampled_from(["", "2021-01-01", "9999-99-99"]),
    source=st.sampled_from(["a", "b"]),
    position=st.integers(1, 5),
)


@given(st.lists(VERSIONS, min_size=1, max_size=5, unique_by=record_key), st.randoms(use_true_random=False))
def test_what_stays_does_not_depend_on_the_order(posts, random):
    shuffled = random.sample(posts, len(posts))
    for decide in (keep_newest, keep_last_edit):
        kept, *gone = decide(posts)
        again, *gone_again = decide(shuffled)
        assert kept == again
        assert sorted(gone) == sorted(gone_again)
        assert len(gone) == len(posts) - 1


def test_of_what_is_shared_the_first_stays_and_is_named():
    kept, gone = KeepFirst("duplicate_text")([post("3"), post("5", source="v1:b", position=7)])
    assert kept == post("3")
    assert gone == Dropped("duplicates", "duplicate_text", "5", "v1:b", 7, "3")


def test_one_alone_stays():
    assert keep_newest([post()]) == [post()] == KeepFirst("x")([post()])


def test_a_retweet_goes():
    assert repost(post()) == post()
    assert repost(post(is_repost=True)).reason == "retweet"


def test_a_quote_goes_where_quotes_are_not_wanted():
    assert quote(post()) == post()
    assert quote(post(is_quote=True)).reason == "quote"


def test_posts_that_say_nothing_say_the_same_as_no_other():
    one, other = (post(str(i), position=i).having(tokens=("<url>", "<mention>")) for i in (1, 2))
    assert text_key(one.tokens) == text_key(other.tokens) == ""
    assert same_text(one) != same_text(other)


def test_texts_are_compared_without_links_and_mentions():
    assert text_key(()) == ""
    one, other = (post().having(tokens=tuple(t.split())) for t in ("hi <mention> there <url>", "hi there <url> <url>"))
    assert text_key(one.tokens) == text_key(other.tokens) == "hi there"
    assert text_key(("hi", "<number>")) == "hi <number>"


def test_ids_that_are_numbers_are_ordered_as_numbers():
    ids = ["b", "9", "10", "a", "9" * 5000, "2" * 19, "007", "²"]
    assert sorted(ids, key=lambda i: age(post(i))) == ["9" * 5000, "a", "b", "²", "007", "9", "10", "2" * 19]


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3), st.integers(1, 3)), unique=True, max_size=6))
def test_no_two_records_are_of_one_age_or_key(names):
    posts = [post(i, source=source.replace("\t", ""), position=position) for i, source, position in names]
    distinct = {(p.post_id, p.source, p.position) for p in posts}
    assert len({age(p) for p in posts}) == len(distinct)
    assert len({record_key(p) for p in posts}) == len({(p.source, p.position) for p in posts})


# rare hashtags

TAGS = st.lists(st.lists(st.sampled_from("abcdef"), unique=True, max_size=4), max_size=25).map(
    lambda posts: {f"p{i:02d}": tuple(tags) for i, tags in enumerate(posts)}
)


def naive_rare(hashtags, least):
    left, gone = dict(hashtags), {}
    while True:
        counts = Counter(tag for tags in left.values() for tag in tags)
        newly = {post: rare for post, tags in left.items() if (rare := [tag for tag in tags if counts[tag] < least])}
        if not newly:
            return gone
        gone |= {post: min(rare) for post, rare in newly.items()}
        left = {post: tags for post, tags in left.items() if post not in newly}


def test_a_rare_hashtag_takes_frequent_ones_along():
    hashtags = {"1": ("a",), "2": ("a", "b"), "3": ("b", "c"), "4": ("d",), "5": ("d",)}
    assert rare_posts(hashtags, 2) == {"3": "c", "2": "b", "1": "a"}  # c is rare, so b becomes so, so a becomes so


def test_the_first_hashtag_that_is_rare_in_the_round_in_which_a_post_goes_decides():
    hashtags = {"1": ("z", "y"), "2": ("z", "b"), "3": ("b", "a", "c"), "4": ("c", "d"), "5": ("a", "d"), "6": ("d",)}
    # y is rare, then z, then b. Then a and c become rare together.
    assert rare_posts(hashtags, 2) == {"1": "y", "2": "z", "3": "b", "4": "c", "5": "a", "6": "d"}
    assert rare_posts({"1": ("b", "a"), "2": ("c", "a")}, 2) == {"1": "b", "2": "c"}
    assert rare_posts({"1": ("b", "a", "c"), "2": ("c",)}, 2) == {"1": "a", "2": "c"}


@given(TAGS, st.integers(1, 6))
def test_those_that_stay_obey_the_rule_and_are_as_many_as_can_be(hashtags, least):
    gone = rare_posts(hashtags, least)
    assert gone == naive_rare(hashtags, least)
    counts = Counter(tag for post, tags in hashtags.items() if post not in gone for tag in tags)
    assert all(count >= least for count in counts.values())
    assert all(tag in hashtags[post] and counts[tag] < least for post, tag in gone.items())


@given(TAGS, st.integers(1, 6), st.randoms(use_true_random=False))
def test_who_goes_and_why_does_not_depend_on_the_order(hashtags, least, rng):
    items = list(hashtags.items())
    rng.shuffle(items)
    assert rare_posts(dict(items), least) == rare_posts(hashtags, least)


# groups and splits


def traits_of(shared):
    """record -> (age, shared): record r<i> is post <i>."""
    return {f"r{i}": ((i, str(i), "", 0), tuple(names)) for i, names in enumerate(shared)}


def naive_groups(traits, links=()):
    """Each trait stands for itself and for what it is linked to; then the components by brute force."""
    component = {record: {record} for record in traits}
    touch = {(a, b) for a, b in links} | {(b, a) for a, b in links}
    changed = True
    while changed:
        changed = False
        for a in traits:
            for b in traits:
                shared = any(x == y or (x, y) in touch for x in traits[a][1] for y in traits[b][1])
                if component[a] is not component[b] and shared:
                    union = component[a] | component[b]
                    for record in union:
                        component[record] = union
                    changed = True
    return {record: min(traits[other][0] for other in component[record])[1] for record in traits}


SHARED = st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=3), max_size=15)
LINKS = st.lists(st.tuples(st.sampled_from("abcdefghijx"), st.sampled_from("abcdefghijx")), max_size=4)


def test_a_chain_of_shared_traits_is_one_group_named_after_its_first_post():
    shared = [["a"], ["b"], ["b", "c"], ["c", "a"], ["d"]]
    assert groups(traits_of(shared)) == {"r0": "0", "r1": "0", "r2": "0", "r3": "0", "r4": "4"}
    assert groups(traits_of(shared), [("a", "d")]) == dict.fromkeys(("r0", "r1", "r2", "r3", "r4"), "0")


@given(SHARED, LINKS, st.randoms(use_true_random=False))
def test_groups_are_the_connected_components(shared, links, rng):
    traits = traits_of(shared)
    items, pairs = list(traits.items()), [pair[:: rng.choice((1, -1))] for pair in links]
    rng.shuffle(items)
    rng.shuffle(pairs)
    assert groups(dict(items), pairs) == naive_groups(traits, links)


@given(SHARED, st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=1))
def test_a_later_post_that_joins_one_group_renames_none(shared, later):
    before = groups(traits_of(shared))
    after = groups(traits_of([*shared, later]))
    assert {record: after[record] for record in before} == before


@given(SHARED, st.lists(st.sampled_from("abcdefghij"), min_size=2, max_size=3))
def test_a_later_post_may_merge_groups_but_never_divides_one(shared, later):
    before, after = groups(traits_of(shared)), groups(traits_of([*shared, later]))
    together = {}
    for record, group in before.items():
        assert together.setdefault(group, after[record]) == after[record]


def test_a_post_shares_its_picture_and_its_text():
    one = post("7", image_sha256="ab").having(tokens=("hi", "<url>"))
    digest = hashlib.sha256(b"hi").hexdigest()[:32]
    assert shared_traits(one) == (age(one), ["image ab", f"text {digest}"])
    assert shared_traits(one.having(tokens=("<url>",))) == (age(one), ["image ab"])


def test_shares_are_roughly_as_asked_for():
    counts = Counter(split_of(str(group), SplitRules()) for group in range(10_000))
    assert abs(counts["test"] - 1000) < 120  # 4 standard deviations
    assert abs(counts["valid"] - 1000) < 120
    assert counts.total() == 10_000


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"valid": 0, "test": 0}, {"train"}),
        ({"valid": 1, "test": 0}, {"valid"}),
        ({"valid": 0, "test": 1}, {"test"}),
        ({"valid": 0.5, "test": 0.5}, {"valid", "test"}),
    ],
)
def test_shares_of_nothing_and_everything(rules, expected):
    assert {split_of(str(group), SplitRules(**rules)) for group in range(200)} == expected


def test_another_key_is_another_division():
    first, second = ([split_of(str(g), SplitRules(key=key)) for g in range(200)] for key in ("m3h", "other"))
    assert first != second
    assert first == [split_of(str(g), SplitRules()) for g in range(200)]


@given(st.text(max_size=8), st.floats(0, 0.3), st.floats(0, 0.3))
def test_a_larger_test_share_moves_groups_only_into_test(group, smaller, more):
    before = split_of(group, SplitRules(test=smaller, valid=0.2))
    after = split_of(group, SplitRules(test=smaller + more, valid=0.2))
    assert before != "test" or after == "test"
