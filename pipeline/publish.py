"""The end of a build: count everything, check that nothing was lost, and write the manifest last."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config import BuildConfig
from pipeline.engine import UNEXPECTED, Receipt
from pipeline.forgotten import FORGOTTEN_FILE
from pipeline.hashtags import mapping_table, pairs_of, read_mapping
from pipeline.lineage import lineage
from pipeline.parts import IMAGE_LIST
from pipeline.segment import Segmenter
from pipeline.speeds import remember_speeds
from schemas.config import as_plain
from schemas.errors import M3hError
from schemas.features import FeatureSpec
from schemas.files import publish_json, publish_table, publish_text
from schemas.manifest import FileEntry, Manifest
from schemas.parquet import read_parquet
from schemas.posts import DROPPED_SCHEMA, SPLITS, dropped_row

log = logging.getLogger(__name__)

DERIVED = ("card.md", "croissant.json", "report.html")
"""Made from the rest at will, so neither hashed nor missed."""


@dataclass(frozen=True)
class BuiltFeature:
    """One feature of the dataset, all its shards done. parts: of its fingerprint.

    notes: what a reader must know. settings: it was computed with; none where it came with the source.
    """

    spec: FeatureSpec
    fingerprint: str
    parts: Mapping[str, Any]
    receipts: Sequence[Receipt]
    notes: Sequence[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As in the manifest."""
        return self.spec.name

    @property
    def folder(self) -> str:
        """Inside the dataset."""
        return f"features/{self.name}/{self.fingerprint}"

    @property
    def dropped_file(self) -> str:
        """Where the images without a row are listed."""
        return f"dropped/{self.name}-{self.fingerprint}.parquet"

    def reasons(self) -> dict[str, int]:
        """Images without a row, by reason."""
        return dict(sorted(Counter(row.reason for receipt in self.receipts for row in receipt.dropped).items()))

    @property
    def unexpected(self) -> int:
        """Images lost to a fault nobody foresaw."""
        return self.reasons().get(UNEXPECTED, 0)

    @property
    def description_file(self) -> str:
        """What the fingerprint stands for."""
        return f"{self.folder}/feature.json"

    def write_description(self, out: Path) -> None:
        """Below `out`."""
        described = {"spec": self.spec.as_json(), "fingerprint": self.fingerprint, "parts": dict(self.parts)}
        publish_json(out / self.description_file, described)

    def write_dropped(self, out: Path) -> bool:
        """List the images without a row below `out`; False, and no file, where every image has one."""
        rows = sorted(row for receipt in self.receipts for row in receipt.dropped)
        if rows:
            table = pa.Table.from_pylist([dropped_row(row) for row in rows], schema=DROPPED_SCHEMA)
            publish_table(out / self.dropped_file, table)
        return bool(rows)

    def version(self) -> dict[str, Any]:
        """This fingerprint's entry in the manifest."""
        rows = sum(receipt.rows for receipt in self.receipts)
        return {
            "rows": rows,
            "dropped": self.reasons(),
            "shards": [receipt.file for receipt in self.receipts],
            "slices": [{"first": receipt.first, "slice": receipt.slice} for receipt in self.receipts],
            "parts": dict(self.parts),
            "settings": dict(self.settings),
            "notes": list(self.notes),
        }


def record_counts(dataset: Path, read: int) -> dict[str, Any]:
    """read, kept, dropped by door and reason, splits, leaks, counted in the files themselves.

    read: records as the readers tallied them. M3hError where the sums differ: a record was lost.
    """
    posts = Counter(columns(dataset, "posts", ("split", "own_split")))
    dropped = Counter(columns(dataset, "dropped", ("stage", "reason"), "part-*.parquet"))
    kept, gone = posts.total(), dropped.total()
    if read != kept + gone:
        raise M3hError(f"{dataset}: {read} records read, but {kept} kept and {gone} dropped: records were lost.")
    by_door: dict[str, dict[str, int]] = {}
    for (stage, reason), number in sorted(dropped.items()):
        by_door.setdefault(stage, {})[reason] = number
    return {
        "read": read,
        "kept": kept,
        "dropped": by_door,
        "splits": {name: sum(n for (split, _), n in posts.items() if split == name) for name in SPLITS},
        "leaks": _leaks(dataset) if any(own for _, own in posts) else {"groups": 0, "posts": 0},
    }


