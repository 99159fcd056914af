"""The end of a build: counts everything, checks that nothing was lost, and describes the dataset in a manifest."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from m3h.pipeline.config import BuildConfig, as_remembered
from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.lineage import lineage
from m3h.pipeline.dataset.suppression_list import FORGOTTEN_FILE
from m3h.pipeline.dataset.tables import LISTS
from m3h.pipeline.text.hashtags import mapping_table, pairs_of, read_mapping
from m3h.pipeline.text.segmenter import Segmenter
from m3h.schemas.errors import M3hError
from m3h.schemas.feature_versions import FeatureVersions
from m3h.schemas.files import publish_text
from m3h.schemas.inside import file_in, files_in, folders_in, name_of, remove_if_empty
from m3h.schemas.manifest import KEPT_BY_RULE, FileEntry, Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import SPLITS

log = logging.getLogger(__name__)


class Tallied(NamedTuple):
    """What a build counts while it makes records, and nobody can count again in the files.

    read: records that the readers met. unread_fields: posts in which a field could not be read, by field.
    kept_by_rule: posts that the build would have kept by each choice of `clean.rare_hashtags`; {} where unknown.
    """

    read: int = 0
    unread_fields: Mapping[str, int] = {}
    kept_by_rule: Mapping[str, int] = {}

    @classmethod
    def of(cls, counts: Mapping[str, Any]) -> "Tallied":
        """What a manifest's counts say of it."""
        return cls(counts["read"], counts["unread_fields"], counts.get(KEPT_BY_RULE, {}))


def record_counts(dataset: Path, tallied: Tallied) -> dict[str, Any]:
    """The manifest's counts: read, kept, dropped by stage and reason, unread fields, splits, leaks, and rare hashtags.

    All but what was tallied is from the files.

    Args:
        dataset: Its folder.
        tallied: What the build counted.

    Raises:
        M3hError: The sums differ, so a record was lost.
    """
    posts = Counter(columns(dataset, "posts", ("split", "own_split")))
    dropped = Counter(columns(dataset, "dropped", ("stage", "reason"), pattern="part-*.parquet"))
    kept, lost = posts.total(), dropped.total()
    if tallied.read != kept + lost:
        raise M3hError(
            f"{dataset}: {tallied.read} records read, but {kept} kept and {lost} dropped: records were lost."
        )
    by_stage: dict[str, dict[str, int]] = {}
    for (stage, reason), number in sorted(dropped.items()):
        by_stage.setdefault(stage, {})[reason] = number
    return {
        "read": tallied.read,
        "kept": kept,
        "dropped": by_stage,
        "unread_fields": dict(sorted(tallied.unread_fields.items())),
        "splits": {name: sum(n for (split, _), n in posts.items() if split == name) for name in SPLITS},
        "leaks": _leaks(dataset) if any(own for _, own in posts) else {"groups": 0, "posts": 0},
        **({KEPT_BY_RULE: dict(tallied.kept_by_rule)} if tallied.kept_by_rule else {}),
    }


def columns(
    dataset: Path, folder: str, names: Sequence[str], *, pattern: str = "*.parquet"
) -> Iterator[tuple[Any, ...]]:
    """The rows of some columns in all Parquet files of a folder. One file is in memory at a time.

    Args:
        dataset: The dataset's folder.
        folder: The folder inside the dataset, such as "posts".
        names: The columns. A row has their values in this order.
        pattern: Which files of the folder to read.
    """
    for part in files_in(dataset, f"{folder}/{pattern}"):
        table = read_parquet(part, columns=list(names))
        yield from zip(*(table[name].to_pylist() for name in names), strict=True)


def _leaks(dataset: Path) -> dict[str, int]:
    """Number of groups that are in more than one split, and of their posts. Only splits from a source can have any."""
    posts = Counter(columns(dataset, "posts", ("group", "split")))
    crossing = {group for group, splits in Counter(group for group, _ in posts).items() if splits > 1}
    return {"groups": len(crossing), "posts": sum(n for (group, _), n in posts.items() if group in crossing)}


def leak_notes(counts: Mapping[str, Any]) -> list[str]:
    """The notes on splits that a source assigned."""
    leaks = counts["leaks"]["groups"]
    return [f"{leaks} groups of posts stand in more than one split, as their source has it."] if leaks else []


def describe_dataset(
    dataset: Path,
    config: BuildConfig,
    features: Sequence[BuiltFeature],
    *,
    signature: Mapping[str, Any],
    counts: dict[str, Any],
    known: Manifest | None,
) -> Manifest:
    """Write the files that describe the rows, and return the manifest of the whole dataset.

    Args:
        dataset: The folder. All files are already in their places.
        config: The configuration of the build.
        features: Those that were completed. Each becomes the current version.
        signature: What decided the records.
        counts: Of the records.
        known: The manifest before. Its features stay listed. None where there was none.
    """
    files = _record_files(dataset)
    same_reading = known is not None and known.text == signature["text"]
    if known is None or not same_reading or _of_posts(files) != _of_posts(known.files):
        files.pop(MAPPING, None)
        files |= _write_mapping(dataset, config)
    manifest = Manifest(files=files, counts=counts)
    if known is not None:
        manifest.files |= {name: entry for name, entry in known.files.items() if _is_features(name)}
        manifest.features = dict(known.features)
    manifest.inputs, manifest.text = list(signature["inputs"]), dict(signature["text"])
    remembered = as_remembered(config, known.config if known else {})
    return _with_features(dataset, manifest, remembered, features=features)


