"""manifest.json: what a dataset folder contains. It is written last and atomically."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from m3h.schemas import DATASET_VERSION
from m3h.schemas.errors import IntegrityError
from m3h.schemas.feature_versions import FeatureVersion, FeatureVersions, Field, read_features
from m3h.schemas.files import json_text, parsed_json, publish_text, sha256_file
from m3h.schemas.inside import file_in, has_file, refuse_other_names

MANIFEST = "manifest.json"
MANIFEST_HASH = "manifest.sha256"

_HASH_LINE = re.compile(rf"([0-9a-f]{{64}})  {re.escape(MANIFEST)}\n")


OF_ONE_COMMAND = ("safety", "execution")
"""Sections of a build's configuration that are not kept: what a command may take away, and how it is carried out."""


def rules_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a build's configuration that decides which records stay.

    That is all but settings of features, of the crawl, and of single commands.
    """
    return {name: value for name, value in config.items() if name not in ("features", "crawl", *OF_ONE_COMMAND)}


@dataclass(frozen=True)
class FileEntry:
    """One file of the dataset. rows: of a table or shard; 0 for other files."""

    sha256: str
    bytes: int
    rows: int = 0

    @classmethod
    def of(cls, path: Path, rows: int = 0) -> "FileEntry":
        """The entry of the file at `path`."""
        return cls(sha256_file(path), os.path.getsize(path), rows)


KEPT_BY_RULE = "rare_hashtags"
"""Of a manifest's counts: how many posts the build would have kept by each choice of `clean.rare_hashtags`."""


def _no_counts() -> dict[str, Any]:
    return {
        **{"read": 0, "kept": 0, "dropped": {}, "unread_fields": {}, "splits": {}},
        "leaks": {"groups": 0, "posts": 0},
    }


