"""`verify`: hash every file again, and check the laws: conservation, integrity, freshness, no leaks, rules."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec

import pyarrow as pa
import pyarrow.parquet as pq

from m3h.pipeline.checks.fingerprints import stale_rows
from m3h.pipeline.checks.rules import rule_violations
from m3h.pipeline.dataset.derived import DERIVED
from m3h.pipeline.dataset.found_pictures import FOUND_PREFIX
from m3h.pipeline.dataset.publish import Tallied, columns, record_counts
from m3h.pipeline.dataset.remembered import REMEMBERED
from m3h.pipeline.dataset.run_history import SUMMARY
from m3h.pipeline.dataset.suppression_list import FORGOTTEN_FILE, read_suppression_list
from m3h.pipeline.dataset.tables import LISTS, image_lists
from m3h.pipeline.dataset.timings import SPEEDS
from m3h.pipeline.dataset.workspace import FOLDER, Workspace
from m3h.pipeline.images.store import image_path
from m3h.pipeline.progress.monitor import tracked
from m3h.schemas.dataset import RETIRED
from m3h.schemas.errors import IntegrityError, M3hError, UsageError
from m3h.schemas.files import sha256_file
from m3h.schemas.inside import file_in, folder_in, has_file, name_of, strange_entries, walk
from m3h.schemas.manifest import MANIFEST, MANIFEST_HASH, FileEntry, Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import DROPPED_SCHEMA, FOUND_SCHEMA, IMAGE_LISTS, IMAGE_SCHEMA, POST_SCHEMA
from m3h.schemas.shards import KEY

P = ParamSpec("P")

_SCHEMAS = {
    "posts/": POST_SCHEMA, "dropped/part-": DROPPED_SCHEMA, IMAGE_LISTS: IMAGE_SCHEMA, FOUND_PREFIX: FOUND_SCHEMA,
}  # fmt: skip
"""The schemas of the tables, by how their names begin."""


@dataclass
class Report:
    """What `verify` found.

    breaches: one sentence each, which names the file. files: how many were hashed. broken: names of files in the
    manifest that are missing or changed. pictures: sha256 of stored pictures that are missing or changed. foreign:
    files that belong to nothing.
    """

    breaches: list[str] = field(default_factory=list)
    files: int = 0
    broken: set[str] = field(default_factory=set)
    pictures: set[str] = field(default_factory=set)
    foreign: list[Path] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no law is broken."""
        return not self.breaches

    @property
    def records_whole(self) -> bool:
        """Whether posts, dropped records and the lists of pictures are what the manifest says."""
        return not any(is_record_file(name) for name in self.broken)


def is_record_file(name: str) -> bool:
    """Whether a file of the manifest can only be made from the dumps."""
    return name.startswith(("posts/", "dropped/part-", "images/"))


def verify(dataset: Path) -> Report:
    """Check everything. A breach does not stop the other checks, but nothing is read where there are links or pipes.

    Raises:
        UsageError: There are breaches, and another command has published meanwhile.
    """
    report = Report(sorted(strange_entries(dataset)))
    if not report.ok:
        return report
    try:
        manifest = Manifest.read(dataset)
    except IntegrityError as error:
        report.breaches.append(str(error))
        return report
    if not Manifest.is_settled(dataset) and not folder_in(dataset, FOLDER).is_dir():
        report.breaches.append(f"{file_in(dataset, MANIFEST_HASH)}: names two manifests, though no command is running.")
    for name in tracked("files", sorted(manifest.files)):
        report.files += 1
        if breach := _file_breach(dataset, name, manifest.files[name]):
            report.broken.add(name)
            report.breaches.append(breach)
    pictures = _check_pictures(dataset, manifest, report)
    report.foreign = list(_foreign(dataset, manifest, pictures))
    report.breaches += [f"{path}: not in the manifest." for path in report.foreign]
    # Records are counted in the files themselves. That is of no use if the files were changed.
    foreign_records = any(path.match("posts/*") or path.match("dropped/part-*") for path in report.foreign)
    if report.records_whole and not foreign_records:
        report.breaches += _findings(_other_columns, dataset, manifest) or _record_breaches(
            dataset, manifest, report.broken
        )
    report.breaches += _findings(stale_rows, dataset, manifest, report.broken)
    if not report.ok and has_file(dataset, MANIFEST) and Manifest.read(dataset) != manifest:
        raise UsageError(f"{dataset}: another command has changed it meanwhile; run this one again.")
    return report


def _findings(
    check: Callable[Concatenate[Path, P], Iterable[str]], dataset: Path, *args: P.args, **kwargs: P.kwargs
) -> list[str]:
    """What a check finds. A file can hold anything although its hash agrees; what cannot be read is a breach, too."""
    found: list[str] = []
    try:
        for breach in check(dataset, *args, **kwargs):
            found.append(breach)
    except M3hError as error:
        found.append(str(error))
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError, AttributeError) as error:
        found.append(f"{dataset}: holds what no build writes ({error!r}).")
    return found


