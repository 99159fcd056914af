"""Rules that look at one post: tokens, hashtags, language (§4). Each is a pure function with a name."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import apache_beam as beam

from pipeline.hashtags import telling_writings
from pipeline.language import language_of
from pipeline.rules import CleanRules, TextRules
from pipeline.stages.doors import DROPPED, KEEP, Door, Verdict, route
from pipeline.stages.shuffle import pack_post, unpack_post
from pipeline.text import Tokenizer
from schemas.posts import Dropped, Post


def text_reason(post: Post, rules: CleanRules) -> tuple[str, str] | None:
    """Why the paper drops a tokenised post, or None to keep it."""
    if len(post.tokens) < rules.min_tokens:
        return "too_few_tokens", f"{len(post.tokens)} tokens"
    if rules.need_hashtag and not post.hashtags:
        return "no_hashtag", ""
    if len(post.hashtags) > rules.max_hashtags:
        return "too_many_hashtags", f"{len(post.hashtags)} hashtags"
    return None


@lru_cache(maxsize=1)
def tokenizer(rules: TextRules) -> Tokenizer:
    """One a process."""
    return Tokenizer(rules)


@dataclass
class Text(beam.PTransform):
    """Post -> Posts with tokens and keyphrases, and Dropped."""

    clean: CleanRules
    text: TextRules

    def decide(self, post: Post, written: Mapping[str, str] | None = None) -> Verdict:
        """Tokenise, then judge. written: how hashtags are usually written."""
        read = tokenizer(self.text).read(post, written)
        reason = text_reason(read, self.clean)
        return Dropped.of(post, "text", *reason) if reason else read

    def expand(self, posts: Any) -> Any:
        """One post at a time; how hashtags are written is counted over all of them first."""
        written = (
            posts
            | "writings" >> beam.FlatMap(lambda post: telling_writings(post.text))
            | "count" >> beam.combiners.Count.PerElement()
            | "by hashtag" >> beam.MapTuple(lambda writing, count: (writing[0], (count, writing[1])))
            | "most" >> beam.CombinePerKey(max)
            | "usual" >> beam.MapTuple(lambda hashtag, most: (hashtag, most[1]))
        )
        waiting = posts | "pack" >> beam.Map(pack_post)  # until all are counted
        read = waiting | "read" >> beam.Map(self._read, beam.pvalue.AsDict(written))
        return read | beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)

    def _read(self, data: bytes, written: Mapping[str, str]) -> Verdict:
        return self.decide(unpack_post(data), written)


@dataclass
class Language(beam.PTransform):
    """Post -> Posts in one of the wanted languages, and Dropped."""

    clean: CleanRules

    def decide(self, post: Post) -> Verdict:
        """Every post gets its language, wanted or not."""
        language = language_of(post, self.clean.language_guess == "common")
        if self.clean.languages and language not in self.clean.languages:
            return Dropped.of(post, "language", "other_language", language)
        return post.having(lang=language)

    def expand(self, posts: Any) -> Any:
        """One post at a time."""
        return posts | Door(self.decide)
