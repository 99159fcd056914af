"""The whole configuration of `build`, in one frozen class."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pydantic

from m3h.pipeline.crawl.rules import CrawlRules
from m3h.pipeline.extractors import extractor_class, make_extractor, settings_of_all
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.extractors.compute import AUTO, ComputeSettings
from m3h.pipeline.extractors.computing.fastest import fastest_engine
from m3h.pipeline.rules import (
    CleanRules,
    ExecutionRules,
    ImageRules,
    ReadRules,
    SafetyRules,
    ShardRules,
    SplitRules,
    TextRules,
)
from m3h.schemas.config import Settings, as_plain, resolve
from m3h.schemas.manifest import OF_ONE_COMMAND, Manifest

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
    execution: ExecutionRules = ExecutionRules()
    features: FeatureSettings = pydantic.Field(default_factory=FeatureSettings)  # type: ignore[valid-type]


def configured_extractor(name: str, config: BuildConfig) -> Extractor:
    """The extractor of this name with its settings. UsageError for an unknown name or a broken extractor."""
    extractor_class(name)
    return make_extractor(name, getattr(config.features, name))


def with_engines(config: BuildConfig, names: Iterable[str], known: Manifest | None) -> BuildConfig:
    """The configuration with an engine's name in the place of `engine=auto`.

    A feature that the dataset has stays with the engine that computed it; for another one engines are measured.

    Args:
        config: what is asked for.
        names: the features that will be computed; others keep `auto`.
        known: the manifest of the dataset as it is; None where there is none.

    Raises:
        UsageError: a feature cannot be computed, whatever the engine.
    """
    chosen: dict[str, Settings] = {}
    for name in names:
        settings = getattr(config.features, name, None)
        if not isinstance(settings, ComputeSettings) or settings.engine != AUTO:
            continue
        has = known is not None and name in known.features
        before = known.config.get("features", {}).get(name, {}).get("engine") if known and has else None
        engine = before or fastest_engine(name, settings)
        chosen[name] = settings.model_copy(update={"engine": engine})
    features: Settings = config.features
    return config.model_copy(update={"features": features.model_copy(update=chosen)}) if chosen else config


def config_of(known: Mapping[str, Any], sets: Sequence[str] = ()) -> BuildConfig:
    """The configuration that a manifest has, with `--set` over it.

    Settings of features whose extractor is not installed here are left out: what else the dataset holds can be read.
    UsageError as for `resolve`.
    """
    return resolve(BuildConfig, {**known, "features": {**_features(known, installed=True)}}, sets)


def _features(known: Mapping[str, Any], *, installed: bool) -> dict[str, Any]:
    fields = known.get("features", {})
    return {name: fields[name] for name in fields if (name in FeatureSettings.model_fields) == installed}


def as_remembered(config: BuildConfig, known: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as a manifest keeps it. What is of one command only is left out (`OF_ONE_COMMAND`).

    known: the configuration in the manifest before. Its settings of features that nothing here computes stay.
    """
    plain = {name: value for name, value in as_plain(config).items() if name not in OF_ONE_COMMAND}
    return {**plain, "features": {**_features(known, installed=False), **plain["features"]}}


def shard_rules_of(known: Manifest) -> ShardRules:
    """How many rows the files of a dataset have. UsageError where its manifest states no numbers."""
    return resolve(ShardRules, known.config.get("shards", {}))
