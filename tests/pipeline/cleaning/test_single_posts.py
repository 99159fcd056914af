"""What leaves before its text is taken apart or its picture is looked at."""

import pytest

from m3h.pipeline.cleaning.single_posts import rules_of_single_posts
from m3h.pipeline.rules import CleanRules
from m3h.schemas.posts import Dropped, ImageRef, Post

ONE = (ImageRef("a.jpg"),)


@pytest.mark.parametrize(
    ("fields", "rules", "left"),
    [
        ({"images": ONE}, {}, None),
        ({"is_repost": True}, {}, ("duplicates", "retweet")),
        ({"is_repost": True, "images": ONE}, {"drop_retweets": False}, None),
        ({"is_quote": True, "images": ONE}, {}, None),
        ({"is_quote": True}, {"quotes": "drop"}, ("duplicates", "quote")),
        ({"sensitive": True}, {"drop_sensitive": True}, ("image", "no_image")),
        ({"sensitive": True, "images": ONE}, {"drop_sensitive": True}, ("image", "sensitive")),
        ({"sensitive": True, "images": ONE}, {}, None),
        ({"images": ONE * 2}, {}, ("image", "several_images")),
    ],
)
def test_the_first_rule_that_a_post_breaks_says_why_it_leaves(fields, rules, left):
    post = Post("1", "a boat", **fields)
    verdicts = [rule(post) for _, _, rule in rules_of_single_posts(CleanRules(**rules))]
    gone = [(verdict.stage, verdict.reason) for verdict in verdicts if isinstance(verdict, Dropped)]
    assert next(iter(gone), None) == left


def test_each_rule_is_of_the_stage_that_it_is_counted_under():
    every = CleanRules(quotes="drop", drop_sensitive=True)
    broken = Post("1", "a boat", is_repost=True, is_quote=True, sensitive=True)
    assert [rule(broken).stage for _, _, rule in rules_of_single_posts(every)] == [
        kind for kind, _, _ in rules_of_single_posts(every)
    ]
