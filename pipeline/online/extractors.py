"""The extractors of given fingerprints, loaded; or one line that says which one cannot be had here, and why."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from m3h.pipeline.config import BuildConfig, config_of, configured_extractor
from m3h.pipeline.dataset.remembered import fields_of, refuse_unnamed_files
from m3h.pipeline.extractors import known_extractors
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.versions.plan import changed_parts, shortly
from m3h.schemas.config import as_plain
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.feature_versions import FeatureVersion
from m3h.schemas.features import canonical_json, fingerprint
from m3h.schemas.files import read_json

_SHOWN_CHANGES = 3
"""Differences between two versions that a message lists. Further ones are only counted."""
_DIGEST = re.compile(r'"([\w.]+)":"(sha256:)?([0-9a-f]{64})"')


def config_of_versions(data: Dataset, features: Mapping[str, str], sets: Sequence[str]) -> BuildConfig:
    """The dataset's configuration with each feature's settings as they were for one of its versions.

    Args:
        data: the dataset.
        features: with the fingerprints of the versions.
        sets: `FIELD=VALUE` over it.

    Raises:
        UsageError: the dataset has no such version, it came ready-made, or the configuration names a file that this
            user has never named.
    """
    settings = {name: dict(_version(data, name, print_).settings) for name, print_ in features.items()}
    known = {**data.manifest.config, "features": {**data.manifest.config.get("features", {}), **settings}}
    config = config_of(known, sets)
    refuse_unnamed_files(data.folder, known, as_plain(config), features=features, named=fields_of(sets))
    return config


def _version(data: Dataset, name: str, print_: str) -> FeatureVersion:
    version = data.manifest.version(name, print_)
    if version is None:
        raise UsageError(f"{data.folder}: has no {name} of {print_}, which is needed. Name the dataset that has it.")
    if "imported" in version.parts:
        raise UsageError(f"{data.folder}: its {name} came ready-made; nothing here can compute it for a new picture.")
    if name not in known_extractors():
        by = f", it was computed by {version.parts['package']}" if "package" in version.parts else ""
        raise UsageError(f"feature {name}: no extractor of that name is installed here{by}.")
    return version


def loaded_extractors(data: Dataset, features: Mapping[str, str], config: BuildConfig) -> list[Extractor]:
    """An extractor for each feature, with its weights in memory.

    Args:
        data: the dataset that has these features.
        features: with the fingerprints that must come out.
        config: of the extractors, see `config_of_versions`.

    Raises:
        UsageError: weights or a program are missing, or the extractor here is of another version.
    """
    found = [_checked(data, name, print_, configured_extractor(name, config)) for name, print_ in features.items()]
    for extractor in found:
        extractor.require()
        try:
            extractor.fetch()
            extractor.load()
        except UsageError as error:
            raise UsageError(f"feature {extractor.spec.name}: {error}") from error
    return found


def _checked(data: Dataset, name: str, print_: str, extractor: Extractor) -> Extractor:
    """The extractor, if it has this fingerprint."""
    version = _version(data, name, print_)
    try:
        parts = extractor.identity()
    except UsageError as error:
        said = str(error).removeprefix(f"feature {name}: ")
        raise UsageError(f"feature {name} {print_} needs {_needed(version)}. {said}") from error
    if fingerprint(extractor.spec, parts) != print_:
        spec = data.read(f"features/{name}/{print_}/feature.json", _spec)
        raise UsageError(
            f"feature {name}: {data.folder} has {print_}, this machine would make "
            f"{fingerprint(extractor.spec, parts)}: "
            f"{described_changes({'spec': spec, **version.parts}, {'spec': extractor.spec.as_json(), **parts})}."
        )
    return extractor


def _spec(path: Any) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = read_json(path)["spec"]
    return spec


def _needed(version: FeatureVersion) -> str:
    """The files by their digests, and where they were: `weights sha256:ab…, given as /w/vgg.pth then`."""
    given = version.settings
    digests = [(part, digest) for part, _, digest in _DIGEST.findall(canonical_json(version.parts))]
    needed = [
        f"{part} sha256:{digest}" + (f", given as {given[part]} then" if given.get(part) else "")
        for part, digest in digests
    ]
    return " and ".join(needed) or "what it was computed with"


def described_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two descriptions, in one line."""
    changes = list(changed_parts(old, new))
    lines = [f"{change.part} was {shortly(change.old)} and is {shortly(change.new)}" for change in changes]
    more = len(lines) - _SHOWN_CHANGES
    return "; ".join([*lines[:_SHOWN_CHANGES], *([f"{more} more differences"] if more > 0 else [])])


def close(extractors: Iterable[Extractor]) -> None:
    """End the helper processes of those that have some."""
    for extractor in extractors:
        end = getattr(extractor, "close", None)
        if end:
            end()
