"""`build`: makes the records, then the features, then the manifest. A step whose result is there already is skipped.

Beam is imported only where a step is carried out: its import takes longer than to find out that nothing is to do.
"""

import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from m3h.pipeline.build.dataset_rules import announced_changes, config_for
from m3h.pipeline.build.extraction import Extraction, require
from m3h.pipeline.build.foresight import announce, moves
from m3h.pipeline.build.released_features import import_features
from m3h.pipeline.build.sources import Sources, fetches_pictures, given_sources, joined_sources
from m3h.pipeline.config import BuildConfig, configured_extractor, with_engines
from m3h.pipeline.crawl.job import CrawlJob
from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.found_pictures import FoundPictures
from m3h.pipeline.dataset.publish import Tallied, describe_dataset, record_counts
from m3h.pipeline.dataset.run_recorder import Run
from m3h.pipeline.dataset.suppression_list import SuppressionList, read_suppression_list
from m3h.pipeline.dataset.timings import remember_timings
from m3h.pipeline.dataset.transaction import BUILD, Change, transaction
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.progress.monitor import AUTO
from m3h.pipeline.readers.mapping import refuse_format
from m3h.pipeline.readers.usable import NO_FAULT_OF_THE_DUMP, refuse_unreadable
from m3h.pipeline.runtime.filesystems import give_options
from m3h.pipeline.text.tokenizer import text_identity
from m3h.schemas.config import as_plain
from m3h.schemas.errors import UsageError
from m3h.schemas.features import fingerprint
from m3h.schemas.files import read_json, sha256_file, validating
from m3h.schemas.inside import file_in, has_file, refuse_strange
from m3h.schemas.manifest import MANIFEST, Manifest, rules_of

log = logging.getLogger(__name__)

DEFAULT_FEATURES = ("ocr", "vgg_grid")


