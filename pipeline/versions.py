"""The versions of a feature that live side by side: which is current, going back to another, removing the others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.publish import made_current, notes_of
from pipeline.state import BuildState
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.manifest import Manifest


def is_imported(known: Mapping[str, Any]) -> bool:
    """Whether a feature's current version came with the dataset's source: nobody here can compute it."""
    return "imported" in known["versions"][known["current"]]["parts"]


def version_of(data: Dataset, feature: str, prefix: str) -> str:
    """The one fingerprint of a feature that begins with `prefix`. UsageError where there is none, or several."""
    data.fingerprint(feature)  # refuses a feature it has not
    versions = data.manifest.features[feature]["versions"]
    found = sorted(version for version in versions if version.startswith(prefix))
    if len(found) != 1:
        what = f"{len(found)} versions begin so" if found else "no version begins so"
        raise UsageError(f"{feature} {prefix!r}: {what}; there are {', '.join(sorted(versions))}.")
    return found[0]


def use(dataset: Path, feature: str, prefix: str) -> str:
    """Make another version of a feature current, by how its fingerprint begins; returns all of it.

    Only the manifest changes. The configuration follows, so that no later build or refresh goes forward by itself.
    """
    state = BuildState(_existing(dataset))
    with state.locked():
        state.refuse_unfinished()
        state.sweep()
        data = Dataset(dataset)
        fingerprint = version_of(data, feature, prefix)
        known = data.manifest.features[feature]
        if known["current"] != fingerprint:
            manifest = replace(data.manifest, features=dict(data.manifest.features), config=dict(data.manifest.config))
            manifest.features[feature] = made_current(known, fingerprint)
            if settings := known["versions"][fingerprint]["settings"]:
                manifest.config["features"] = {**manifest.config["features"], feature: settings}
            manifest.notes = notes_of(manifest)
            manifest.write(dataset)
        state.finish()
    return fingerprint


@dataclass(frozen=True)
class Removed:
    """Versions that went (feature, fingerprint), with the files and bytes that were theirs."""

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
    """Remove all versions that are not current, but for the `keep` of each feature that were current last.

    Killed anywhere, the dataset is whole, and the same call finishes. dry_run: only tell what would go.
    """
    if dry_run:
        return without_old(Manifest.read(_existing(dataset)), keep)[1]
    state = BuildState(_existing(dataset))
    with state.locked():
        state.refuse_unfinished()
        state.sweep()
        known = Manifest.read(dataset)
        manifest, removed = without_old(known, keep)
        if removed.versions:
            state.let_leave(known.files.keys() - manifest.files.keys())
            manifest.write(dataset)
            state.remove_leaving()
        state.finish()
    return removed


def without_old(known: Manifest, keep: int) -> tuple[Manifest, Removed]:
    """The manifest without its old versions, and what these were."""
    manifest = replace(known, features={}, files=dict(known.files))
    gone = []
    for name, feature in known.features.items():
        stay = feature["history"][: keep + 1]
        gone += [(name, version) for version in sorted(feature["versions"]) if version not in stay]
        versions = {version: feature["versions"][version] for version in stay}
        manifest.features[name] = {**feature, "history": stay, "versions": versions}
    for name, version in gone:
        for file in files_of_version(known, name, version):
            del manifest.files[file]
    files = [known.files[name] for name in known.files.keys() - manifest.files.keys()]
    return manifest, Removed(tuple(gone), len(files), sum(file.bytes for file in files))


def files_of_version(known: Manifest, feature: str, fingerprint: str) -> list[str]:
    """Shards, description, and the list of images without a row, as far as the dataset has them."""
    lost = f"dropped/{feature}-{fingerprint}.parquet"
    return [name for name in known.files if name == lost or name.startswith(f"features/{feature}/{fingerprint}/")]


def _existing(dataset: Path) -> Path:
    Manifest.read(dataset)  # before anything is written into a folder that is no dataset
    return dataset
