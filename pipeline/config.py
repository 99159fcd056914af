"""Everything `build` can be told, in one frozen configuration."""

import pydantic

from pipeline.crawl.rules import CrawlRules
from pipeline.extractors import settings_of_all
from pipeline.rules import CleanRules, ImageRules, ReadRules, ShardRules, SplitRules, TextRules
from schemas.config import Settings

FeatureSettings = settings_of_all()
"""One field a registered extractor: `features.vgg_grid.weights`, …"""


class BuildConfig(Settings):
    """The whole of `build`'s configuration."""

    read: ReadRules = ReadRules()
    clean: CleanRules = CleanRules()
    text: TextRules = TextRules()
    image: ImageRules = ImageRules()
    crawl: CrawlRules = CrawlRules()
    split: SplitRules = SplitRules()
    shards: ShardRules = ShardRules()
    features: FeatureSettings = pydantic.Field(default_factory=FeatureSettings)  # type: ignore[valid-type]
