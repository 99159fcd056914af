"""`verify --repair`: what is broken is done again, as far as the dataset itself and the picture folders allow."""

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import BuildConfig
from pipeline.extractors import EXTRACTORS, extractor_class
from pipeline.extractors.base import Extractor
from pipeline.folder import locate, read
from pipeline.forgotten import FORGOTTEN_FILE
from pipeline.images import image_path
from pipeline.parts import IMAGE_LIST
from pipeline.publish import MAPPING, publish_dataset
from pipeline.run import Run
from pipeline.sources import is_released, remembered_sources
from pipeline.state import BuildState
from pipeline.verify import Report, is_record_file, verify
from schemas.errors import ImageFault, IntegrityError, UsageError
from schemas.features import fingerprint
from schemas.files import publish_bytes, sha256_file
from schemas.manifest import MANIFEST, Manifest
from schemas.parquet import read_parquet
from schemas.posts import ImageRef
from schemas.shards import KEY


@dataclass
class Repaired:
    """done: what was mended, one sentence each. left: what could not be, and what to do about it."""

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def repair(dataset: Path, workers: int = 1, beam_flags: Sequence[str] = ()) -> Repaired:
    """Remove what belongs to nothing, fetch pictures from the folders again, compute broken shards anew.

    Nothing else is touched. UsageError where an unfinished build lies in the folder.
    """
    report = verify(dataset)
    repaired = Repaired()
    try:
        known = Manifest.read(dataset)
    except IntegrityError as error:
        repaired.left.append(f"{error} Without a manifest nobody knows what is whole; build it again.")
        return repaired
    state = BuildState(dataset)
    mine = {"repair": known.files[IMAGE_LIST].sha256 if IMAGE_LIST in known.files else ""}
    run = Run("verify --repair", state, workers=workers, beam_flags=beam_flags)
    with state.locked(), run:
        state.refuse_changed(known)
        state.refuse_unfinished("repair")
        state.begin(mine)
        state.install()  # of a repair that was killed
        _remove_foreign(report, repaired)
        _restore_pictures(dataset, known, report, repaired)
        if report.records_whole and not repaired.left:
            _redo(state, known, report, repaired, workers, beam_flags, run)
        repaired.left += _beyond(dataset, known, report)
        state.finish()
    return repaired


def _remove_foreign(report: Report, repaired: Repaired) -> None:
    for path in report.foreign:
        path.unlink()
        repaired.done.append(f"{path}: removed, it belonged to nothing.")


def _restore_pictures(dataset: Path, known: Manifest, report: Report, repaired: Repaired) -> None:
    """From the folders that the dataset was built from, where the very same bytes still lie there."""
    if not report.pictures:
        return
    folders = remembered_sources(dataset).images
    limit = BuildConfig.model_validate(known.config).image.max_bytes
    for row in read_parquet(dataset / IMAGE_LIST).to_pylist():
        if row[KEY] not in report.pictures:
            continue
        target, reference = image_path(dataset, row[KEY]), ImageRef(row["path"] or "", row["url"] or "")
        try:
            data = read(locate(reference, folders), limit)
        except ImageFault:
            data = b""
        if hashlib.sha256(data).hexdigest() == row[KEY]:
            publish_bytes(target, data)
            repaired.done.append(f"{target}: copied from the picture folder again.")
        else:
            name = reference.path or reference.url
            repaired.left.append(f"{target}: no picture folder has these bytes as {name}. {_command(dataset, known)}")


def _redo(
    state: BuildState,
    known: Manifest,
    report: Report,
    repaired: Repaired,
    workers: int,
    beam_flags: Sequence[str],
    run: Run,
) -> None:
    """The broken files of features, and the tables that are made of the records."""
    broken = {name for name in report.broken if not is_record_file(name) and name != FORGOTTEN_FILE}
    config = BuildConfig.model_validate(known.config)
    extractors = list(_extractors(known, config, broken, repaired))
    if not extractors and MAPPING not in broken:
        return
    from pipeline.extraction import Extraction

    features = Extraction(state, extractors, config.shards.images, workers, run, known, beam_flags).complete()
    state.install()
    manifest = publish_dataset(state.dataset, config, known.signature, known.counts, features, known)
    run.finish(manifest)
    for name in sorted(broken & set(manifest.files)):
        path, now, then = state.dataset / name, manifest.files[name].sha256, known.files[name].sha256
        if path.is_file() and sha256_file(path) == now:
            other = "" if now == then else "; other bytes, for these are other libraries or another processor"
            repaired.done.append(f"{path}: made again{other}.")


def _extractors(known: Manifest, config: BuildConfig, broken: set[str], repaired: Repaired) -> Iterator[Extractor]:
    """Of the features with a broken file, those that can be computed here under their own fingerprint."""
    for name, feature in known.features.items():
        versions = {v for v in feature["versions"] if any(f"{name}/{v}/" in b or f"{name}-{v}." in b for b in broken)}
        if not versions:
            continue
        try:
            if versions != {feature["current"]}:
                raise UsageError(
                    f"{', '.join(sorted(versions))} is not its current fingerprint, which alone can be computed."
                )
            if name not in EXTRACTORS:
                raise UsageError("it came with the source; run its build again.")
            extractor = extractor_class(name)(getattr(config.features, name))
            found = fingerprint(extractor.spec, extractor.fingerprint_parts())
            if found != feature["current"]:
                raise UsageError(f"here its fingerprint would be {found}, not {feature['current']}: see its parts.")
            yield extractor
        except UsageError as error:
            repaired.left.append(f"feature {name}: {error}")


def _beyond(dataset: Path, known: Manifest, report: Report) -> Iterator[str]:
    """What no repair can make of the dataset alone."""
    for name in sorted(report.broken):
        if is_record_file(name):
            yield f"{dataset / name}: only the dumps can bring it back. {_command(dataset, known)}"
        elif name == FORGOTTEN_FILE:
            yield f"{dataset / name}: restore it from a copy, or forgotten posts could come back."


def _command(dataset: Path, known: Manifest) -> str:
    """The build that brings records and pictures back, as far as this machine remembers it."""
    sources = remembered_sources(dataset)
    dumps = [dump.path for dump in sources.dumps] or [entry["name"] for entry in known.inputs]
    pictures = ["--crawl"] if sources.crawl else ["--images", *map(str, sources.images[:1] or ["FOLDER"])]
    words = ["build", "--dumps", *dumps, "--dataset", str(dataset), *([] if is_released(known) else pictures)]
    return f"Run `python -m pipeline {shlex.join(words)}` with the configuration in {MANIFEST}."