def columns(dataset: Path, folder: str, names: Sequence[str], pattern: str = "*.parquet") -> Iterator[tuple[Any, ...]]:
    """Rows of some columns, of all Parquet files of a folder of the dataset, one file in memory at a time."""
    for part in sorted((dataset / folder).glob(pattern)):
        table = read_parquet(part, columns=list(names))
        yield from zip(*(table[name].to_pylist() for name in names), strict=True)


def stored_images(records: Path) -> list[str]:
    """Hashes of the pictures that kept posts show and whose bytes are here, sorted."""
    parts = sorted((records / "posts").glob("part-*.parquet"))
    shown = [pc.unique(read_parquet(part, columns=["image_sha256"])["image_sha256"]) for part in parts]
    if not shown or not (records / IMAGE_LIST).is_file():
        return []
    known = read_parquet(records / IMAGE_LIST, columns=["image_sha256", "status"])
    here = pc.and_(pc.equal(known["status"], "stored"), pc.is_in(known["image_sha256"], pa.chunked_array(shown)))
    return sorted(known["image_sha256"].filter(here).to_pylist())


def _leaks(dataset: Path) -> dict[str, int]:
    """Groups that stand in more than one split, and their posts: only a source's own splits can have any."""
    posts = Counter(columns(dataset, "posts", ("group", "split")))
    crossing = {group for group, splits in Counter(group for group, _ in posts).items() if splits > 1}
    return {"groups": len(crossing), "posts": sum(n for (group, _), n in posts.items() if group in crossing)}


def leak_notes(counts: Mapping[str, Any]) -> list[str]:
    """What is to be said of splits that a source brought."""
    leaks = counts["leaks"]["groups"]
    return [f"{leaks} groups of posts stand in more than one split, as their source has it."] if leaks else []


def publish_dataset(
    dataset: Path,
    config: BuildConfig,
    signature: Mapping[str, Any],
    counts: dict[str, Any],
    features: Sequence[BuiltFeature],
    known: Manifest | None,
) -> Manifest:
    """Write what describes the rows, then the manifest. Features of an earlier build of the same posts stay listed."""
    files = _record_files(dataset)
    if known is None or _of_posts(files) != _of_posts(known.files):
        files.pop(MAPPING, None)
        files |= _write_mapping(dataset, config)
    manifest = Manifest(files=files, counts=counts)
    if known is not None:
        manifest.files |= {name: entry for name, entry in known.files.items() if _is_features(name)}
        manifest.features = dict(known.features)
    manifest.inputs, manifest.text = list(signature["inputs"]), dict(signature["text"])
    return _publish(dataset, manifest, config, features)


def publish_features(dataset: Path, config: BuildConfig, features: Sequence[BuiltFeature], known: Manifest) -> Manifest:
    """Add features to a finished dataset, each of them current from now on; its records stay as they are."""
    manifest = replace(known, files=dict(known.files), features=dict(known.features))
    return _publish(dataset, manifest, config, features)


def _publish(dataset: Path, manifest: Manifest, config: BuildConfig, features: Sequence[BuiltFeature]) -> Manifest:
    for feature in features:
        _add_feature(dataset, manifest, feature)
    manifest.config, manifest.notes, manifest.lineage = dict(as_plain(config)), notes_of(manifest), lineage()
    for note in manifest.notes:
        log.warning("note: %s", note)
    manifest.write(dataset)
    remove_unlisted(dataset, manifest)
    remember_speeds(dataset, features)
    return manifest


def notes_of(manifest: Manifest) -> list[str]:
    """What a reader must know: of the splits, and of the features as they are now."""
    current = (known["versions"][known["current"]] for known in manifest.features.values())
    return list(dict.fromkeys([*leak_notes(manifest.counts), *(n for version in current for n in version["notes"])]))


