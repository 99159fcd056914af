"""The rules that a dataset keeps from build to build, and what a build changes about them."""

import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.dataset.remembered import fields_of, refuse_unnamed_files
from m3h.schemas.config import as_plain, merged, resolve
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest, rules_of

log = logging.getLogger(__name__)


def config_for(dataset: Path, known: Manifest, asked: BuildConfig, features: Collection[str]) -> BuildConfig:
    """The dataset's own rules and settings of features, except for the fields that this build was given.

    Args:
        dataset: The dataset's folder.
        known: Its manifest.
        asked: The configuration of this build. A field counts as given if it was set, even to its default.
        features: Those that will be used.

    Raises:
        UsageError: A rule or a setting in the manifest is none, or names a file that this user has not named.
    """
    plain, given = dict(as_plain(asked)), asked.model_dump(mode="json", exclude_unset=True)
    for name in rules_of(plain):
        plain[name] = {**known.config.get(name, {}), **given.get(name, {})}
    settings, changed = known.config.get("features", {}), given.get("features", {})
    plain["features"] = {name: merged(settings.get(name, {}), changed.get(name, {})) for name in plain["features"]}
    refuse_unnamed_files(dataset, known.config, plain, features=features, named=fields_of((), given))
    return resolve(BuildConfig, plain)


def announced_changes(
    dataset: Path, known: Manifest, signature: Mapping[str, Any], *, may_change: bool, crawled: bool
) -> list[str]:
    """What decides the records now and did not before, said in one line.

    Args:
        dataset: The dataset's folder.
        known: Its manifest.
        signature: What decides the records of this build.
        may_change: Whether the command is one that changes rules.
        crawled: Whether pictures are fetched. By other rules for them, all would be fetched anew.

    Raises:
        UsageError: There are changes, and they cannot be made here.
    """
    changes = rule_changes(known, signature)
    of_pictures = [change for change in changes if change.startswith("image.")] if crawled else []
    if refused := of_pictures if may_change else changes:
        how = "Choose another --dataset." if may_change else "`m3h build` changes the rules of a dataset."
        raise UsageError(f"{dataset}: was built by other rules than these: {', '.join(refused)}. {how}")
    if changes:
        said = ", ".join(changes)
        log.warning("note: other rules from now on: %s. Records are made anew; known pictures and rows are kept.", said)
    return changes


def rule_changes(known: Manifest, signature: Mapping[str, Any]) -> list[str]:
    """What decides the records now and did not before: fields with both values, and what else reads text otherwise.

    Args:
        known: The manifest of the dataset. Rules that it does not know yet had their defaults.
        signature: What decides the records of this build.
    """
    own = {name: fields for name, fields in rules_of(known.config).items() if name in BuildConfig.model_fields}
    before = rules_of(as_plain(resolve(BuildConfig, own)))
    return [*_changed_fields(before, signature["rules"]), *_changed_reading(known.text, signature["text"])]


def _changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for section, fields in after.items():
        for name, value in fields.items():
            if (was := before[section][name]) != value:
                yield f"{section}.{name} {_shown(was)} -> {_shown(value)}"


def _changed_reading(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Another version of the tokenizer, other word statistics or another mapping, wherever they lie."""
    names = {"version": "the tokenizer's rules", "statistics": "word statistics", "hashtag_map": "the hashtag map"}
    return (said for name, said in names.items() if before.get(name) != after[name])


def _shown(value: object) -> str:
    return "none" if value is None else f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
