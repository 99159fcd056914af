"""Rare hashtags: posts with one are dropped until every other hashtag is frequent enough (§4), or the tags alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import Count, ToList
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.rare_hashtags import (
    DROP_TAG,
    deciding_hashtags,
    kept_by_rule,
    rare_hashtag_verdict,
    rare_hashtags,
    without_hashtags,
)
from m3h.pipeline.rules import CleanRules, TextRules
from m3h.pipeline.stages.coders import pack, unpack
from m3h.pipeline.stages.hashtag_rounds import DecidingHashtags, KeptInRounds, RareOfPosts
from m3h.pipeline.stages.routing import ApplyDecisions, GlobalFilter, Routed
from m3h.pipeline.text.hashtags import read_mapping
from m3h.schemas.posts import Post


@dataclass
class RareHashtags(beam.PTransform[PCollection[Post], Routed]):
    """Posts -> those whose hashtags are each in at least `min_hashtag_count` of the posts that stay, and Dropped."""

    clean: CleanRules
    text: TextRules
    in_rounds: bool = False

    @no_annotations
    def expand(self, posts: PCollection[Post]) -> Routed:
        """Only the hashtags are gathered on one worker, or they are counted by many, in rounds."""
        least, mapping = self.clean.min_hashtag_count, self.text.hashtag_map
        if self.in_rounds:
            return self._in_rounds(posts)
        if self.clean.rare_hashtags == DROP_TAG:
            return posts | GlobalFilter(
                lambda post: post.hashtags,
                lambda hashtags: rare_hashtags(hashtags, least),
                lambda post, rare: without_hashtags(post, rare, _mapping(mapping)),
            )
        return posts | GlobalFilter(
            lambda post: post.hashtags, lambda hashtags: deciding_hashtags(hashtags, least), rare_hashtag_verdict
        )

    @no_annotations
    def _in_rounds(self, posts: PCollection[Post]) -> Routed:
        least, mapping = self.clean.min_hashtag_count, self.text.hashtag_map
        if self.clean.rare_hashtags == DROP_TAG:
            rare = posts | "rare tags" >> RareOfPosts(least)
            return (posts, rare) | "taken off" >> ApplyDecisions(
                lambda post, tags: without_hashtags(post, tags, _mapping(mapping))
            )
        deciding = posts | "deciding tags" >> DecidingHashtags(least)
        return (posts, deciding) | "dropped" >> ApplyDecisions(
            lambda post, tags: rare_hashtag_verdict(post, *tags or [""])
        )


@dataclass
class KeptByRule(beam.PTransform[PCollection[Post], PCollection[tuple[str, int]]]):
    """Posts -> how many of them each choice of `clean.rare_hashtags` keeps."""

    least: int
    in_rounds: bool = False

    def expand(self, posts: PCollection[Post]) -> PCollection[tuple[str, int]]:
        """Only the distinct lists of hashtags are gathered, each once; in rounds, they are not."""
        least = self.least
        if self.in_rounds:
            return posts | "in rounds" >> KeptInRounds(least)

        def kept(counted: list[tuple[bytes, int]]) -> Iterable[tuple[str, int]]:
            return kept_by_rule({tuple(unpack(tags)): number for tags, number in counted}, least).items()

        found: PCollection[tuple[str, int]] = (
            posts
            | "lists" >> beam.Map(_packed_hashtags)
            | "count" >> Count.PerElement()
            | "together" >> ToList()
            | "kept" >> beam.FlatMap(kept).with_output_types(tuple[str, int])
        )
        return found


def _packed_hashtags(post: Post) -> bytes:
    return pack(sorted(set(post.hashtags)))


@lru_cache(maxsize=1)
def _mapping(path: Path | None) -> Mapping[str, str]:
    """One a process."""
    return read_mapping(path) if path else {}
