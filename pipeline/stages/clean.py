"""Rules that look at one post: tokens, hashtags, language (§4). Each is a pure function with a name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from zlib import crc32

import apache_beam as beam

from pipeline.hashtags import telling_writings
from pipeline.language import language_of
from pipeline.readings import Asked, Reading, read_once
from pipeline.rules import CleanRules, TextRules
from pipeline.stages.doors import DROPPED, KEEP, Door, Verdict, record_key, route
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
    """Post -> Posts with tokens and keyphrases, and Dropped.

    kept: where a build that goes on finds what was read before. shards: in how many parts it is kept.
    """

    clean: CleanRules
    text: TextRules
    kept: Path
    shards: int

    def expand(self, posts: Any) -> Any:
        """A shard of posts at a time; how hashtags are written is counted over all of them first."""
        written = (
            posts
            | "writings" >> beam.FlatMap(lambda post: telling_writings(post.text))
            | "count" >> beam.combiners.Count.PerElement()
            | "by hashtag" >> beam.MapTuple(lambda writing, count: (writing[0], (count, writing[1])))
            | "most" >> beam.CombinePerKey(max)
            | "usual" >> beam.MapTuple(lambda hashtag, most: (hashtag, most[1]))
        )
        read = (
            posts
            | "shard" >> beam.Map(lambda post: (self.shard_of(post), pack_post(post)))
            | beam.GroupByKey()
            | "read" >> beam.FlatMap(self._read, beam.pvalue.AsDict(written))
        )
        return read | beam.FlatMap(route).with_outputs(DROPPED, main=KEEP)

    def shard_of(self, post: Post) -> int:
        """The same in every run."""
        return crc32(record_key(post).encode()) % self.shards

    def _read(self, group: tuple[int, Iterable[bytes]], written: Mapping[str, str]) -> Iterator[Verdict]:
        shard = sorted(group[1])
        posts = [unpack_post(data) for data in shard]

        def read(asked: Asked) -> Iterator[Reading]:
            for post in posts:
                found = tokenizer(self.text).read(post, asked)
                yield found.hashtags, found.tokens, found.keyphrases

        readings = read_once(shard, written, self.kept, read)
        for post, (hashtags, tokens, keyphrases) in zip(posts, (map(tuple, one) for one in readings), strict=True):
            yield self._judged(post.having(hashtags=hashtags, tokens=tokens, keyphrases=keyphrases))

    def _judged(self, post: Post) -> Verdict:
        reason = text_reason(post, self.clean)
        return Dropped.of(post, "text", *reason) if reason else post


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