def _file_breach(dataset: Path, name: str, stated: FileEntry) -> str:
    try:
        path = file_in(dataset, name)
    except IntegrityError as error:  # a folder in its place
        return str(error)
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
    """Hash every stored picture. Returns the paths that the store may hold; None if the list of pictures is broken."""
    lists = image_lists(manifest)
    if not report.broken.isdisjoint(lists):
        return None
    stored: dict[str, Path] = {}
    for listed in (file_in(dataset, name) for name in lists):
        try:
            rows = read_parquet(listed, columns=[KEY, "status"]).to_pylist()
            stored |= {row[KEY]: image_path(dataset, row[KEY]) for row in rows if row["status"] == "stored"}
        except IntegrityError as error:  # its hash agrees, but it is not a list of pictures
            report.breaches.append(f"{listed}: not a list of pictures ({error!r}).")
            return None
    for image, path in tracked("pictures", stored.items()):
        report.files += 1
        if breach := _hash_breach(path, image):
            report.pictures.add(image)
            report.breaches.append(breach)
    return set(stored.values())


def _foreign(dataset: Path, manifest: Manifest, pictures: set[Path] | None) -> Iterator[Path]:
    """Files that belong to nothing: not in the manifest, not a stored picture, not derived from other files."""
    state = Workspace(dataset)
    listed = {*manifest.files, *state.in_transit, MANIFEST, MANIFEST_HASH, *DERIVED, REMEMBERED, SPEEDS, SUMMARY}
    for path in sorted(walk(dataset)):
        name = name_of(dataset, path)
        if name in listed or name.partition("/")[0] in (FOLDER, RETIRED) or path in (pictures or ()):
            continue
        # It is not known which pictures belong here if their list is broken or an unfinished build is adding some.
        if (pictures is None or state.is_unfinished) and _is_picture(path):
            continue
        yield path


def _is_picture(path: Path) -> bool:
    """Whether it has the place and the name of a stored picture of these bytes."""
    return path.match("images/*/*.jpg") and path.is_file() and sha256_file(path) == path.stem


def _other_columns(dataset: Path, manifest: Manifest) -> Iterator[str]:
    """Tables that another version of m3h wrote: they are whole, but columns that they lack cannot be checked."""
    for name in sorted(manifest.files):
        schema = next((schema for prefix, schema in _SCHEMAS.items() if name.startswith(prefix)), None)
        if schema and not (found := pq.read_schema(file_in(dataset, name))).equals(schema):
            difference = ", ".join(sorted({*found.names} ^ {*schema.names})) or "their types"
            yield (
                f"{file_in(dataset, name)}: its columns are those of another version of m3h ({difference}). "
                "Build the dataset again."
            )
        if schema and (rows := pq.read_metadata(file_in(dataset, name)).num_rows) != manifest.files[name].rows:
            yield f"{file_in(dataset, name)}: {rows} rows, the manifest says {manifest.files[name].rows}."


def _record_breaches(dataset: Path, manifest: Manifest, broken: set[str]) -> list[str]:
    checks = (_conservation, _unknown_pictures, rule_violations, partial(_forgotten_breaches, broken=broken))
    return [breach for check in tracked("laws", checks, alike=False) for breach in _findings(check, dataset, manifest)]


def _unknown_pictures(dataset: Path, manifest: Manifest) -> Iterator[str]:
    """Tables beside the list of pictures that name others: a later build would take these for stored ones."""
    listed = {image for (image,) in columns(dataset, "images", (KEY,), pattern=LISTS)}
    for name in sorted(manifest.files):
        if not name.startswith(("images/part-", "images/crawl-")):
            continue
        table = file_in(dataset, name)
        named = {image for image in read_parquet(table, columns=[KEY])[KEY].to_pylist() if image}
        if unknown := sorted(named - listed):
            yield f"{table}: names {len(unknown)} pictures that are not listed, such as {unknown[0]}."


def _forgotten_breaches(dataset: Path, manifest: Manifest, broken: set[str]) -> Iterator[str]:
    """Whether a forgotten record is here. The list of forgotten ids holds only hashes, so no id is named."""
    if FORGOTTEN_FILE not in manifest.files or FORGOTTEN_FILE in broken:
        return
    forgotten = read_suppression_list(dataset)
    for folder, column, pattern in (("posts", "post_id", "*.parquet"), ("dropped", "record_id", "part-*.parquet")):
        rows = columns(dataset, folder, (column, "versions"), pattern=pattern)
        number = sum(any(name in forgotten for name in (record_id, *versions) if name) for record_id, versions in rows)
        if number:
            yield f"{folder_in(dataset, folder)}: {number} records that were forgotten. Run forget again."


def _count_breaches(dataset: Path, manifest: Manifest) -> Iterator[str]:
    stated = manifest.counts
    found = record_counts(dataset, Tallied.of(stated))
    if found != stated:
        yield f"{dataset}: the manifest counts {stated}, the files hold {found}."


def _conservation(dataset: Path, manifest: Manifest) -> Iterator[str]:
    yield from _findings(_count_breaches, dataset, manifest)
    splits: dict[str, set[str]] = {}
    for split, own, group in columns(dataset, "posts", ("split", "own_split", "group")):
        if not own:  # splits that the source itself made are counted, but are no breach
            splits.setdefault(group, set()).add(split)
    for group, found_in in sorted(splits.items()):
        if len(found_in) > 1:
            yield f"{dataset}: group {group} stands in {', '.join(sorted(found_in))}."