def remove_unlisted(dataset: Path, manifest: Manifest) -> None:
    """Shards of unfinished builds, shards that others have taken the place of, and pictures no record names."""
    for path in (*dataset.glob("features/*/*/*"), *dataset.glob("dropped/*.parquet"), *dataset.glob(MAPPING)):
        if path.relative_to(dataset).as_posix() not in manifest.files:
            path.unlink()
    named = {digest for (digest,) in columns(dataset, "images", ("image_sha256",))}
    for picture in dataset.glob("images/*/*.jpg"):
        if picture.stem not in named:
            picture.unlink()
    for pattern in ("features/*/*", "features/*", "images/*"):
        for folder in dataset.glob(pattern):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _is_features(name: str) -> bool:
    """Whether a file belongs to a feature: its shards, description, or images without a row."""
    return name.startswith("features/") or (name.startswith("dropped/") and not name.startswith("dropped/part-"))


def _record_files(dataset: Path) -> dict[str, FileEntry]:
    paths = [*(dataset / "posts").glob("part-*.parquet"), *(dataset / "dropped").glob("part-*.parquet")]
    paths += [*(dataset / "images").glob("*.parquet")]
    paths += [path for path in (dataset / MAPPING, dataset / FORGOTTEN_FILE) if path.is_file()]
    return {str(path.relative_to(dataset)): file_entry(path) for path in sorted(paths)}


def _of_posts(files: Mapping[str, FileEntry]) -> dict[str, FileEntry]:
    """The files of the posts, and the mapping made from them."""
    return {name: entry for name, entry in files.items() if name.startswith("posts/") or name == MAPPING}


def file_entry(path: Path) -> FileEntry:
    """A file of the dataset with the rows of a table."""
    return FileEntry.of(path, pq.read_metadata(path).num_rows if path.suffix == ".parquet" else 0)


MAPPING = "hashtags.tsv"


def _write_mapping(dataset: Path, config: BuildConfig) -> dict[str, FileEntry]:
    """The hashtags of kept posts with their keyphrases: to be reviewed, corrected, and given back. No hashtag, no file.

    Returns the file's entry in the manifest.
    """
    mapping = read_mapping(config.text.hashtag_map) if config.text.hashtag_map else {}
    rows = columns(dataset, "posts", ("hashtags", "keyphrases"))
    pairs = Counter(pair for tags, keyphrases in rows if tags for pair in pairs_of(tags, keyphrases, mapping))
    if not pairs:
        return {}
    publish_text(dataset / MAPPING, mapping_table(pairs.elements(), Segmenter(config.text.word_statistics).certainty))
    return {MAPPING: file_entry(dataset / MAPPING)}


def _add_feature(dataset: Path, manifest: Manifest, feature: BuiltFeature) -> None:
    replaced = [name for name in manifest.files if name.startswith(f"{feature.folder}/")]
    for name in replaced:
        del manifest.files[name]
    manifest.files |= {r.file: FileEntry(r.sha256, (dataset / r.file).stat().st_size, r.rows) for r in feature.receipts}
    feature.write_description(dataset)
    manifest.files[feature.description_file] = FileEntry.of(dataset / feature.description_file)
    manifest.files.pop(feature.dropped_file, None)
    if feature.write_dropped(dataset):
        manifest.files[feature.dropped_file] = file_entry(dataset / feature.dropped_file)
    known = manifest.features.get(feature.name, {"versions": {}, "history": []})
    versions = {**known["versions"], feature.fingerprint: feature.version()}
    manifest.features[feature.name] = made_current({**known, "versions": versions}, feature.fingerprint)


def made_current(known: Mapping[str, Any], fingerprint: str) -> dict[str, Any]:
    """A feature's entry of the manifest with another version current."""
    before = [version for version in known["history"] if version != fingerprint]
    return {**known, "current": fingerprint, "history": [fingerprint, *before]}
