"""Rare hashtags taken off posts: what stays, what goes, and what each rule would keep."""

import json
from collections import Counter
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.checks.rules import broken_rules
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.cleaning.rare_hashtags import kept_by_rule, rare_hashtags, rare_posts, without_hashtags
from m3h.pipeline.rules import CleanRules, TextRules
from m3h.pipeline.stages.rare_hashtags import KeptByRule, RareHashtags
from m3h.schemas.dataset import Dataset
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import Dropped, Post
from tests.commands import run
from tests.pipeline.fakes import small_dump

TAGS = {"1": ("sun", "sea"), "2": ("sun", "dog"), "3": ("sun",), "4": ("cat",), "5": ("cat", "dog"), "6": ()}
"""At a count of 2, `sea` is rare. Post 1 takes a `sun` along, and nothing becomes rare by that."""


def post(name: str, tags: tuple[str, ...], **fields: object) -> Post:
    words = ("a", "walk", "by", "the", "river")
    return Post(name, "", hashtags=tags, keyphrases=tags, tokens=words, lang="en", position=int(name)).having(**fields)


def test_what_each_rule_keeps_by_hand():
    assert rare_hashtags(TAGS, 2) == {"1": ["sea"], "2": [], "3": [], "4": [], "5": [], "6": []}
    assert kept_by_rule(Counter(TAGS.values()), 2) == {"drop_post": 5, "drop_tag": 6}
    assert kept_by_rule(Counter(TAGS.values()), 3) == {"drop_post": 1, "drop_tag": 4}  # dog takes sun along


LISTS = st.dictionaries(
    st.integers(1, 40).map(str), st.lists(st.sampled_from("abcdef"), unique=True, max_size=4).map(tuple), max_size=25
)


@pytest.fixture
def root():
    with test_pipeline.TestPipeline(runner="FnApiRunner") as root:
        yield root


@given(LISTS, st.integers(1, 5))
def test_what_is_left_obeys_and_both_rules_keep_what_is_foretold(lists, least):
    verdicts = [
        without_hashtags(post(name, lists[name]), rare, {}) for name, rare in rare_hashtags(lists, least).items()
    ]
    left = [verdict for verdict in verdicts if isinstance(verdict, Post)]
    rules = CleanRules(min_hashtag_count=least, need_hashtag=False, unique_texts=False, unique_images=False)
    assert list(broken_rules(left, rules)) == []
    assert all(mine.hashtags or not lists[mine.post_id] for mine in left)
    foretold = kept_by_rule(Counter(tuple(sorted(tags)) for tags in lists.values()), least)
    assert foretold == {"drop_post": len(lists) - len(rare_posts(lists, least)), "drop_tag": len(left)}


@pytest.mark.parametrize(
    ("tags", "phrases", "rare", "left"),
    [
        (("newyork", "nyc", "sea"), ("new york", "new york city", "sea"), ["nyc"], ("new york", "sea")),
        (("new_york", "newyork", "sea"), ("new york", "sea"), ["newyork"], ("new york", "sea")),
        (("got", "gameofthrones", "sea"), ("game of thrones", "sea"), ["got"], ("game of thrones", "sea")),
        (("got", "gameofthrones", "sea"), ("game of thrones", "sea"), ["gameofthrones"], ("game of thrones", "sea")),
    ],
)
def test_a_keyphrase_stays_while_a_hashtag_gives_it(tags, phrases, rare, left):
    kept = without_hashtags(post("1", tags, keyphrases=phrases), rare, {"got": "game of thrones"})
    assert isinstance(kept, Post)
    assert kept.hashtags == tuple(tag for tag in tags if tag not in rare)
    assert kept.keyphrases == left


def test_a_post_without_another_hashtag_leaves_by_all_of_them():
    gone = without_hashtags(post("1", ("sea", "dog")), ["dog", "sea"], {})
    assert isinstance(gone, Dropped)
    assert (gone.stage, gone.reason, gone.detail) == ("rare_hashtags", "rare_hashtag", "#dog #sea")


def test_the_stage_takes_tags_off_and_counts_for_both_rules(root):
    posts = root | beam.Create([post(name, tags) for name, tags in TAGS.items()])
    out = posts | RareHashtags(CleanRules(min_hashtag_count=3, rare_hashtags="drop_tag"), TextRules())
    kept = out.keep | beam.Map(lambda p: (p.post_id, p.hashtags, p.keyphrases))
    assert_that(kept, equal_to([(i, ("sun",), ("sun",)) for i in "123"] + [("6", (), ())]))
    assert_that(
        out.dropped | beam.Map(lambda d: (d.record_id, d.detail)), equal_to([("4", "#cat"), ("5", "#cat #dog")]), "gone"
    )
    assert_that(posts | KeptByRule(3), equal_to([("drop_post", 1), ("drop_tag", 4)]), "counts")


def test_a_build_drops_tags_says_what_each_rule_keeps_and_is_verified(tmp_path: Path) -> None:
    dump, images = small_dump(tmp_path, 12)
    with open(own := tmp_path / "own.jsonl", "w") as file:
        for i, record in enumerate(map(json.loads, dump.read_text().splitlines())):
            record["text"] = record["text"].rpartition(" #tag")[0] + (
                " #tea #rare" if i < 2 else " #one" if i == 2 else " #tea"
            )
            file.write(json.dumps(record) + "\n")
    dataset = tmp_path / "dataset"
    build = ("build", "--dumps", own, "--images", images, "--features", "none", "--dataset", dataset, "--json")
    done = run("pipeline", *build, "--set", "clean.min_hashtag_count=5", "clean.rare_hashtags=drop_tag")
    assert (done.code, done.json["kept"], done.json["dropped"]) == (0, 11, {"rare_hashtag": 1})
    assert {tuple(tags) for tags in Dataset(dataset).posts["hashtags"].to_pylist()} == {("tea",)}
    assert Manifest.read(dataset).counts["rare_hashtags"] == {"drop_post": 9, "drop_tag": 11}
    assert verify(dataset).breaches == []
    stats = run("pipeline", "stats", "--dataset", dataset)
    assert "clean.rare_hashtags: the build would have kept 9 by drop_post, 11 by drop_tag" in stats.out
