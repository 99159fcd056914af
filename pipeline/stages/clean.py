"""Text and language of posts: tokens and keyphrases, and the rules of §4 on them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import apache_beam as beam
from apache_beam.pvalue import AsDict, PCollection
from apache_beam.transforms.combiners import Count
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.groups import Verdict, record_key
from m3h.pipeline.cleaning.text_rules import language_verdict, text_verdict
from m3h.pipeline.rules import CleanRules, TextRules
from m3h.pipeline.stages.coders import PostCoder, pack
from m3h.pipeline.stages.routing import Filter, Route, Routed
from m3h.pipeline.text.hashtags import telling_writings
from m3h.pipeline.text.text_cache import Reading, RecordedLookups, read_once
from m3h.pipeline.text.tokenizer import tokenizer_of
from m3h.schemas.posts import Post


@dataclass
class Text(beam.PTransform[PCollection[Post], Routed]):
    """Posts -> Posts with tokens and keyphrases, and Dropped.

    kept: the folder where readings are kept, so that a build that continues does not repeat them. shards: the number of
    parts that they are kept in.
    """

    clean: CleanRules
    text: TextRules
    kept: Path
    shards: int

    @no_annotations
    def expand(self, posts: PCollection[Post]) -> Routed:
        """One shard of posts at a time. Before that, the ways of writing each hashtag are counted over all posts."""
        written = posts | "writings" >> UsualWritings()
        verdicts: PCollection[Verdict] = (
            posts
            | "shard" >> beam.Map(self._by_shard)
            | beam.GroupByKey()
            | "read" >> beam.FlatMap(self._read, AsDict(written))
        )
        return verdicts | Route()

    def _by_shard(self, post: Post) -> tuple[int, bytes]:
        """A post's shard, the same in every run, and the post. It is encoded: a shard is recognised by its bytes."""
        return crc32(record_key(post).encode()) % self.shards, _POST.encode(post)

    def _read(self, group: tuple[int, Iterable[bytes]], written: Mapping[str, str]) -> Iterator[Verdict]:
        shard = sorted(group[1])
        posts = [_POST.decode(data) for data in shard]

        def read(lookups: RecordedLookups) -> Iterator[Reading]:
            for post in posts:
                found = tokenizer_of(self.text).read(post, lookups)
                yield found.hashtags, found.tokens, found.keyphrases, found.alt_tokens

        readings = read_once(pack(shard), written, self.kept, read=read)
        for post, reading in zip(posts, readings, strict=True):
            hashtags, tokens, keyphrases, alt_tokens = map(tuple, reading)
            read_post = post.having(hashtags=hashtags, tokens=tokens, keyphrases=keyphrases, alt_tokens=alt_tokens)
            yield text_verdict(read_post, self.clean)


_POST = PostCoder()


class UsualWritings(beam.PTransform[PCollection[Post], PCollection[tuple[str, str]]]):
    """Posts -> each lower-cased hashtag as most posts write it, if capitals show where its words begin."""

    def expand(self, posts: PCollection[Post]) -> PCollection[tuple[str, str]]:
        """Of two equally frequent writings, the later one in the alphabet."""
        usual: PCollection[tuple[str, str]] = (
            posts
            | "writings" >> beam.FlatMap(_writings)
            | "count" >> Count.PerElement()
            | "by hashtag" >> beam.Map(_by_hashtag)
            | "most" >> beam.CombinePerKey(max)
            | "usual" >> beam.Map(_usual)
        )
        return usual


def _writings(post: Post) -> Iterable[tuple[str, str]]:
    return telling_writings(post.text)


def _by_hashtag(counted: tuple[tuple[str, str], int]) -> tuple[str, tuple[int, str]]:
    (hashtag, writing), count = counted
    return hashtag, (count, writing)


def _usual(most: tuple[str, tuple[int, str]]) -> tuple[str, str]:
    hashtag, (_, writing) = most
    return hashtag, writing


@dataclass
class Language(beam.PTransform[PCollection[Post], Routed]):
    """Posts -> Posts in one of the wanted languages, and Dropped."""

    clean: CleanRules

    @no_annotations
    def expand(self, posts: PCollection[Post]) -> Routed:
        """One post at a time."""
        return posts | Filter(lambda post: language_verdict(post, self.clean))
