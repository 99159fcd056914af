"""`verify --repair`: restore what is broken, as far as the dataset itself and the picture folders allow."""

import hashlib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m3h.pipeline.build.sources import is_released, remembered_sources
from m3h.pipeline.checks.verify import Report, is_record_file, verify
from m3h.pipeline.config import BuildConfig, config_of, configured_extractor
from m3h.pipeline.dataset.publish import MAPPING, describe_dataset
from m3h.pipeline.dataset.remembered import refuse_unnamed_files
from m3h.pipeline.dataset.run_recorder import Run
from m3h.pipeline.dataset.suppression_list import FORGOTTEN_FILE
from m3h.pipeline.dataset.tables import image_lists
from m3h.pipeline.dataset.timings import remember_timings
from m3h.pipeline.dataset.transaction import REPAIR, Change, has_begun, transaction
from m3h.pipeline.extractors import known_extractors
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.images.source_folder import archived_by_any_post, locate, read
from m3h.pipeline.images.store import image_path
from m3h.pipeline.readers.held_pictures import pictures_of
from m3h.schemas.config import as_plain
from m3h.schemas.errors import ImageFault, IntegrityError, UsageError
from m3h.schemas.features import fingerprint
from m3h.schemas.files import publish_bytes, sha256_file
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import MANIFEST, Manifest
from m3h.schemas.parquet import read_parquet
from m3h.schemas.posts import ImageRef
from m3h.schemas.shards import KEY

_PLACEHOLDER = re.compile("<(?:email|mention|phone|url)>")


@dataclass
class Repaired:
    """What a repair did, one sentence each.

    done: what was repaired. left: what could not be repaired, and what to do about it.
    """

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def wants_repair(dataset: Path, report: Report) -> bool:
    """Whether something is broken, or a repair was killed and must be finished."""
    return not report.ok or has_begun(dataset, REPAIR)


def repair(dataset: Path, workers: int = 1, beam_flags: Sequence[str] = ()) -> Repaired:
    """Remove files that belong to nothing, copy pictures from their folders again, compute broken shards again.

    Nothing else is touched.

    Args:
        dataset: the dataset's folder.
        workers: processes of the embedded runner.
        beam_flags: Beam's own flags.

    Returns:
        What was repaired, and what could not be.

    Raises:
        UsageError: an unfinished build lies in the folder.
    """
    report = verify(dataset)
    repaired = Repaired()
    try:
        known = Manifest.read(dataset)
    except IntegrityError as error:
        repaired.left.append(f"{error} Without a manifest it is not known which files are whole; build it again.")
        return repaired
    work = {"repair": " ".join(known.files[name].sha256 for name in image_lists(known))}
    with (
        transaction(dataset, REPAIR, known, work=work) as change,
        Run("verify --repair", change.workspace, workers=workers, beam_flags=beam_flags) as run,
    ):
        _remove_foreign(report, repaired)
        _restore_pictures(dataset, known, report, repaired=repaired)
        if report.records_whole and not repaired.left:
            _redo(change, known, report, repaired=repaired, run=run)
        repaired.left += _not_repairable(dataset, known, report)
    return repaired


def _remove_foreign(report: Report, repaired: Repaired) -> None:
    for path in report.foreign:
        path.unlink(missing_ok=True)  # a temporary file may be removed already
        repaired.done.append(f"{path}: removed, it belonged to nothing.")


def _restore_pictures(dataset: Path, known: Manifest, report: Report, *, repaired: Repaired) -> None:
    """Copy pictures from the folders and dumps that the dataset was built from, if the same bytes still lie there."""
    if not report.pictures:
        return
    sources = remembered_sources(dataset)
    folders = (*sources.images, *sources.homes.values())
    limit = config_of(known.config).image.max_bytes
    lists = (read_parquet(file_in(dataset, name)).to_pylist() for name in image_lists(known))
    rows = [row for listed in lists for row in listed if row[KEY] in report.pictures]
    left = {row[KEY]: row["path"] or row["url"] for row in rows}
    in_folders = ((row[KEY], data) for row in rows if (data := _bytes_of(row, folders, limit)) is not None)
    in_dumps = pictures_of(sources.dumps, left, limit)
    for place, found in (("the picture folder", in_folders), ("a dump", in_dumps)):
        for image, data in found:
            target = image_path(dataset, image)
            publish_bytes(target, data)
            repaired.done.append(f"{target}: copied from {place} again.")
            del left[image]
    for image, name in left.items():
        here = f"{image_path(dataset, image)}: no picture folder has these bytes as {name}."
        repaired.left.append(f"{here} {_command(dataset, known)}")


