"""`build`: records, then features, then the manifest. Each step is skipped where its result stands already."""

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.config import BuildConfig
from pipeline.extraction import Extraction, require
from pipeline.extractors import extractor_class
from pipeline.extractors.base import Extractor
from pipeline.forgotten import Forgotten, read_forgotten
from pipeline.graph import STAGES, RecordsJob, build_records
from pipeline.moves import moves
from pipeline.progress import AUTO
from pipeline.publish import BuiltFeature, publish_dataset, record_counts
from pipeline.released import import_features
from pipeline.run import Run
from pipeline.runner import run_pipeline
from pipeline.sources import Sources, given_sources, joined_sources
from pipeline.stages.crawl import CrawledImages, CrawlJob
from pipeline.state import BuildState
from pipeline.storage import give_options
from pipeline.text import text_identity
from pipeline.versions import is_imported
from schemas.config import as_plain, merged
from schemas.errors import UsageError
from schemas.files import read_json, sha256_file
from schemas.manifest import MANIFEST, Manifest, rules_of

log = logging.getLogger(__name__)

DEFAULT_FEATURES = ("ocr", "vgg_grid")


@dataclass(frozen=True)
class BuildOptions:
    """What one call of `build` is asked to do.

    images, crawl: the folder with the pictures, or that they are fetched by their URLs. features: None for the
    dataset's own, or the default ones of a new one. progress: as `Watch` has it; command: that a summary names.
    """

    dumps: Sequence[str]
    dataset: Path
    images: Path | None = None
    crawl: bool = False
    format: str = ""
    features: Sequence[str] | None = None
    config: BuildConfig = field(default_factory=BuildConfig)
    workers: int = os.cpu_count() or 1
    beam_flags: Sequence[str] = ()
    progress: str = AUTO
    command: str = "build"


@dataclass(frozen=True)
class Again:
    """What is to be tried again although it is done: `retry`. reasons: of dropped records and images without a row.

    A given dump takes the place of the one of its name. recrawl: ask for every picture whether it changed.
    """

    reasons: frozenset[str] = frozenset()
    recrawl: bool = False


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


def build(options: BuildOptions, again: Again | None = None) -> BuildResult:
    """Build the dataset, add dumps to it, or finish what was killed. UsageError for what cannot work, before any work.

    In a folder that holds a finished dataset its records are those of its old dumps and of the new ones.
    """
    started = time.monotonic()
    state = BuildState(options.dataset)
    give_options(options.beam_flags)
    known = Manifest.read(options.dataset) if (options.dataset / MANIFEST).is_file() else None
    sources = given_sources(options.dumps, options.format, state.stdin, options.images, options.crawl)
    if known is not None:
        sources = joined_sources(options.dataset, known, sources, replacing=again is not None)
    signature = _signature(options.config, sources)
    if known is not None:
        _check_rules(options.dataset, known, signature)
        options = _with_known_features(options, known)
    changed = known is not None and (again is not None or known.signature != signature)
    extractors = _extractors(options, sources, known.features if known and changed else ())
    run = Run(options.command, state, options.progress, options.workers, options.beam_flags)
    with state.locked(), run:
        state.refuse_changed(known)
        state.sweep()
        forgotten = read_forgotten(options.dataset, known)
        state.begin({**signature, "forgotten": forgotten.identity})
        if state.is_installing:
            state.install()
        whole = known is not None and _records_whole(options.dataset, known)
        stands = known is not None and whole and known.signature == signature
        if not state.records_done and (again or not stands):
            _records(options, sources, state, again or Again(), forgotten, run)
            state.mark_records_done()
        read = sum(read_json(state.tallies).values()) if state.records_done else 0
        reasons = (again or Again()).reasons
        extraction = Extraction(
            state, extractors, options.config.shards.images, options.workers, run, known, options.beam_flags, reasons
        )
        features = _imported(options, sources, state, forgotten) + extraction.complete()
        if whole and state.records != options.dataset:
            for move in moves(options.dataset, state.records):
                log.warning("note: post %s", move)
        state.install()
        counts = record_counts(options.dataset, read) if state.records_done or known is None else known.counts
        manifest = publish_dataset(options.dataset, options.config, signature, counts, features, known)
        sources.remember(options.dataset)
        run.finish(manifest)
        state.finish()
    broken = {feature.name: n for feature in features if (n := feature.unexpected)}
    return BuildResult(manifest, time.monotonic() - started, broken)


