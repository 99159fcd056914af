"""`featurize`: builds a dataset of new, unlabelled posts with the features of a finished one, ready for its models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3h.pipeline.build.build import BuildOptions, BuildResult, build
from m3h.pipeline.build.sources import is_released
from m3h.pipeline.config import config_of, configured_extractor
from m3h.pipeline.dataset.remembered import fields_of, own_crawl_settings, refuse_unnamed_files
from m3h.pipeline.extractors import known_extractors
from m3h.schemas.config import as_plain
from m3h.schemas.errors import UsageError
from m3h.schemas.features import fingerprint
from m3h.schemas.inside import refuse_strange
from m3h.schemas.manifest import Manifest

KEEP_ALL: Mapping[str, Any] = {
    "min_tokens": 0,
    "max_hashtags": 1_000_000,
    "need_hashtag": False,
    "min_hashtag_count": 1,
    "unique_texts": False,
    "near_text": 0,
    "unique_images": False,
    "near_images": 0,
    "drop_retweets": False,
    "drop_sensitive": False,
    "quotes": "keep",
    "languages": (),
}
"""The rules of cleaning for posts to predict for: every post with a readable picture is kept."""


def featurize(options: BuildOptions, like: Path, sets: Sequence[str] = ()) -> BuildResult:
    """Build a dataset of new posts, all in the split `test`, under the fingerprints of another dataset.

    Args:
        options: The dumps of new posts, the dataset to build, and how to work. Features, configuration and command are
            set here.
        like: The dataset whose features are computed. Text is read as it was for this dataset.
        sets: Settings that do not change values, such as "crawl.contact=me@example.org".

    Raises:
        UsageError: A feature would get another fingerprint here than it has in `like`, or `like` has no features that
            can be computed. Raised before any work.
    """
    refuse_strange(like)
    known = Manifest.read(like)
    names = _computed(like, known)
    config = config_of(own_crawl_settings(like, _config(known)), sets)
    refuse_unnamed_files(like, known.config, as_plain(config), features=names, named=fields_of(sets))
    for name in names:
        extractor = configured_extractor(name, config)
        here = fingerprint(extractor.spec, extractor.identity())
        if here != known.features[name].current:
            raise UsageError(
                f"feature {name}: {like} has {known.features[name].current}, this machine would make {here}. "
                f"`m3h plan --dataset {like}` tells what differs; bring its weights and engines here."
            )
    return build(replace(options, features=names, config=config, command="featurize"))


def _config(known: Manifest) -> dict[str, Any]:
    """The configuration of `known`, changed so that every post is kept and is in the split test."""
    split = {**known.config.get("split", {}), "valid": 0.0, "test": 1.0}
    return {**known.config, "clean": {**known.config.get("clean", {}), **KEEP_ALL}, "split": split}


def _computed(like: Path, known: Manifest) -> tuple[str, ...]:
    """The features of `like` that can be computed for new posts. UsageError where there are none."""
    if is_released(known):
        raise UsageError(
            f"{like}: a released dataset brought its features ready-made; nothing here can compute them for new posts."
        )
    names = tuple(name for name in known.features if name in known_extractors())
    if not names:
        raise UsageError(f"{like}: has no features that could be computed for new posts.")
    return names
