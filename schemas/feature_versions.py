"""The versions of a feature that a dataset holds side by side, as its manifest describes them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3h.schemas.errors import IntegrityError


@dataclass(frozen=True)
class Slice:
    """The images of one shard. first: the smallest of their hashes. slice: digest of all their hashes."""

    first: str
    slice: str


@dataclass(frozen=True)
class FeatureVersion:
    """One version of a feature: what is stored under one fingerprint.

    rows: number of images with a row.
    dropped: reason -> number of images without a row.
    shards: files inside the dataset, in order, one for each of `slices`.
    parts: what the fingerprint was computed from.
    settings: the configuration it was computed with; empty where it was not computed here.
    notes: what a reader must know.
    """

    rows: int
    dropped: Mapping[str, int]
    shards: tuple[str, ...]
    slices: tuple[Slice, ...]
    parts: Mapping[str, Any]
    settings: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def weights(self) -> str:
        """What its values were computed with, from the parts of its fingerprint; "" where nothing was learned."""
        found = [f"{name}: {self.parts[name]}" for name in ("weights", "head") if self.parts.get(name)]
        found += [f"engine: {self.parts['engine']}"] if "engine" in self.parts else []
        return "; ".join(found)

    @property
    def is_random(self) -> bool:
        """Whether it was computed with random weights."""
        return any("random" in text for text in (self.weights, *self.notes))


@dataclass(frozen=True)
class FeatureVersions:
    """All versions of one feature.

    current: fingerprint of the version that is read.
    history: every fingerprint, the most recently current one first.
    versions: by fingerprint.
    """

    current: str
    history: tuple[str, ...]
    versions: Mapping[str, FeatureVersion]

    @classmethod
    def first(cls, fingerprint: str, version: FeatureVersion) -> "FeatureVersions":
        """The versions of a feature that is new in the dataset."""
        return cls(fingerprint, (fingerprint,), {fingerprint: version})

    @property
    def current_version(self) -> FeatureVersion:
        """The version that is read."""
        return self.versions[self.current]

    @property
    def is_imported(self) -> bool:
        """Whether the current version came with the dataset's source, so that it cannot be computed here."""
        return "imported" in self.current_version.parts

    def summary(self) -> dict[str, Any]:
        """The current version's figures, for `--json`."""
        version = self.current_version
        return {"fingerprint": self.current, "rows": version.rows, "dropped": dict(version.dropped)}

    def made_current(self, fingerprint: str) -> "FeatureVersions":
        """A copy with another of its versions current."""
        others = (version for version in self.history if version != fingerprint)
        return replace(self, current=fingerprint, history=(fingerprint, *others))

    def added(self, fingerprint: str, version: FeatureVersion) -> "FeatureVersions":
        """A copy with one more version, or with a new description of an existing one. It becomes the current one."""
        return self.described_as({fingerprint: version}).made_current(fingerprint)

    def described_as(self, versions: Mapping[str, FeatureVersion]) -> "FeatureVersions":
        """A copy with new descriptions of some versions."""
        return replace(self, versions={**self.versions, **versions})

    def kept(self, number: int) -> "FeatureVersions":
        """A copy with only the `number` most recently current versions. The current one is the first of them."""
        recent = self.history[:number]
        return replace(self, history=recent, versions={version: self.versions[version] for version in recent})


def read_features(raw: Mapping[str, Any], path: Path) -> dict[str, FeatureVersions]:
    """The features of a manifest's JSON, `raw`, that was read from `path`.

    Older manifests do not state the settings and notes of each version. These are completed from the rest of `raw`.

    Raises:
        IntegrityError: A field is not what a build writes. The message names it.
    """
    config = Field(path, "config", raw["config"]).object()
    settings = config["features"].object() if "features" in config else {}
    notes = Field(path, "notes", raw["notes"]).texts()
    return {
        name: _feature(field, name, settings[name].plain() if name in settings else {}, notes=notes)
        for name, field in Field(path, "features", raw["features"]).object().items()
    }


