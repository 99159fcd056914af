"""`verify`: every file hashed again, and the laws: conservation, integrity, freshness, no leaks, the rules obeyed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.forgotten import FORGOTTEN_FILE, read_forgotten
from pipeline.images import image_path
from pipeline.obedience import disobedience
from pipeline.parts import IMAGE_LIST
from pipeline.publish import DERIVED, columns, record_counts
from pipeline.state import FOLDER, BuildState
from schemas.errors import IntegrityError
from schemas.files import sha256_file
from schemas.manifest import MANIFEST, MANIFEST_HASH, Manifest
from schemas.parquet import read_parquet
from schemas.posts import DROPPED_SCHEMA, IMAGE_SCHEMA, POST_SCHEMA
from schemas.shards import KEY, shard_keys

_SCHEMAS = {"posts/": POST_SCHEMA, "dropped/part-": DROPPED_SCHEMA, IMAGE_LIST: IMAGE_SCHEMA}
"""Of the tables whose names begin so."""


@dataclass
class Report:
    """breaches: one sentence each, naming the file. files: how many were hashed.

    broken: files of the manifest that are missing or changed; pictures: hashes of stored pictures that are; foreign:
    files that belong to nothing.
    """

    breaches: list[str] = field(default_factory=list)
    files: int = 0
    broken: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)
    foreign: list[Path] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """No law is broken."""
        return not self.breaches

    @property
    def records_whole(self) -> bool:
        """Whether posts, dropped records and the lists of pictures are what the manifest says."""
        return not any(is_record_file(name) for name in self.broken)


def is_record_file(name: str) -> bool:
    """Whether a file of the manifest can only be made of the dumps."""
    return name.startswith(("posts/", "dropped/part-", "images/"))


def verify(dataset: Path) -> Report:
    """Check everything; a breach never stops the check of the rest."""
    report = Report()
    try:
        manifest = Manifest.read(dataset)
    except IntegrityError as error:
        report.breaches.append(str(error))
        return report
    for name in sorted(manifest.files):
        report.files += 1
        if breach := _hash_breach(dataset / name, manifest.files[name].sha256):
            report.broken.add(name)
            report.breaches.append(breach)
    pictures = _check_pictures(dataset, manifest, report)
    report.foreign = list(_foreign(dataset, manifest, pictures))
    report.breaches += [f"{path}: not in the manifest." for path in report.foreign]
    # Records are counted in the files themselves, which says nothing where these are not what they were.
    foreign_records = any(path.match("posts/*") or path.match("dropped/part-*") for path in report.foreign)
    if report.records_whole and not foreign_records:
        report.breaches += list(_other_columns(dataset, manifest)) or _record_breaches(dataset, manifest, report.broken)
    report.breaches += _feature_breaches(dataset, manifest, report.broken)
    return report


def _hash_breach(path: Path, stated: str) -> str:
    if not path.is_file():
        return f"{path}: missing, the manifest lists it."
    found = sha256_file(path)
    return "" if found == stated else f"{path}: sha256 is {found}, the manifest says {stated}."


def _check_pictures(dataset: Path, manifest: Manifest, report: Report) -> set[Path] | None:
    """Hash every stored picture. Returns where the store may hold one; None where its list is broken."""
    if IMAGE_LIST in report.broken:
        return None
    known = set()
    rows = read_parquet(dataset / IMAGE_LIST).to_pylist() if IMAGE_LIST in manifest.files else []
    for row in rows:
        if row["status"] == "stored":
            report.files += 1
            path = image_path(dataset, row[KEY])
            known.add(path)
            if breach := _hash_breach(path, row[KEY]):
                report.pictures.add(row[KEY])
                report.breaches.append(breach)
    return known


def _foreign(dataset: Path, manifest: Manifest, pictures: set[Path] | None) -> Iterator[Path]:
    """Files that are neither in the manifest, nor pictures of the store, nor made from the rest at will."""
    listed = {*manifest.files, *BuildState(dataset).in_transit, MANIFEST, MANIFEST_HASH, *DERIVED}
    for path in sorted(dataset.rglob("*")):
        name = path.relative_to(dataset).as_posix()
        stored = path in pictures if pictures is not None else path.match("images/*/*.jpg")
        if path.is_file() and name not in listed and not stored and not name.startswith(FOLDER):
            yield path


def _other_columns(dataset: Path, manifest: Manifest) -> Iterator[str]:
    """Tables that another version of m3h wrote: whole, but what they lack cannot be checked."""
    for name in sorted(manifest.files):
        schema = next((schema for prefix, schema in _SCHEMAS.items() if name.startswith(prefix)), None)
        if schema and not (found := pq.read_schema(dataset / name)).equals(schema):
            other = ", ".join(sorted({*found.names} ^ {*schema.names})) or "their types"
            yield f"{dataset / name}: its columns are another version's of m3h ({other}). Build the dataset anew."


def _record_breaches(dataset: Path, manifest: Manifest, broken: set[str]) -> list[str]:
    return [
        *_conservation(dataset, manifest),
        *disobedience(dataset, manifest),
        *_forgotten_breaches(dataset, manifest, broken),
    ]


def _forgotten_breaches(dataset: Path, manifest: Manifest, broken: set[str]) -> Iterator[str]:
    """No forgotten record is here. The list says only hashes, so that the id is not named."""
    if FORGOTTEN_FILE not in manifest.files or FORGOTTEN_FILE in broken:
        return
    forgotten = read_forgotten(dataset)
    for folder, column, pattern in (("posts", "post_id", "*.parquet"), ("dropped", "record_id", "part-*.parquet")):
        number = sum(one in forgotten for (one,) in columns(dataset, folder, (column,), pattern) if one)
        if number:
            yield f"{dataset / folder}: {number} records that were forgotten. Run forget again."


def _conservation(dataset: Path, manifest: Manifest) -> Iterator[str]:
    stated = manifest.counts
    found = record_counts(dataset, stated["read"])
    if found != stated:
        yield f"{dataset}: the manifest counts {stated}, the files hold {found}."
    splits: dict[str, set[str]] = {}
    for split, own, group in columns(dataset, "posts", ("split", "own_split", "group")):
        if not own:  # a source's own splits are its own affair: counted, never failed
            splits.setdefault(group, set()).add(split)
    for group, found_in in sorted(splits.items()):
        if len(found_in) > 1:
            yield f"{dataset}: group {group} stands in {', '.join(sorted(found_in))}."


def _feature_breaches(dataset: Path, manifest: Manifest, broken: set[str]) -> Iterator[str]:
    for name, known in sorted(manifest.features.items()):
        if known["current"] not in known["versions"]:
            yield f"feature {name}: its current fingerprint {known['current']} is not among its versions."
        for version, described in sorted(known["versions"].items()):
            rows = 0
            for shard in described["shards"]:
                if f"features/{name}/{version}/" not in shard:
                    yield f"{shard}: listed under {name} {version}."
                if shard not in broken:
                    rows += len(shard_keys(dataset / shard))
            if rows != described["rows"] and broken.isdisjoint(described["shards"]):
                yield f"feature {name} {version}: {rows} rows, the manifest says {described['rows']}."