def _extractors(options: BuildOptions, sources: Sources, had: Iterable[str]) -> list[Extractor]:
    """The features to make complete, each able to state its fingerprint: what is missing shows before any work.

    had: features of the dataset whose pictures are about to change, which must cover the new ones too.
    """
    if sources.released not in ((), sources.dumps):
        raise UsageError("--dumps: a released dataset is built alone; it brings its own splits and features.")
    if sources.released:
        if options.features:
            raise UsageError("--features: a released dataset brings its features, and no pictures to compute others.")
        return []
    if sources.crawl:
        _ = options.config.crawl.agent_header  # a crawl without a contact is refused before anything is read
    elif not sources.images:
        raise UsageError("--images, --crawl: this source needs a folder with its pictures, or leave to fetch them.")
    names = dict.fromkeys((*(DEFAULT_FEATURES if options.features is None else options.features), *had))
    extractors = [extractor_class(name)(getattr(options.config.features, name)) for name in names]
    for extractor in extractors:
        extractor.fingerprint_parts()
    require(extractors, options.beam_flags)
    return extractors


def _with_known_features(options: BuildOptions, known: Manifest) -> BuildOptions:
    """The dataset's own features, as they are now, but for what is asked otherwise this time."""
    plain = dict(as_plain(options.config))
    asked = options.config.features.model_dump(mode="json", exclude_unset=True)  # type: ignore[attr-defined]
    now = known.config["features"]
    plain["features"] = {name: merged(now.get(name, {}), asked.get(name, {})) for name in plain["features"]}
    own = tuple(name for name in known.features if not is_imported(known.features[name]))
    features = own if options.features is None else options.features
    return replace(options, config=BuildConfig.model_validate(plain), features=features)


def _signature(config: BuildConfig, sources: Sources) -> dict[str, Any]:
    """All that decides posts/, dropped/ and the store: what was read, and by which rules."""
    return {
        "inputs": list(sources.inputs), "rules": rules_of(as_plain(config)), "text": text_identity(config.text),
    }  # fmt: skip


def _check_rules(dataset: Path, known: Manifest, signature: Mapping[str, Any]) -> None:
    """UsageError where a dataset was built by other rules than these."""
    for part in ("rules", "text"):
        if known.signature[part] != signature[part]:
            raise UsageError(f"{dataset}: was built by other rules than these. Choose another --dataset.")


def _records_whole(dataset: Path, known: Manifest) -> bool:
    """Whether the posts, the dropped records and the list of images are still what the manifest says."""
    names = [name for name in known.files if name.startswith(("posts/", "dropped/part-", "images/"))]
    return all((dataset / n).is_file() and sha256_file(dataset / n) == known.files[n].sha256 for n in names)


def _records(
    options: BuildOptions, sources: Sources, state: BuildState, again: Again, forgotten: Forgotten, run: Run
) -> None:
    log.info("reading %d dump files", len(sources.dumps))
    state.forget_records()
    config, dataset = options.config, options.dataset.absolute()
    places = (dataset, state.crawl.absolute())
    crawl = CrawlJob(*places, config.crawl, config.image, again.reasons, again.recrawl, run.folder)
    job = RecordsJob(
        sources,
        dataset,
        state.next.absolute(),
        config,
        state.tallies.absolute(),
        crawl=CrawledImages(crawl) if sources.crawl else None,
        forgotten=forgotten,
        progress=run.folder,
    )
    run.reads(STAGES, sources.bytes)
    run.counted(run_pipeline(lambda root: build_records(root, job), options.beam_flags, options.workers))
    if sources.crawl:
        crawl.publish_ledgers(state.next)


def _imported(options: BuildOptions, sources: Sources, state: BuildState, forgotten: Forgotten) -> list[BuiltFeature]:
    features = []
    for feature in import_features(sources.released, forgotten):
        receipts = feature.write(state.next, options.config.shards.images)
        notes = [f"{feature.spec.name}: {feature.conflicts} pictures came with two readings; the first was kept."]
        notes = notes if feature.conflicts else []
        features.append(BuiltFeature(feature.spec, feature.fingerprint, feature.parts, receipts, notes))
    return features
