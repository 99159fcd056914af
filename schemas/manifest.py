"""manifest.json: what a dataset folder contains, written last and atomically."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from schemas import SCHEMA_VERSION
from schemas.errors import IntegrityError
from schemas.files import json_text, publish_text, read_json, sha256_file

MANIFEST = "manifest.json"
MANIFEST_HASH = "manifest.sha256"

_HASH_LINE = re.compile(rf"([0-9a-f]{{64}})  {re.escape(MANIFEST)}\n")


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
        line = _hash_line(hashlib.sha256(text.encode()).hexdigest())
        if path.is_file():
            publish_text(hashes, _hash_line(sha256_file(path)) + line)
        else:
            publish_text(hashes, line)
        publish_text(path, text)
        publish_text(hashes, line)

    @staticmethod
    def settle(folder: Path) -> None:
        """Where a killed `write` left a hash file that names two manifests, let it name the one that stands."""
        if (folder / MANIFEST).is_file() and len(_stated_hashes(folder)) > 1:
            Manifest.read(folder)
            publish_text(folder / MANIFEST_HASH, _hash_line(sha256_file(folder / MANIFEST)))

    @staticmethod
    def is_settled(folder: Path) -> bool:
        """Whether the hash file names one manifest alone, as it does unless a command was killed or is at work."""
        return len(_stated_hashes(folder)) == 1

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read and check it. IntegrityError where there is none, where it was changed, or is of another version."""
        path = folder / MANIFEST
        if not path.exists():
            raise IntegrityError(f"{folder}: no {MANIFEST}, so no finished dataset. Run `python -m pipeline build`.")
        stated = _stated_hashes(folder)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found not in stated:
            raise IntegrityError(
                f"{path}: sha256 is {found}, {MANIFEST_HASH} says {' or '.join(stated)}: one of the two was changed."
            )
        raw = read_json(path)
        if not isinstance(raw, dict):
            raise IntegrityError(f"{path}: expected a JSON object, found {type(raw).__name__}.")
        if raw.get("schema_version") != SCHEMA_VERSION:
            raise IntegrityError(
                f"{path}: schema version {raw.get('schema_version')}, this m3h reads {SCHEMA_VERSION}. Build it anew."
            )
        try:
            manifest = cls.of(raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(f"{path}: not what a build writes ({error!r}). Build the dataset anew.") from error
        if outside := [name for name in manifest.files if _leads_outside(name)]:
            raise IntegrityError(f"{path}: lists {outside[0]}, which lies outside the dataset.")
        return manifest

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "Manifest":
        """From the JSON that `dataclasses.asdict` makes of one."""
        for name, feature in raw["features"].items():
            _complete(feature, raw["config"].get("features", {}).get(name, {}), raw["notes"], name)
        return cls(**{**raw, "files": {name: FileEntry(**entry) for name, entry in raw["files"].items()}})


def _hash_line(sha256: str) -> str:
    return f"{sha256}  {MANIFEST}\n"


def _stated_hashes(folder: Path) -> list[str]:
    """What manifest.sha256 names: one manifest, or while it is replaced the old one and the new one."""
    path = folder / MANIFEST_HASH
    try:
        text = path.read_bytes().decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path}: missing or unreadable; run the build again.") from error
    found = _HASH_LINE.findall(text)
    if len(found) not in (1, 2) or text != "".join(map(_hash_line, found)):
        raise IntegrityError(f"{path}: missing or unreadable; run the build again.")
    return found


def _leads_outside(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or path.as_posix() != name


def _complete(feature: dict[str, Any], settings: dict[str, Any], notes: list[str], name: str) -> None:
    """What manifests did not say of a feature before versions could be gone back to."""
    current = feature["current"]
    feature.setdefault("history", [current, *sorted(version for version in feature["versions"] if version != current)])
    for version, described in feature["versions"].items():
        mine = version == current
        described.setdefault("settings", settings if mine and "imported" not in described.get("parts", {}) else {})
        described.setdefault("notes", [note for note in notes if mine and note.startswith(name)])
