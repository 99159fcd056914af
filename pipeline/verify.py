"""`verify`: every file hashed again, and the laws a dataset must obey: conservation, integrity, freshness, no leaks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.images import image_path
from pipeline.publish import DERIVED, columns, record_counts
from pipeline.state import FOLDER
from schemas.errors import IntegrityError
from schemas.files import sha256_file
from schemas.manifest import MANIFEST, MANIFEST_HASH, Manifest
from schemas.shards import KEY, shard_keys


@dataclass
class Report:
    """breaches: one sentence each, naming the file. files: how many were hashed."""

    breaches: list[str] = field(default_factory=list)
    files: int = 0

    @property
    def ok(self) -> bool:
        """No law is broken."""
        return not self.breaches


def verify(dataset: Path) -> Report:
    """Check everything; a breach never stops the check of the rest."""
    report = Report()
    try:
        manifest = Manifest.read(dataset)
    except IntegrityError as error:
        report.breaches.append(str(error))
        return report
    broken = set()
    for name in sorted(manifest.files):
        report.files += 1
        if breach := _hash_breach(dataset / name, manifest.files[name].sha256):
            broken.add(name)
            report.breaches.append(breach)
    foreign = list(_unlisted(dataset, manifest))
    report.breaches += [f"{dataset / name}: not in the manifest." for name in foreign]
    # Records are counted in the files themselves, which says nothing where these are not what they were.
    if not any(name.startswith(("posts/", "dropped/", "images/images.")) for name in (*broken, *foreign)):
        report.breaches += _image_breaches(dataset, manifest, report)
        report.breaches += _conservation(dataset, manifest)
    report.breaches += _feature_breaches(dataset, manifest, broken)
    return report


def _hash_breach(path: Path, stated: str) -> str:
    if not path.is_file():
        return f"{path}: missing, the manifest lists it."
    found = sha256_file(path)
    return "" if found == stated else f"{path}: sha256 is {found}, the manifest says {stated}."


def _unlisted(dataset: Path, manifest: Manifest) -> Iterator[str]:
    listed = {*manifest.files, MANIFEST, MANIFEST_HASH, *DERIVED}
    for path in sorted(dataset.rglob("*")):
        name = path.relative_to(dataset).as_posix()
        in_store = name.startswith("images/") and path.suffix == ".jpg"
        if path.is_file() and name not in listed and not in_store and not name.startswith(FOLDER):
            yield name


def _image_breaches(dataset: Path, manifest: Manifest, report: Report) -> Iterator[str]:
    if "images/images.parquet" not in manifest.files:
        return
    known = set()
    for row in pq.read_table(dataset / "images" / "images.parquet").to_pylist():
        if row["status"] == "stored":
            report.files += 1
            path = image_path(dataset, row[KEY])
            known.add(path)
            if breach := _hash_breach(path, row[KEY]):
                yield breach
    for path in sorted((dataset / "images").glob("*/*.jpg")):
        if path not in known:
            yield f"{path}: not in images.parquet."


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