@dataclass(frozen=True)
class Field:
    """A JSON value of one of our files with its dotted name, so that an error message can say where it stands."""

    file: Path
    name: str
    value: object

    def wrong(self, expected: str) -> IntegrityError:
        """The error to raise where the value is not the expected one."""
        found = repr(self.value)
        found = found if len(found) <= 80 else f"{found[:79]}…"
        return IntegrityError(
            f"{self.file}: not what a build writes: {self.name}: expected {expected}, found {found}. "
            "Restore the file, or build the dataset anew."
        )

    def plain(self) -> dict[str, Any]:
        """A JSON object, its values unchecked."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return self.value

    def object(self) -> dict[str, "Field"]:
        """The fields of a JSON object, whatever their names."""
        return {name: Field(self.file, f"{self.name}.{name}", value) for name, value in self.plain().items()}

    def record(self, needed: Collection[str], optional: Collection[str] = ()) -> dict[str, "Field"]:
        """The fields of a JSON object that has all `needed` names, perhaps `optional` ones, and no others."""
        fields = self.object()
        if missing := [name for name in needed if name not in fields]:
            raise self.wrong(f"a field {missing[0]!r}")
        if unknown := [name for name in fields if name not in needed and name not in optional]:
            raise fields[unknown[0]].wrong("no such field")
        return fields

    def list(self) -> "Iterator[Field]":
        """The elements of a JSON array."""
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return (Field(self.file, f"{self.name}.{i}", value) for i, value in enumerate(self.value))

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            raise self.wrong("a string")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(field.text() for field in self.list())

    def texts_of(self, names: Collection[str]) -> None:
        """Check that it is a JSON object with a string under each of these names."""
        fields = self.record(names, optional=self.plain())
        for name in names:
            fields[name].text()

    def counts(self) -> dict[str, int]:
        """A JSON object of whole numbers that are not negative."""
        return {name: field.count() for name, field in self.object().items()}

    def count(self) -> int:
        """A whole number that is not negative."""
        if type(self.value) is not int or self.value < 0:
            raise self.wrong("a whole number that is not negative")
        return self.value


def _feature(field: Field, name: str, settings: Mapping[str, Any], *, notes: Sequence[str]) -> FeatureVersions:
    """settings, notes: of the whole dataset, for manifests that do not state them for each version."""
    fields = field.record(("current", "versions"), ("history",))
    current, entries = fields["current"].text(), fields["versions"].object()
    if current not in entries:
        raise fields["current"].wrong(f"one of its versions ({', '.join(sorted(entries)) or 'none'})")
    versions: dict[str, FeatureVersion] = {}
    for version, entry in entries.items():
        is_current = version == current
        of_dataset = tuple(note for note in notes if is_current and note.startswith(name))
        versions[version] = _version(entry, settings if is_current else {}, of_dataset)
    history: tuple[str, ...] = (current, *sorted(version for version in versions if version != current))
    if "history" in fields:
        history = fields["history"].texts()
        if history[:1] != (current,) or sorted(history) != sorted(versions):
            raise fields["history"].wrong(f"each of its versions once, {current} first")
    return FeatureVersions(current, history, versions)


def _version(field: Field, settings: Mapping[str, Any], notes: tuple[str, ...]) -> FeatureVersion:
    """settings, notes: used where the version does not state its own."""
    fields = field.record(("rows", "dropped", "shards", "slices", "parts"), ("settings", "notes"))
    shards, slices = fields["shards"].texts(), tuple(_slice(entry) for entry in fields["slices"].list())
    if len(shards) != len(slices):
        raise fields["slices"].wrong(f"one for each of the {len(shards)} shards")
    parts = fields["parts"].plain()
    return FeatureVersion(
        rows=fields["rows"].count(),
        dropped=fields["dropped"].counts(),
        shards=shards,
        slices=slices,
        parts=parts,
        settings=fields["settings"].plain() if "settings" in fields else {} if "imported" in parts else settings,
        notes=fields["notes"].texts() if "notes" in fields else notes,
    )


def _slice(field: Field) -> Slice:
    fields = field.record(("first", "slice"))
    return Slice(fields["first"].text(), fields["slice"].text())