def _bytes_of(row: Mapping[str, Any], folders: Sequence[Path], limit: int) -> bytes | None:
    """The bytes of a picture where a file of the folders has them; None where none has."""
    for reference in _references(row, folders):
        try:
            data = read(locate(reference, folders), limit)
        except ImageFault:
            continue
        if hashlib.sha256(data).hexdigest() == row[KEY]:
            return data
    return None


def _references(row: Mapping[str, Any], folders: Sequence[Path]) -> Iterator[ImageRef]:
    """Where a picture may lie: as its row says, or as personal archives name theirs.

    Where its row names a person and is masked, every file of its size.
    """
    yield ImageRef(row["path"] or "", row["url"] or "")
    yield from archived_by_any_post(row["url"] or "", folders)
    if _PLACEHOLDER.search(f"{row['path']} {row['url']}"):
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.stat().st_size == row["bytes"]:
                    yield ImageRef(path.relative_to(folder).as_posix())


def _redo(change: Change, known: Manifest, report: Report, *, repaired: Repaired, run: Run) -> None:
    """Make the broken files of features again, and the broken tables that are made from the records."""
    broken = {name for name in report.broken if not is_record_file(name) and name != FORGOTTEN_FILE}
    config, dataset = config_of(known.config), change.dataset
    try:
        own = [name for name in known.features if not known.features[name].is_imported]
        refuse_unnamed_files(dataset, known.config, as_plain(config), features=own)
    except UsageError as error:
        repaired.left.append(str(error))
        return
    extractors = list(_extractors(known, config, broken, repaired=repaired))
    if not extractors and MAPPING not in broken:
        return
    from m3h.pipeline.build.extraction import Extraction

    features = Extraction(change.workspace, extractors, config.shards.images, run, known).complete()

    def described() -> Manifest:
        return describe_dataset(dataset, config, features, signature=known.signature, counts=known.counts, known=known)

    manifest = change.publish(described)
    remember_timings(dataset, features)
    run.finish(manifest)
    for name in sorted(broken & set(manifest.files)):
        path, now, then = file_in(dataset, name), manifest.files[name].sha256, known.files[name].sha256
        if path.is_file() and sha256_file(path) == now:
            difference = (
                "" if now == then else "; its bytes differ, because the libraries or the processor are others now"
            )
            repaired.done.append(f"{path}: made again{difference}.")


def _extractors(known: Manifest, config: BuildConfig, broken: set[str], *, repaired: Repaired) -> Iterator[Extractor]:
    """Those features with a broken file that can be computed here under their own fingerprint."""
    for name, feature in known.features.items():
        versions = {v for v in feature.versions if any(f"{name}/{v}/" in b or f"{name}-{v}." in b for b in broken)}
        if not versions:
            continue
        try:
            if versions != {feature.current}:
                raise UsageError(
                    f"{', '.join(sorted(versions))} is not its current fingerprint; only that one can be computed."
                )
            if feature.is_imported:
                raise UsageError("it came with the source; run its build again.")
            if name not in known_extractors():
                raise UsageError("no extractor of that name is installed here.")
            extractor = configured_extractor(name, config)
            found = fingerprint(extractor.spec, extractor.identity())
            if found != feature.current:
                raise UsageError(f"here its fingerprint would be {found}, not {feature.current}: see its parts.")
            yield extractor
        except UsageError as error:
            repaired.left.append(f"feature {name}: {error}")


def _not_repairable(dataset: Path, known: Manifest, report: Report) -> Iterator[str]:
    """What cannot be restored from the dataset itself, and what to do about it."""
    for name in sorted(report.broken):
        if is_record_file(name):
            yield f"{file_in(dataset, name)}: it can only be made from the dumps. {_command(dataset, known)}"
        elif name == FORGOTTEN_FILE:
            yield f"{file_in(dataset, name)}: restore it from a copy, or forgotten posts could come back."


def _command(dataset: Path, known: Manifest) -> str:
    """The build that makes records and pictures again, as far as this machine remembers it."""
    sources = remembered_sources(dataset)
    dumps = [dump.path for dump in sources.dumps] or [entry["name"] for entry in known.inputs]
    pictures = ["--crawl"] if sources.crawl else ["--images", *map(str, sources.images[:1] or ["FOLDER"])]
    if is_released(known) or (not sources.crawl and not sources.images and sources.hold_pictures):
        pictures = []
    words = ["build", "--dumps", *dumps, "--dataset", str(dataset), *pictures]
    return f"Run `m3h {shlex.join(words)}` with the configuration in {MANIFEST}."