@dataclass
class Manifest:
    """A whole dataset.

    config: the resolved build configuration. inputs: the dumps by name, format and sha256.
    text: identity of what turned text into tokens: the tokenizer's version, word statistics, hashtag mapping.
    counts: `read`, `kept`, `dropped` (stage -> reason -> records), `unread_fields` (field -> posts that were read
    without it, as its value could not be read), `splits`, `leaks` (groups that cross splits), and of a build's own
    posts `rare_hashtags` (rule -> posts that it would have kept).
    features: by name.
    files: path inside the folder -> FileEntry. Pictures are not listed here but in images/images.parquet, by the hashes
    that are their file names.
    lineage: library versions and the kind of processor. Recorded, never part of a fingerprint.
    notes: what a reader must know, such as weights that are random.
    """

    config: dict[str, Any] = field(default_factory=dict)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    text: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=_no_counts)
    features: dict[str, FeatureVersions] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    schema_version: int = DATASET_VERSION

    @property
    def signature(self) -> dict[str, Any]:
        """Everything that decides posts/, dropped/ and the image store: inputs, rules, and how text was read."""
        return {"inputs": self.inputs, "rules": rules_of(self.config), "text": self.text}

    def write(self, folder: Path) -> None:
        """Write manifest.json and the file with its hash. After a kill the old manifest or the new one is there, whole.

        Two files cannot change in one step, so for a moment the hash file names both manifests.
        """
        path, hashes = file_in(folder, MANIFEST), file_in(folder, MANIFEST_HASH)
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
        """Where a killed `write` left a hash file that names two manifests, make it name only the one that is there."""
        if has_file(folder, MANIFEST) and len(_stated_hashes(folder)) > 1:
            Manifest.read(folder)
            publish_text(file_in(folder, MANIFEST_HASH), _hash_line(sha256_file(file_in(folder, MANIFEST))))

    @staticmethod
    def is_settled(folder: Path) -> bool:
        """Whether the hash file names one manifest. It names two while a command writes, or after a kill."""
        return len(_stated_hashes(folder)) == 1

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read and check a dataset's manifest.

        Raises:
            IntegrityError: There is no manifest, it was changed, or it has another schema version.
        """
        path = file_in(folder, MANIFEST)
        if not path.exists():
            raise IntegrityError(f"{folder}: no {MANIFEST}, so no finished dataset. Run `m3h build`.")
        raw = parsed_json(_stated_bytes(path, folder), path)
        if not isinstance(raw, dict):
            raise IntegrityError(f"{path}: expected a JSON object, found {type(raw).__name__}.")
        if raw.get("schema_version") != DATASET_VERSION:
            raise IntegrityError(
                f"{path}: schema version {raw.get('schema_version')}, this m3h reads {DATASET_VERSION}. Build it anew."
            )
        return cls.of(raw, path)

    @classmethod
    def of(cls, raw: dict[str, Any], path: Path) -> "Manifest":
        """The manifest of its JSON, as `dataclasses.asdict` makes it.

        Args:
            raw: The JSON object.
            path: The file it was read from.

        Raises:
            IntegrityError: A field is not what a build writes. The message names `path`.
        """
        try:
            for name in ("text", "lineage"):
                Field(path, name, raw[name]).plain()
            for section in Field(path, "config", raw["config"]).object().values():
                section.plain()
            for entry in Field(path, "inputs", raw["inputs"]).list():
                entry.texts_of(("name", "format", "sha256"))
            _check_counts(Field(path, "counts", raw["counts"]))
            files = {name: _file_entry(entry) for name, entry in Field(path, "files", raw["files"]).object().items()}
            manifest = cls(**{**raw, "files": files, "features": read_features(raw, path)})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(f"{path}: not what a build writes ({error!r}). Build the dataset anew.") from error
        refuse_other_names(list(manifest.files), path)
        manifest._refuse_unlisted_shards(path)
        return manifest

    def _refuse_unlisted_shards(self, path: Path) -> None:
        for name, feature in self.features.items():
            for version, described in feature.versions.items():
                if unlisted := [shard for shard in described.shards if shard not in self.files]:
                    where = Field(path, f"features.{name}.versions.{version}.shards", unlisted[0])
                    raise where.wrong("names of `files`")

    def version(self, feature: str, fingerprint: str) -> FeatureVersion | None:
        """The version of a feature under a fingerprint. None where the dataset does not have it."""
        return self.features[feature].versions.get(fingerprint) if feature in self.features else None


def _stated_bytes(path: Path, folder: Path) -> bytes:
    """The bytes of the manifest, which have a stated hash. While both files are replaced, they are read again."""
    seen = None
    while True:
        stated, data = _stated_hashes(folder), path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found in stated:
            return data
        if seen == (found, stated):
            raise IntegrityError(
                f"{path}: sha256 is {found}, {MANIFEST_HASH} says {' or '.join(stated)}: one of the two was changed."
            )
        seen = found, stated


def _check_counts(counts: Field) -> None:
    fields = counts.record(tuple(_no_counts()), optional=counts.plain())
    if KEPT_BY_RULE in fields:
        fields[KEPT_BY_RULE].counts()
    for name in ("read", "kept"):
        fields[name].count()
    for reasons in fields["dropped"].object().values():
        reasons.counts()
    for name in ("unread_fields", "splits", "leaks"):
        fields[name].counts()
    fields["leaks"].record(("groups", "posts"))


def _file_entry(field: Field) -> FileEntry:
    fields = field.record(("sha256", "bytes"), ("rows",))
    return FileEntry(
        fields["sha256"].text(), fields["bytes"].count(), fields["rows"].count() if "rows" in fields else 0
    )


def _hash_line(sha256: str) -> str:
    return f"{sha256}  {MANIFEST}\n"


def _stated_hashes(folder: Path) -> list[str]:
    """The hashes in manifest.sha256: of one manifest, or, while it is replaced, of the old and the new one."""
    path = file_in(folder, MANIFEST_HASH)
    try:
        text = path.read_bytes().decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{path}: missing or unreadable; run the build again.") from error
    found = _HASH_LINE.findall(text)
    if len(found) not in (1, 2) or text != "".join(map(_hash_line, found)):
        raise IntegrityError(f"{path}: missing or unreadable; run the build again.")
    return found
