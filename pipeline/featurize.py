"""`featurize`: new posts without labels, with the features of a finished dataset, ready for its models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.build import BuildOptions, BuildResult, build
from pipeline.config import BuildConfig
from pipeline.extractors import EXTRACTORS, extractor_class
from pipeline.progress import AUTO
from pipeline.sources import is_released
from schemas.config import resolve
from schemas.errors import UsageError
from schemas.features import fingerprint
from schemas.manifest import Manifest

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
    "quotes": "keep",
    "languages": (),
}
"""`clean` for posts that are to be predicted for: whoever has a readable picture stays."""


def featurize(
    posts: Sequence[str],
    like: Path,
    dataset: Path,
    images: Path | None,
    crawl: bool,
    format: str,
    sets: Sequence[str],
    workers: int,
    beam_flags: Sequence[str],
    progress: str = AUTO,
) -> BuildResult:
    """Build `dataset` from `posts`, all of it in the split `test`, under the fingerprints of `like`.

    Text is read as it was for `like`. sets: manners only, such as `crawl.contact`. UsageError, before any work, where a
    feature would get another fingerprint here than it has there.
    """
    known = Manifest.read(like)
    names = _computed(like, known)
    config = resolve(BuildConfig, _config(known), sets)
    for name in names:
        extractor = extractor_class(name)(getattr(config.features, name))
        here = fingerprint(extractor.spec, extractor.fingerprint_parts())
        if here != known.features[name]["current"]:
            raise UsageError(
                f"feature {name}: {like} has {known.features[name]['current']}, this machine would make {here}. "
                f"`python -m pipeline plan --dataset {like}` tells what differs; bring its weights and engines here."
            )
    return build(
        BuildOptions(
            posts,
            dataset,
            images,
            crawl,
            format,
            names,
            config,
            workers=workers,
            beam_flags=beam_flags,
            progress=progress,
            command="featurize",
        )
    )  # fmt: skip


def _config(known: Manifest) -> dict[str, Any]:
    """`known`'s own, but that every post stays, in the split test."""
    split = {**known.config["split"], "valid": 0.0, "test": 1.0}
    return {**known.config, "clean": {**known.config["clean"], **KEEP_ALL}, "split": split}


def _computed(like: Path, known: Manifest) -> tuple[str, ...]:
    if is_released(known):
        raise UsageError(
            f"{like}: a released dataset brought its features ready-made; nothing here can compute them for new posts."
        )
    names = tuple(name for name in known.features if name in EXTRACTORS)
    if not names:
        raise UsageError(f"{like}: has no features that could be computed for new posts.")
    return names
