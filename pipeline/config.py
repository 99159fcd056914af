"""The whole configuration of `build`, in one frozen class."""

from typing import Any

import pydantic

from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.extractors import settings_of_all
from m3h.pipeline.rules import CleanRules, ImageRules, ReadRules, SafetyRules, ShardRules, SplitRules, TextRules
from m3h.schemas.config import Settings, as_plain, resolve
from m3h.schemas.manifest import Manifest

FeatureSettings = settings_of_all()
"""A class with one field per registered extractor: `features.vgg_grid.weights`, …"""


class BuildConfig(Settings):
    """The configuration of `build`."""

    read: ReadRules = ReadRules()
    clean: CleanRules = CleanRules()
    text: TextRules = TextRules()
    image: ImageRules = ImageRules()
    crawl: CrawlRules = CrawlRules()
    split: SplitRules = SplitRules()
    shards: ShardRules = ShardRules()
    safety: SafetyRules = SafetyRules()
    features: FeatureSettings = pydantic.Field(default_factory=FeatureSettings)  # type: ignore[valid-type]


def as_remembered(config: BuildConfig) -> dict[str, Any]:
    """The configuration as a manifest keeps it. What one command was allowed to take away, the next one is not."""
    return {name: value for name, value in as_plain(config).items() if name != "safety"}


def shard_rules_of(known: Manifest) -> ShardRules:
    """How many rows the files of a dataset have. UsageError where its manifest states no numbers."""
    return resolve(ShardRules, known.config.get("shards", {}))
