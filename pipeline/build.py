"""`build`: records, then features, then the manifest. Each step is skipped where its result stands already."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow.parquet as pq

from pipeline.config import BuildConfig
from pipeline.engine import Receipt, ShardTask, finished
from pipeline.extractors import extractor_class
from pipeline.extractors.base import Extractor
from pipeline.graph import RecordsJob, build_records
from pipeline.progress import watched
from pipeline.publish import BuiltFeature, publish_dataset, record_counts
from pipeline.readers.dumps import DumpFile
from pipeline.readers.find import find_dumps
from pipeline.released import import_features
from pipeline.runner import run_pipeline
from pipeline.stages.extract import ExtractJob, ExtractShard
from pipeline.state import BuildState
from pipeline.statistics import statistics_identity
from pipeline.storage import give_options
from pipeline.text import TEXT_VERSION
from schemas.config import as_plain
from schemas.errors import UsageError
from schemas.features import fingerprint
from schemas.files import publish_text, read_json, sha256_file
from schemas.manifest import MANIFEST, Manifest
from schemas.posts import Dropped
from schemas.shards import shard_count, shard_slice

log = logging.getLogger(__name__)

DEFAULT_FEATURES = ("ocr", "vgg_grid")


@dataclass(frozen=True)
class BuildOptions:
    """What one call of `build` is asked to do. features: None for the default ones."""

    dumps: Sequence[str]
    dataset: Path
    images: Path | None = None
    format: str = ""
    features: Sequence[str] | None = None
    config: BuildConfig = field(default_factory=BuildConfig)
    workers: int = os.cpu_count() or 1
    beam_flags: Sequence[str] = ()


@dataclass(frozen=True)
class BuildResult:
    """Manifest, seconds taken, and the features in which something unforeseen happened."""

    manifest: Manifest
    seconds: float
    broken: dict[str, int]

    def summary(self) -> dict[str, Any]:
        """The line of `--json`."""
        counts = self.manifest.counts
        dropped: dict[str, int] = {}
        for reasons in counts["dropped"].values():
            for reason, number in reasons.items():
                dropped[reason] = dropped.get(reason, 0) + number
        features = {
            name: {"fingerprint": known["current"], **_numbers(known["versions"][known["current"]])}
            for name, known in self.manifest.features.items()
        }
        return {
            "read": counts["read"],
            "kept": counts["kept"],
            "dropped": dropped,
            "features": features,
            "seconds": round(self.seconds, 3),
        }


def _numbers(version: dict[str, Any]) -> dict[str, Any]:
    return {"rows": version["rows"], "dropped": version["dropped"]}


def build(options: BuildOptions) -> BuildResult:
    """Build the dataset, or finish a build that was killed. UsageError for what cannot work, before any work."""
    started = time.monotonic()
    state = BuildState(options.dataset)
    give_options(options.beam_flags)
    dumps = find_dumps(options.dumps, options.format, state.stdin)
    extractors = _extractors(options, dumps)
    with state.locked():
        state.sweep()
        signature = _signature(options.config, dumps)
        known = _known_manifest(options.dataset, signature)
        state.begin(signature)
        if known is None or not _records_whole(options.dataset, known):
            if not state.records_done:
                _records(options, dumps, state)
                state.mark_records_done()
            counts = record_counts(options.dataset, sum(read_json(state.tallies).values()))
        else:
            counts = known.counts
        features = _imported(options, dumps) + _extracted(options, extractors, state, known)
        notes = [note for extractor in extractors for note in extractor.notes()]
        manifest = publish_dataset(options.dataset, options.config, signature, counts, features, notes, known)
        state.finish()
    broken = {feature.name: n for feature in features if (n := feature.unexpected)}
    return BuildResult(manifest, time.monotonic() - started, broken)


def _extractors(options: BuildOptions, dumps: Sequence[DumpFile]) -> list[Extractor]:
    """The features asked for, each able to state its fingerprint: what is missing shows before any work."""
    released = [dump for dump in dumps if dump.format == "cmkp"]
    if released and len(released) < len(dumps):
        raise UsageError("--dumps: a released dataset is built alone; it brings its own splits and features.")
    if released:
        if options.features:
            raise UsageError("--features: a released dataset brings its features, and no pictures to compute others.")
        return []
    if options.images is None:
        raise UsageError("--images: this source needs a folder with its pictures.")
    if not options.images.is_dir():
        raise UsageError(f"--images {options.images}: no such folder.")
    names = DEFAULT_FEATURES if options.features is None else options.features
    extractors = [extractor_class(name)(getattr(options.config.features, name)) for name in dict.fromkeys(names)]
    for extractor in extractors:
        extractor.fingerprint_parts()
    return extractors


def _signature(config: BuildConfig, dumps: Sequence[DumpFile]) -> dict[str, Any]:
    """All that decides posts/, dropped/ and the store: what was read, and by which rules."""
    rules = {name: value for name, value in as_plain(config).items() if name not in ("features", "crawl")}
    mapping = config.text.hashtag_map
    text = {
        "version": TEXT_VERSION,
        "statistics": statistics_identity(config.text.word_statistics),
        "hashtag_map": sha256_file(mapping) if mapping and mapping.is_file() else "",
    }
    return {"inputs": [dump.identity() for dump in dumps], "rules": rules, "text": text}


def _known_manifest(dataset: Path, signature: dict[str, Any]) -> Manifest | None:
    """The finished build of the same inputs and rules that lies here. UsageError where another one does."""
    if not (dataset / MANIFEST).is_file():
        return None
    known = Manifest.read(dataset)
    if known.signature != signature:
        raise UsageError(f"{dataset}: holds a dataset of other dumps or other rules. Choose another --dataset.")
    return known


def _records_whole(dataset: Path, known: Manifest) -> bool:
    """Whether the posts, the dropped records and the list of images are still what the manifest says."""
    names = [name for name in known.files if name.startswith(("posts/", "dropped/part-", "images/"))]
    return all((dataset / n).is_file() and sha256_file(dataset / n) == known.files[n].sha256 for n in names)


def _records(options: BuildOptions, dumps: Sequence[DumpFile], state: BuildState) -> None:
    log.info("reading %d dump files", len(dumps))
    state.forget_records()
    here = [dump.absolute() for dump in dumps]
    images = options.images.absolute() if options.images else None
    dataset = options.dataset.absolute()
    job = RecordsJob(tuple(here), images, dataset, options.config, state.tallies.absolute())
    run_pipeline(lambda root: build_records(root, job), options.beam_flags, options.workers)


def _imported(options: BuildOptions, dumps: Sequence[DumpFile]) -> list[BuiltFeature]:
    features = []
    for feature in import_features([dump for dump in dumps if dump.format == "cmkp"]):
        receipts = feature.write(options.dataset, options.config.shards.images)
        notes = [f"{feature.spec.name}: {feature.conflicts} pictures came with two readings; the first was kept."]
        features.append(
            BuiltFeature(feature.spec, feature.fingerprint, feature.parts, receipts, notes if feature.conflicts else [])
        )
    return features


def _extracted(
    options: BuildOptions, extractors: Sequence[Extractor], state: BuildState, known: Manifest | None
) -> list[BuiltFeature]:
    if not extractors:
        return []
    images = stored_images(options.dataset)
    publish_text(state.image_list, "\n".join(images) + "\n")
    count = shard_count(len(images), options.config.shards.images)
    settings = {e.spec.name: e.settings for e in extractors}
    job = ExtractJob(
        options.dataset.absolute(), state.image_list.absolute(), state.receipts.absolute(),
        options.config.shards.images, settings,
    )  # fmt: skip
    prints = {e.spec.name: fingerprint(e.spec, e.fingerprint_parts()) for e in extractors}
    tasks = [ShardTask(name, prints[name], i, count) for i in range(count) for name in prints]
    if known:
        _receipts_from(known, tasks, job, images)
    open_tasks = [task for task in tasks if not finished(job.receipt(task), job.dataset)]
    log.info("extracting %s: %d of %d shards to do", ", ".join(prints), len(open_tasks), len(tasks))
    if open_tasks:
        for extractor in extractors:
            extractor.fetch()
        _run(open_tasks, job, options)
    built = []
    for extractor in extractors:
        name = extractor.spec.name
        receipts = [Receipt.read(job.receipt(task)) for task in tasks if task.feature == name]
        built.append(BuiltFeature(extractor.spec, prints[name], extractor.fingerprint_parts(), receipts, []))
    return built


def _run(tasks: Sequence[ShardTask], job: ExtractJob, options: BuildOptions) -> None:
    def wire(root: beam.Pipeline) -> None:
        root | beam.Create(tasks) | beam.Reshuffle() | beam.ParDo(ExtractShard(job))

    def done() -> int:
        return sum(job.receipt(task).is_file() for task in tasks)

    with watched("shards", len(tasks), done):
        run_pipeline(wire, options.beam_flags, min(options.workers, len(tasks)))


def _receipts_from(known: Manifest, tasks: Sequence[ShardTask], job: ExtractJob, images: Sequence[str]) -> None:
    """A finished dataset's manifest vouches for its shards as receipts do for those of an unfinished one."""
    lost: dict[tuple[str, str], dict[str, Dropped] | None] = {}
    for task in tasks:
        version = known.features.get(task.feature, {}).get("versions", {}).get(task.fingerprint)
        if not version or job.receipt(task).is_file():
            continue
        key = (task.feature, task.fingerprint)
        if key not in lost:
            lost[key] = _lost_images(known, f"dropped/{task.feature}-{task.fingerprint}.parquet", job.dataset)
        if (rows := lost[key]) is not None:
            file = version["shards"][task.index]
            mine = images[shard_slice(task.index, job.per_shard)]
            dropped = sorted(rows[image] for image in mine if image in rows)
            Receipt(file, known.files[file].sha256, known.files[file].rows, dropped).write(job.receipt(task))


def _lost_images(known: Manifest, name: str, dataset: Path) -> dict[str, Dropped] | None:
    """Images without a row of a feature; None where their list is damaged, so that the feature must be done again."""
    if name not in known.files:
        return {}
    path = dataset / name
    if not path.is_file() or sha256_file(path) != known.files[name].sha256:
        return None
    return {row["record_id"]: Dropped(**row) for row in pq.read_table(path).to_pylist()}


def stored_images(dataset: Path) -> list[str]:
    """Hashes of the pictures that kept posts show and whose bytes are here, sorted."""
    images = dataset / "images" / "images.parquet"
    if not images.is_file():
        return []
    table = pq.read_table(images, columns=["image_sha256", "status"]).to_pylist()
    stored = {row["image_sha256"] for row in table if row["status"] == "stored"}
    shown: set[str] = set()
    for part in sorted((dataset / "posts").glob("part-*.parquet")):
        shown.update(pq.read_table(part, columns=["image_sha256"])["image_sha256"].to_pylist())
    return sorted(stored & shown)
