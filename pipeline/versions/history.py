"""The versions of a feature, which lie side by side: find one, make it current, remove those that are not."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3h.pipeline.dataset.publish import notes_of
from m3h.pipeline.dataset.transaction import GC, USE, transaction
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest


def version_of(data: Dataset, feature: str, prefix: str) -> str:
    """Find the version of a feature whose fingerprint begins with `prefix`.

    Args:
        data: the dataset.
        feature: the feature's name.
        prefix: the whole fingerprint, or how it begins.

    Returns:
        The whole fingerprint.

    Raises:
        UsageError: no version begins so, or several do; or the dataset lacks the feature.
    """
    data.fingerprint(feature)  # refuses a feature that the dataset lacks
    versions = data.manifest.features[feature].versions
    found = sorted(version for version in versions if version.startswith(prefix))
    if len(found) != 1:
        what = f"{len(found)} versions begin so" if found else "no version begins so"
        raise UsageError(f"{feature} {prefix!r}: {what}; there are {', '.join(sorted(versions))}.")
    return found[0]


def use(dataset: Path, feature: str, prefix: str) -> str:
    """Make another version of a feature current.

    Only the manifest changes. The dataset's configuration becomes that of this version, so that no later build or
    refresh makes another version current by itself.

    Args:
        dataset: the dataset's folder.
        feature: the feature's name.
        prefix: the version's fingerprint, or how it begins.

    Returns:
        The whole fingerprint of the version that is current now.

    Raises:
        UsageError: no version begins so, or several do; or the dataset lacks the feature.
    """
    data = Dataset(dataset)
    fingerprint = version_of(data, feature, prefix)
    with transaction(dataset, USE, data.manifest) as change:
        if data.fingerprint(feature) != fingerprint:
            change.publish(_with_current(data.manifest, feature, fingerprint))
    return fingerprint


def _with_current(known: Manifest, feature: str, fingerprint: str) -> Manifest:
    versions = known.features[feature]
    manifest = replace(known, features={**known.features, feature: versions.made_current(fingerprint)})
    if settings := versions.versions[fingerprint].settings:
        manifest.config = {**known.config, "features": {**known.config.get("features", {}), feature: settings}}
    manifest.notes = notes_of(manifest)
    return manifest


@dataclass(frozen=True)
class Removed:
    """Versions that were removed.

    versions: (feature, fingerprint) of each. files, bytes: how many files they had, and their total size.
    """

    versions: tuple[tuple[str, str], ...]
    files: int
    bytes: int

    def summary(self) -> dict[str, Any]:
        """The line of `--json`."""
        removed: dict[str, list[str]] = {}
        for feature, fingerprint in self.versions:
            removed.setdefault(feature, []).append(fingerprint)
        return {"removed": removed, "files": self.files, "bytes": self.bytes}


def collect_garbage(dataset: Path, keep: int = 0, dry_run: bool = False) -> Removed:
    """Remove the versions that are not current.

    If it is killed, the dataset is still whole, and the same call finishes the work.

    Args:
        dataset: the dataset's folder.
        keep: how many versions of each feature to keep beside the current one: those that were current last.
        dry_run: remove nothing; only find what would be removed.

    Returns:
        The versions that were, or would be, removed.
    """
    known = Manifest.read(dataset)
    manifest, removed = without_old(known, keep)
    if not dry_run:
        with transaction(dataset, GC, known) as change:
            if removed.versions:
                change.publish(manifest)
    return removed


def without_old(known: Manifest, keep: int) -> tuple[Manifest, Removed]:
    """The manifest without its old versions, and these. `keep` of each feature stay beside the current one."""
    manifest = replace(known, features={}, files=dict(known.files))
    old: list[tuple[str, str]] = []
    for name, feature in known.features.items():
        manifest.features[name] = kept = feature.kept(keep + 1)
        old += [(name, version) for version in sorted(feature.versions) if version not in kept.versions]
    for name, version in old:
        for file in files_of_version(known, name, version):
            del manifest.files[file]
    files = [known.files[name] for name in known.files.keys() - manifest.files.keys()]
    return manifest, Removed(tuple(old), len(files), sum(file.bytes for file in files))


def files_of_version(known: Manifest, feature: str, fingerprint: str) -> list[str]:
    """Names of a version's files in the dataset: its shards, its description, its list of images without a row.

    Args:
        known: the dataset's manifest.
        feature: the feature's name.
        fingerprint: the version's whole fingerprint.

    Returns:
        The names of those that the manifest lists.
    """
    dropped = f"dropped/{feature}-{fingerprint}.parquet"
    return [name for name in known.files if name == dropped or name.startswith(f"features/{feature}/{fingerprint}/")]
