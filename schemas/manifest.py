"""manifest.json: what a dataset folder contains, written last and atomically."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from schemas import SCHEMA_VERSION
from schemas.errors import IntegrityError
from schemas.files import json_text, publish_text, read_json, sha256_file

MANIFEST = "manifest.json"
MANIFEST_HASH = "manifest.sha256"


def rules_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a build's configuration that decides which records stay: no features, no manners of the crawl."""
    return {name: value for name, value in config.items() if name not in ("features", "crawl")}


@dataclass(frozen=True)
class FileEntry:
    """One file of the dataset. rows: of a table or shard, 0 for other files."""

    sha256: str
    bytes: int
    rows: int = 0

    @classmethod
    def of(cls, path: Path, rows: int = 0) -> "FileEntry":
        """Describe the file that lies at `path`."""
        return cls(sha256_file(path), os.path.getsize(path), rows)


@dataclass
class Manifest:
    """The whole of a dataset.

    config: the resolved build configuration. inputs: the dumps by name, format and sha256.
    text: identity of what made tokens of text: the tokenizer's version, word statistics, hashtag mapping.
    counts: `read`, `kept`, `dropped` (door -> reason -> records), `splits`, `leaks` (groups that cross splits).
    features: name -> {"current": fingerprint, "history": fingerprints, the one that was current last first,
        "versions": {fingerprint: {"rows", "dropped", "shards", "slices", "parts", "settings", "notes"}}}: shards in
        order, dropped as reason -> images, slices: of each shard {"first": its smallest image hash, "slice": digest of
        all its image hashes}, settings: the configuration it was computed with.
    files: path inside the folder -> FileEntry; images are listed by images/images.parquet, whose hashes they bear.
    lineage: library versions and kind of processor: recorded, never part of a fingerprint.
    notes: what a reader must know, such as weights that are random.
    """

    config: dict[str, Any] = field(default_factory=dict)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    text: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    features: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION

    @property
    def signature(self) -> dict[str, Any]:
        """All that decides posts/, dropped/ and the image store: inputs, rules, and how text was read."""
        return {"inputs": self.inputs, "rules": rules_of(self.config), "text": self.text}

    def write(self, folder: Path) -> None:
        """Write manifest.json and its own hash. Killed in between, the old one or the new one stands, and is whole.

        Two files cannot change in one step, so for a moment the hash file names both manifests.
        """
        path, hashes = folder / MANIFEST, folder / MANIFEST_HASH
        text = json_text(asdict(self))
        line = f"{hashlib.sha256(text.encode()).hexdigest()}  {MANIFEST}\n"
        if path.is_file():
            publish_text(hashes, f"{sha256_file(path)}  {MANIFEST}\n{line}")
        else:
            publish_text(hashes, line)
        publish_text(path, text)
        publish_text(hashes, line)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read and check it. IntegrityError where there is none, where it was changed, or is of another version."""
        path = folder / MANIFEST
        if not path.exists():
            raise IntegrityError(f"{folder}: no {MANIFEST}, so no finished dataset. Run `python -m pipeline build`.")
        try:
            lines = (folder / MANIFEST_HASH).read_text(encoding="ascii").splitlines() or [""]
            stated = [line.split()[0] for line in lines]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            raise IntegrityError(f"{folder / MANIFEST_HASH}: missing or unreadable; run the build again.") from error
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found not in stated:
            raise IntegrityError(
                f"{path}: sha256 is {found}, {MANIFEST_HASH} says {' or '.join(stated)}: the manifest was changed."
            )
        raw = read_json(path)
        if raw.get("schema_version") != SCHEMA_VERSION:
            raise IntegrityError(
                f"{path}: schema version {raw.get('schema_version')}, this m3h reads {SCHEMA_VERSION}. Build it anew."
            )
        return cls.of(raw)

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "Manifest":
        """From the JSON that `dataclasses.asdict` makes of one."""
        for name, feature in raw["features"].items():
            _complete(feature, raw["config"].get("features", {}).get(name, {}), raw["notes"], name)
        return cls(**{**raw, "files": {name: FileEntry(**entry) for name, entry in raw["files"].items()}})


def _complete(feature: dict[str, Any], settings: dict[str, Any], notes: list[str], name: str) -> None:
    """What manifests did not say of a feature before versions could be gone back to."""
    current = feature["current"]
    feature.setdefault("history", [current, *sorted(version for version in feature["versions"] if version != current)])
    for version, described in feature["versions"].items():
        mine = version == current
        described.setdefault("settings", settings if mine and "imported" not in described.get("parts", {}) else {})
        described.setdefault("notes", [note for note in notes if mine and note.startswith(name)])