def describe_features(
    dataset: Path, config: BuildConfig, features: Sequence[BuiltFeature], *, known: Manifest
) -> Manifest:
    """The manifest of a finished dataset with more features. Its records stay as they are.

    Args:
        dataset: The folder. All files are already in their places.
        config: The dataset's configuration from now on.
        features: Those that were completed. Each becomes the current version.
        known: The manifest before.
    """
    manifest = replace(known, files=dict(known.files), features=dict(known.features))
    return _with_features(dataset, manifest, as_remembered(config, known.config), features=features)


def _with_features(
    dataset: Path, manifest: Manifest, config: dict[str, Any], *, features: Sequence[BuiltFeature]
) -> Manifest:
    for feature in features:
        _add_feature(dataset, manifest, feature)
    packages = (str(known.current_version.parts.get("package", "")) for known in manifest.features.values())
    manifest.config, manifest.notes, manifest.lineage = config, notes_of(manifest), lineage(packages)
    for note in manifest.notes:
        log.warning("note: %s", note)
    return manifest


def notes_of(manifest: Manifest) -> list[str]:
    """What a reader must know of the splits and of the features' current versions."""
    known = [manifest.features[name] for name in sorted(manifest.features)]
    of_features = (note for feature in known for note in feature.current_version.notes)
    return list(dict.fromkeys([*leak_notes(manifest.counts), *of_features]))


def remove_unlisted(dataset: Path, manifest: Manifest) -> None:
    """Remove shards of unfinished builds, shards that were replaced, and pictures that no record names."""
    for pattern in ("features/*/*/*", "dropped/*.parquet", MAPPING):
        for path in files_in(dataset, pattern):
            if name_of(dataset, path) not in manifest.files:
                path.unlink()
    named = {digest for (digest,) in columns(dataset, "images", ("image_sha256",), pattern=LISTS)}
    for picture in files_in(dataset, "images/*/*.jpg"):
        if picture.stem not in named:
            picture.unlink()
    for pattern in ("features/*/*", "features/*", "images/*"):
        for folder in folders_in(dataset, pattern):
            remove_if_empty(folder)


def _is_features(name: str) -> bool:
    """Whether a file belongs to a feature: a shard, its description, or its list of images without a row."""
    return name.startswith("features/") or (name.startswith("dropped/") and not name.startswith("dropped/part-"))


def _record_files(dataset: Path) -> dict[str, FileEntry]:
    patterns = ("posts/part-*.parquet", "dropped/part-*.parquet", "images/*.parquet", MAPPING, FORGOTTEN_FILE)
    paths = [path for pattern in patterns for path in files_in(dataset, pattern)]
    return {name_of(dataset, path): file_entry(path) for path in sorted(paths)}


def _of_posts(files: Mapping[str, FileEntry]) -> dict[str, FileEntry]:
    """The files of the posts, and the mapping made from them."""
    return {name: entry for name, entry in files.items() if name.startswith("posts/") or name == MAPPING}


def file_entry(path: Path) -> FileEntry:
    """The manifest's entry of a file, with the number of rows of a table."""
    return FileEntry.of(path, pq.read_metadata(path).num_rows if path.suffix == ".parquet" else 0)


MAPPING = "hashtags.tsv"


def _write_mapping(dataset: Path, config: BuildConfig) -> dict[str, FileEntry]:
    """Write the hashtags of kept posts with their keyphrases. Users may correct the file and give it to a later build.

    Without hashtags no file is written. Returns the file's entry in the manifest.
    """
    mapping = read_mapping(config.text.hashtag_map) if config.text.hashtag_map else {}
    rows = columns(dataset, "posts", ("hashtags", "keyphrases"))
    pairs = Counter(pair for tags, keyphrases in rows if tags for pair in pairs_of(tags, keyphrases, mapping))
    if not pairs:
        return {}
    path = file_in(dataset, MAPPING)
    publish_text(path, mapping_table(pairs.elements(), Segmenter(config.text.word_statistics).certainty))
    return {MAPPING: file_entry(path)}


def _add_feature(dataset: Path, manifest: Manifest, feature: BuiltFeature) -> None:
    replaced = [name for name in manifest.files if name.startswith(f"{feature.folder}/")]
    for name in replaced:
        del manifest.files[name]
    for receipt in feature.receipts:
        size = file_in(dataset, receipt.file).stat().st_size
        manifest.files[receipt.file] = FileEntry(receipt.sha256, size, receipt.rows)
    feature.write_description(dataset)
    manifest.files[feature.description_file] = FileEntry.of(file_in(dataset, feature.description_file))
    manifest.files.pop(feature.dropped_file, None)
    if feature.write_dropped(dataset):
        manifest.files[feature.dropped_file] = file_entry(file_in(dataset, feature.dropped_file))
    known, version = manifest.features.get(feature.name), feature.version()
    manifest.features[feature.name] = (
        known.added(feature.fingerprint, version) if known else FeatureVersions.first(feature.fingerprint, version)
    )
