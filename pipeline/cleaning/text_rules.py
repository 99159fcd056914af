"""What §4 demands of a post's text, hashtags and language."""

from m3h.pipeline.cleaning.groups import Verdict
from m3h.pipeline.rules import CleanRules
from m3h.pipeline.text.language import language_of
from m3h.schemas.posts import Dropped, Post


def text_reason(post: Post, rules: CleanRules) -> tuple[str, str] | None:
    """Why the paper drops a tokenised post, or None to keep it."""
    if len(post.tokens) < rules.min_tokens:
        return "too_few_tokens", f"{len(post.tokens)} tokens"
    if rules.need_hashtag and not post.hashtags:
        return "no_hashtag", ""
    if len(post.hashtags) > rules.max_hashtags:
        return "too_many_hashtags", f"{len(post.hashtags)} hashtags"
    return None


def text_verdict(post: Post, rules: CleanRules) -> Verdict:
    """A tokenised post stays, or goes by `text_reason`."""
    reason = text_reason(post, rules)
    return Dropped.of(post, "text", reason[0], detail=reason[1]) if reason else post


def language_verdict(post: Post, rules: CleanRules) -> Verdict:
    """A post in one of the wanted languages stays, and knows its language from then on."""
    language = language_of(post, rules.language_guess == "common")
    if rules.languages and language not in rules.languages:
        return Dropped.of(post, "language", "other_language", detail=language)
    return post.having(lang=language)
