"""The rules that look at a single record as it was read, before its text is taken apart or its picture is looked at."""

from collections.abc import Callable, Iterator

from m3h.pipeline.cleaning.duplicates import quote, repost
from m3h.pipeline.cleaning.groups import Verdict
from m3h.pipeline.cleaning.image_rules import insensitive, single_picture
from m3h.pipeline.rules import CleanRules
from m3h.schemas.posts import Post


def rules_of_single_posts(rules: CleanRules) -> Iterator[tuple[str, str, Callable[[Post], Verdict]]]:
    """The stage that a rule belongs to, its name, and the rule; in the order in which they are applied."""
    if rules.drop_retweets:
        yield "duplicates", "retweets", repost
    if rules.quotes == "drop":
        yield "duplicates", "quotes", quote
    yield "image", "count", single_picture
    if rules.drop_sensitive:
        yield "image", "sensitive", insensitive