@dataclass(frozen=True)
class BuildOptions:
    """What one call of `build` is asked to do.

    dumps: paths or patterns.
    images: the folder with the pictures. crawl: whether they are fetched by their URLs instead. Neither is needed
    where the dumps hold them.
    format: of the dumps; "" where each record tells.
    features: names; None for the dataset's own, or for the default ones of a new dataset.
    workers: number of processes.
    beam_flags: flags for Beam.
    progress: how progress is shown, as `Watch` takes it.
    command: the name in the summary of the run.
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
class RetryRequest:
    """What `retry` asks to be done again although it is finished.

    Given dumps replace earlier dumps of the same name.

    reasons: of dropped records and of images without a row.
    recrawl: whether the server is asked for every picture if it changed.
    """

    reasons: frozenset[str] = frozenset()
    recrawl: bool = False


@dataclass(frozen=True)
class BuildResult:
    """The outcome of a build.

    seconds: wall time.
    broken: feature -> number of images lost to an unforeseen fault. Other features are not listed.
    """

    manifest: Manifest
    seconds: float
    broken: dict[str, int]

    @property
    def unreadable(self) -> int:
        """How many records no reader took for a post."""
        reasons = self.manifest.counts["dropped"].get("read", {})
        return sum(number for reason, number in reasons.items() if reason not in NO_FAULT_OF_THE_DUMP)

    @property
    def found_no_posts(self) -> bool:
        """Whether nothing was kept because most of the dumps is something else than posts."""
        counts = self.manifest.counts
        return not counts["kept"] and self.unreadable > counts["read"] / 2

    def summary(self) -> dict[str, Any]:
        """The outcome for `--json`."""
        counts = self.manifest.counts
        dropped: dict[str, int] = {}
        for reasons in counts["dropped"].values():
            for reason, number in reasons.items():
                dropped[reason] = dropped.get(reason, 0) + number
        return {
            "read": counts["read"],
            "kept": counts["kept"],
            "dropped": dropped,
            "unread_fields": counts["unread_fields"],
            "features": {name: known.summary() for name, known in self.manifest.features.items()},
            "seconds": round(self.seconds, 3),
        }


def build(options: BuildOptions, request: RetryRequest | None = None) -> BuildResult:
    """Build a dataset, add dumps to it, or finish a build that was killed.

    Where the folder holds a finished dataset, the new one has the records of its old dumps and of the new ones.

    Args:
        options: What to build.
        request: What to do again. None for a plain build.

    Raises:
        UsageError: The options cannot work. Raised before any work.
    """
    started = time.monotonic()
    give_options(options.beam_flags)
    job = _job(options, request)
    options = job.options
    work = {**job.signature, "forgotten": job.forgotten.identity}
    with (
        transaction(options.dataset, BUILD, job.known, work=work, max_loss=options.config.safety.max_loss) as change,
        Run(
            options.command,
            change.workspace,
            options.progress,
            workers=options.workers,
            beam_flags=options.beam_flags,
        ) as run,
    ):
        features, manifest = _carry_out(job, change, run)
        remember_timings(options.dataset, features)
        job.sources.remember(options.dataset, options.config)
        run.finish(manifest)
    broken = {feature.name: n for feature in features if (n := feature.unexpected)}
    return BuildResult(manifest, time.monotonic() - started, broken)


@dataclass(frozen=True)
class _Job:
    """All that decides what a build does.

    known: the manifest of the dataset as it is; None where there is none.
    signature: what decides the records.
    forgotten: the records that must stay out.
    extractors: of the features to complete.
    request: what `retry` asks for; None for a plain build.
    rule_changes: what decides the records otherwise than before.
    """

    options: BuildOptions
    sources: Sources
    known: Manifest | None
    signature: Mapping[str, Any]
    forgotten: SuppressionList
    extractors: Sequence[Extractor]
    request: RetryRequest | None
    rule_changes: Sequence[str] = ()

    @property
    def retried(self) -> RetryRequest:
        """What is done again: nothing, for a plain build."""
        return self.request or RetryRequest()


def _job(options: BuildOptions, request: RetryRequest | None) -> _Job:
    """What is to be done. Raises UsageError where the options cannot work."""
    dataset = options.dataset
    refuse_strange(dataset)
    known = Manifest.read(dataset) if has_file(dataset, MANIFEST) else None
    fetches = options.images is None and known is not None and fetches_pictures(known)
    sources = given_sources(
        options.dumps, options.format, Workspace(dataset).stdin, images=options.images, crawl=options.crawl or fetches
    )
    refuse_format(options.config.read, options.format)
    refuse_unreadable(sources.dumps, options.config.read)
    if known is not None:
        sources = joined_sources(dataset, known, sources, replacing=request is not None)
    options = _with_known_settings(options, known) if known is not None else options
    signature = _signature(options.config, sources)
    changes: list[str] = []
    recomputed: Iterable[str] = ()
    if known is not None:
        may_change = options.command == BUILD.name
        changes = announced_changes(dataset, known, signature, may_change=may_change, crawled=sources.crawl)
        recomputed = known.features if request is not None or known.signature != signature else ()
    options = _with_engines(options, recomputed, known)
    extractors = _extractors(options, sources, recomputed)
    _fetch_new(extractors, known)
    forgotten = read_suppression_list(dataset, known)
    return _Job(options, sources, known, signature, forgotten, extractors, request, changes)


def _carry_out(job: _Job, change: Change, run: Run) -> tuple[list[BuiltFeature], Manifest]:
    """Do what is not finished yet, and publish it."""
    options, known, workspace = job.options, job.known, change.workspace
    whole = known is not None and _records_whole(options.dataset, known)
    up_to_date = whole and known is not None and known.signature == job.signature
    if workspace.records_done and change.loses_too_much:  # perhaps the cause is gone, such as a folder without pictures
        workspace.discard_records()
    if not workspace.records_done and (job.request or not up_to_date):
        _records(job, workspace, run)
        workspace.mark_records_done()
        change.refuse_losses()
    tallied = _tallied(workspace) if workspace.records_done else Tallied()
    extraction = Extraction(
        workspace,
        job.extractors,
        options.config.shards.images,
        run,
        known,
        retry_reasons=job.retried.reasons,
    )
    features = _imported(job, workspace) + extraction.complete()
    made = workspace.records_done
    if whole and workspace.records != options.dataset:
        announce(moves(options.dataset, workspace.records), brief=bool(job.rule_changes))

    def described() -> Manifest:
        counts = record_counts(options.dataset, tallied) if made or known is None else known.counts
        return describe_dataset(
            options.dataset, options.config, features, signature=job.signature, counts=counts, known=known
        )

    return features, change.publish(described)


def _tallied(workspace: Workspace) -> Tallied:
    """What the build counted. Posts of a released dataset are not counted by rule."""
    with validating(workspace.tallies):
        read = sum(read_json(workspace.tallies).values())
    with validating(workspace.unread):
        unread = {name: int(number) for name, number in read_json(workspace.unread).items()}
    with validating(workspace.kept_by_rule):
        kept = read_json(workspace.kept_by_rule) if workspace.kept_by_rule.is_file() else {}
        return Tallied(read, unread, {rule: int(number) for rule, number in kept.items()})


def _extractors(options: BuildOptions, sources: Sources, recomputed: Iterable[str]) -> list[Extractor]:
    """The extractors of the features to complete.

    Each can state its fingerprint, so what it lacks is found before any work.

    recomputed: features of the dataset whose pictures will change. They must cover the new pictures too.
    """
    if sources.released not in ((), sources.dumps):
        raise UsageError("--dumps: a released dataset is built alone; it brings its own splits and features.")
    if sources.released:
        if options.features:
            raise UsageError("--features: a released dataset brings its features, and no pictures to compute others.")
        return []
    if sources.crawl:
        _ = options.config.crawl.agent_header  # raises where the crawl has no contact, before anything is read
    elif not sources.images and not sources.hold_pictures:
        raise UsageError(
            "--images, --crawl: no dump holds pictures, so they need a folder with them, or leave to fetch them."
        )
    extractors = [configured_extractor(name, options.config) for name in _computed(options, recomputed)]
    for extractor in extractors:
        extractor.identity()
    require(extractors, options.beam_flags)
    return extractors


def _computed(options: BuildOptions, recomputed: Iterable[str]) -> list[str]:
    """The names of the features to complete."""
    asked = DEFAULT_FEATURES if options.features is None else options.features
    return list(dict.fromkeys((*asked, *recomputed)))


def _with_engines(options: BuildOptions, recomputed: Iterable[str], known: Manifest | None) -> BuildOptions:
    """The options with an engine's name where they leave the choice to us."""
    return replace(options, config=with_engines(options.config, _computed(options, recomputed), known))


