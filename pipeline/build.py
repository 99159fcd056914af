"""`build`: records, then features, then the manifest. Each step is skipped where its result stands already."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import BuildConfig
from pipeline.extraction import Extraction
from pipeline.extractors import extractor_class
from pipeline.extractors.base import Extractor
from pipeline.graph import RecordsJob, build_records
from pipeline.publish import BuiltFeature, publish_dataset, record_counts
from pipeline.readers.dumps import DumpFile
from pipeline.readers.find import find_dumps
from pipeline.released import import_features
from pipeline.runner import run_pipeline
from pipeline.state import BuildState
from pipeline.statistics import statistics_identity
from pipeline.storage import give_options
from pipeline.text import TEXT_VERSION
from schemas.config import as_plain
from schemas.errors import UsageError
from schemas.files import read_json, sha256_file
from schemas.manifest import MANIFEST, Manifest

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
        if state.is_installing:
            state.install()
        if not state.records_done and (known is None or not _records_whole(options.dataset, known)):
            _records(options, dumps, state)
            state.mark_records_done()
        read = sum(read_json(state.tallies).values()) if state.records_done else 0
        extraction = Extraction(
            state, extractors, options.config.shards.images, options.workers, known, options.beam_flags
        )
        features = _imported(options, dumps, state) + extraction.run()
        notes = [note for extractor in extractors for note in extractor.notes()]
        state.install()
        counts = record_counts(options.dataset, read) if state.records_done or known is None else known.counts
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
    job = RecordsJob(
        tuple(here), images, options.dataset.absolute(), state.next.absolute(), options.config, state.tallies.absolute()
    )
    run_pipeline(lambda root: build_records(root, job), options.beam_flags, options.workers)


def _imported(options: BuildOptions, dumps: Sequence[DumpFile], state: BuildState) -> list[BuiltFeature]:
    features = []
    for feature in import_features([dump for dump in dumps if dump.format == "cmkp"]):
        receipts = feature.write(state.next, options.config.shards.images)
        notes = [f"{feature.spec.name}: {feature.conflicts} pictures came with two readings; the first was kept."]
        features.append(
            BuiltFeature(feature.spec, feature.fingerprint, feature.parts, receipts, notes if feature.conflicts else [])
        )
    return features
