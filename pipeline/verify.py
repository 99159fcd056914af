"""`verify`: every file hashed again, and the laws: conservation, integrity, freshness, no leaks, the rules obeyed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.forgotten import FORGOTTEN_FILE, read_forgotten
from pipeline.freshness import staleness
from pipeline.images import image_path
from pipeline.obedience import disobedience
from pipeline.parts import IMAGE_LIST
from pipeline.publish import DERIVED, columns, record_counts
from pipeline.sources import REMEMBERED
from pipeline.speeds import SPEEDS
from pipeline.state import FOLDER, BuildState
from pipeline.summary import SUMMARY
from schemas.errors import IntegrityError, M3hError
from schemas.files import sha256_file
from schemas.manifest import MANIFEST, MANIFEST_HASH, FileEntry, Manifest
from schemas.parquet import read_parquet
from schemas.posts import DROPPED_SCHEMA, IMAGE_SCHEMA, POST_SCHEMA
from schemas.shards import KEY

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
    if not Manifest.is_settled(dataset) and not (dataset / FOLDER).is_dir():
        report.breaches.append(f"{dataset / MANIFEST_HASH}: names two manifests, though no command is at work.")
    for name in sorted(manifest.files):
        report.files += 1
        if breach := _file_breach(dataset / name, manifest.files[name]):
            report.broken.add(name)
            report.breaches.append(breach)
    pictures = _check_pictures(dataset, manifest, report)
    report.foreign = list(_foreign(dataset, manifest, pictures))
    report.breaches += [f"{path}: not in the manifest." for path in report.foreign]
    # Records are counted in the files themselves, which says nothing where these are not what they were.
    foreign_records = any(path.match("posts/*") or path.match("dropped/part-*") for path in report.foreign)
    if report.records_whole and not foreign_records:
        report.breaches += _told(_other_columns, dataset, manifest) or _record_breaches(
            dataset, manifest, report.broken
        )
    report.breaches += _told(staleness, dataset, manifest, report.broken)
    return report


def _told(check: Callable[..., Iterable[str]], dataset: Path, *rest: Any) -> list[str]:
    """What a check finds. Files whose hashes agree may still hold anything: then that is what is found."""
    found: list[str] = []
    try:
        for breach in check(dataset, *rest):
            found.append(breach)
    except M3hError as error:
        found.append(str(error))
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError) as error:
        found.append(f"{dataset}: holds what no build writes ({error!r}).")
    return found


def _file_breach(path: Path, stated: FileEntry) -> str:
    if breach := _hash_breach(path, stated.sha256):
        return breach
    size = path.stat().st_size
    return "" if size == stated.bytes else f"{path}: has {size} bytes, the manifest says {stated.bytes}."


def _hash_breach(path: Path, stated: str) -> str:
    if not path.is_file():
        return f"{path}: missing, the manifest lists it."
    found = sha256_file(path)
    return "" if found == stated else f"{path}: sha256 is {found}, the manifest says {stated}."


def _check_pictures(dataset: Path, manifest: Manifest, report: Report) -> set[Path] | None:
    """Hash every stored picture. Returns where the store may hold one; None where its list is broken."""
    if IMAGE_LIST in report.broken:
        return None
    try:
        rows = read_parquet(dataset / IMAGE_LIST).to_pylist() if IMAGE_LIST in manifest.files else []
        stored = [str(row[KEY]) for row in rows if row["status"] == "stored"]
    except (IntegrityError, KeyError) as error:  # its hash agrees, and yet it is no such list
        report.breaches.append(f"{dataset / IMAGE_LIST}: not a list of pictures ({error!r}).")
        return None
    known = set()
    for image in stored:
        report.files += 1
        path = image_path(dataset, image)
        known.add(path)
        if breach := _hash_breach(path, image):
            report.pictures.add(image)
            report.breaches.append(breach)
    return known


def _foreign(dataset: Path, manifest: Manifest, pictures: set[Path] | None) -> Iterator[Path]:
    """Files that are neither in the manifest, nor pictures of the store, nor made from the rest at will."""
    state = BuildState(dataset)
    listed = {*manifest.files, *state.in_transit, MANIFEST, MANIFEST_HASH, *DERIVED, REMEMBERED, SPEEDS, SUMMARY}
    for path in sorted(dataset.rglob("*")):
        name = path.relative_to(dataset)
        if path.is_dir() and not path.is_symlink():
            continue
        if name.as_posix() in listed or name.parts[0] == FOLDER or path in (pictures or ()):
            continue
        # Which pictures are stored is not known where their list is broken, or an unfinished build is adding some.
        if (pictures is None or state.is_unfinished) and _is_picture(path):
            continue
        yield path


def _is_picture(path: Path) -> bool:
    """Whether it has the place and the name of a stored picture of these bytes."""
    return path.match("images/*/*.jpg") and path.is_file() and sha256_file(path) == path.stem


def _other_columns(dataset: Path, manifest: Manifest) -> Iterator[str]:
    """Tables that another version of m3h wrote: whole, but what they lack cannot be checked."""
    for name in sorted(manifest.files):
        schema = next((schema for prefix, schema in _SCHEMAS.items() if name.startswith(prefix)), None)
        if schema and not (found := pq.read_schema(dataset / name)).equals(schema):
            other = ", ".join(sorted({*found.names} ^ {*schema.names})) or "their types"
            yield f"{dataset / name}: its columns are another version's of m3h ({other}). Build the dataset anew."
        if schema and (rows := pq.read_metadata(dataset / name).num_rows) != manifest.files[name].rows:
            yield f"{dataset / name}: {rows} rows, the manifest says {manifest.files[name].rows}."


def _record_breaches(dataset: Path, manifest: Manifest, broken: set[str]) -> list[str]:
    return [
        *_told(_conservation, dataset, manifest),
        *_told(disobedience, dataset, manifest),
        *_told(_forgotten_breaches, dataset, manifest, broken),
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


def _other_counts(dataset: Path, manifest: Manifest) -> Iterator[str]:
    stated = manifest.counts
    found = record_counts(dataset, stated["read"])
    if found != stated:
        yield f"{dataset}: the manifest counts {stated}, the files hold {found}."


def _conservation(dataset: Path, manifest: Manifest) -> Iterator[str]:
    yield from _told(_other_counts, dataset, manifest)
    splits: dict[str, set[str]] = {}
    for split, own, group in columns(dataset, "posts", ("split", "own_split", "group")):
        if not own:  # a source's own splits are its own affair: counted, never failed
            splits.setdefault(group, set()).add(split)
    for group, found_in in sorted(splits.items()):
        if len(found_in) > 1:
            yield f"{dataset}: group {group} stands in {', '.join(sorted(found_in))}."