def _fetch_new(extractors: Sequence[Extractor], known: Manifest | None) -> None:
    """Get and try the weights of features that the dataset does not have yet: what is missing shows before any work."""
    for extractor in extractors:
        has = known.features.get(extractor.spec.name) if known else None
        if has is None or fingerprint(extractor.spec, extractor.identity()) not in has.versions:
            extractor.fetch()


def _with_known_settings(options: BuildOptions, known: Manifest) -> BuildOptions:
    """The options with the dataset's own rules, features and settings, except where the options say otherwise."""
    own = tuple(name for name in known.features if not known.features[name].is_imported)
    features = own if options.features is None else options.features
    config = config_for(options.dataset, known, options.config, {*features, *own})
    return replace(options, config=config, features=features)


def _signature(config: BuildConfig, sources: Sources) -> dict[str, Any]:
    """Everything that decides posts/, dropped/ and the image store: what was read, and by which rules."""
    return {
        "inputs": list(sources.inputs), "rules": rules_of(as_plain(config)), "text": text_identity(config.text),
    }  # fmt: skip


def _records_whole(dataset: Path, known: Manifest) -> bool:
    """Whether the posts, the dropped records and the list of images still have the hashes in the manifest."""
    names = [name for name in known.files if name.startswith(("posts/", "dropped/part-", "images/"))]
    paths = {name: file_in(dataset, name) for name in names}
    return all(path.is_file() and sha256_file(path) == known.files[name].sha256 for name, path in paths.items())


def _records(job: _Job, workspace: Workspace, run: Run) -> None:
    """Read all dumps and stage the records."""
    from m3h.pipeline.build.records_graph import STAGES, RecordsJob, build_records, works_in_rounds
    from m3h.pipeline.runtime.runner import run_pipeline

    options, sources, retried = job.options, job.sources, job.retried
    log.info("reading %d dump files", len(sources.dumps))
    workspace.discard_staged()
    config, dataset = options.config, options.dataset.absolute()
    folders = (dataset, workspace.crawl.absolute(), workspace.next.absolute())
    crawl = CrawlJob(
        *folders, config.crawl, config.image, retried.reasons, retried.recrawl, run.folder, config.text.mask
    )
    records = RecordsJob(
        sources,
        dataset,
        workspace.next.absolute(),
        config,
        workspace.tallies.absolute(),
        crawl=crawl if sources.crawl else None,
        forgotten=job.forgotten,
        progress=run.folder,
        found=FoundPictures.of(dataset, job.known, look_again=job.request is not None and options.images is not None),
        kept_by_rule=None if sources.released else workspace.kept_by_rule.absolute(),
        unread=workspace.unread.absolute(),
        in_rounds=works_in_rounds(config.execution, sources.bytes),
    )
    run.reads(STAGES, sources.bytes)
    run.counted(run_pipeline(lambda root: build_records(root, records), options.beam_flags, options.workers))


def _imported(job: _Job, workspace: Workspace) -> list[BuiltFeature]:
    """The features that a released dataset brings, staged."""
    features = []
    for feature in import_features(job.sources.released, job.forgotten):
        receipts = feature.write(workspace.next, job.options.config.shards.images)
        notes = [f"{feature.spec.name}: {feature.conflicts} pictures came with two readings; the first was kept."]
        notes = notes if feature.conflicts else []
        features.append(BuiltFeature(feature.spec, feature.fingerprint, feature.parts, receipts, notes))
    return features
