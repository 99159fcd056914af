"""`compact`: the dataset as one build from all its dumps would have written it, current versions only.

Adding, forgetting and refreshing write each file with the rows that such a build gives it. What is left to do: versions
that are not current go, rows of pictures that left while another version was current go, and files get another size.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.config import BuildConfig
from pipeline.parts import POSTS
from pipeline.progress import AUTO
from pipeline.publish import file_entry, remove_unlisted, stored_images
from pipeline.reslice import images_of, without
from pipeline.rules import ShardRules
from pipeline.run import Run
from pipeline.state import BuildState, record_files
from pipeline.versions import Removed, collect_garbage, is_imported, without_old
from schemas.config import as_plain, resolve
from schemas.dataset import Dataset
from schemas.errors import UsageError
from schemas.files import publish_json, read_json
from schemas.manifest import FileEntry, Manifest


@dataclass(frozen=True)
class Compacted:
    """removed: versions that were not current. rewritten: files that lie there now in the place of others."""

    removed: Removed
    rewritten: int = 0

    def summary(self) -> dict[str, Any]:
        """The line of `--json`."""
        return {**self.removed.summary(), "rewritten": self.rewritten}


def compact(dataset: Path, sets: Sequence[str] = (), progress: str = AUTO) -> Compacted:
    """Remove old versions, and divide rows into files as `sets` (`shards.images`, `shards.posts`) say.

    Killed anywhere, the same call finishes. progress: as `Watch` has it.
    UsageError where `sets` change another field, or a current version lacks
    rows; IntegrityError where a file is not what the manifest says.
    """
    state = BuildState(dataset)
    if state.compacting.is_file():  # of a call that was killed
        with state.locked():
            _carry_out(state)
    data = Dataset(dataset)
    shards = _shards(data.manifest, sets)
    run = Run("compact", state, progress)
    with state.locked(), run:
        state.refuse_changed(data.manifest)
        state.refuse_unfinished()
        state.sweep()
        state.forget_records()
        manifest, removed = without_old(data.manifest, keep=0)
        rewritten = _stage(data, manifest, shards, state.next, run)
        run.finish(manifest)
        if rewritten:
            publish_json(state.compacting, asdict(manifest))
            _carry_out(state)
    if not rewritten:
        removed = collect_garbage(dataset)
    return Compacted(removed, rewritten)


def _carry_out(state: BuildState) -> None:
    """Put what waits in its place, and remove the rest. Any step may be done twice."""
    manifest = Manifest.of(read_json(state.compacting))
    state.install()
    manifest.write(state.dataset)
    remove_unlisted(state.dataset, manifest)
    state.finish()


def _shards(known: Manifest, sets: Sequence[str]) -> ShardRules:
    asked = resolve(BuildConfig, known.config, sets)
    before, plain = as_plain(resolve(BuildConfig, known.config)), as_plain(asked)
    if other := [name for name in plain if name != "shards" and plain[name] != before[name]]:
        raise UsageError(f"--set: compact changes shards.images and shards.posts alone, got a field of {other[0]}.")
    return asked.shards


def _stage(data: Dataset, manifest: Manifest, shards: ShardRules, out: Path, run: Run) -> int:
    """Write what gets other bytes below `out`, and name it in `manifest`. Returns how many files that are."""
    replaced: set[str] = set()
    rows: dict[str, int] = {}
    images = stored_images(data.folder)
    for name, feature in manifest.features.items():
        version = feature["current"]
        gone = _gone(data, name, feature, images)

        def told(done: int, total: int, name: str = name) -> None:
            run.extracts({name: total})
            run.tell(name, done)

        if built := without(data, name, version, gone, out, shards.images, told):
            built.write_dropped(out)
            run.extracted(name, built.receipts, [])
            replaced |= {*feature["versions"][version]["shards"], built.dropped_file}
            rows |= {receipt.file: receipt.rows for receipt in built.receipts}
            feature["versions"] = {version: built.version()}
    if shards.posts != data.manifest.config["shards"]["posts"]:
        _stage_records(data, shards.posts, out)
        replaced |= {name for name in manifest.files if name.startswith("posts/")}
    staged = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    manifest.files = {name: entry for name, entry in manifest.files.items() if name not in replaced}
    manifest.files |= {
        name: FileEntry.of(path, rows[name]) if name in rows else file_entry(path) for name, path in staged.items()
    }
    manifest.config = {**manifest.config, "shards": as_plain(shards)}
    return len(staged)


def _stage_records(data: Dataset, posts_per_part: int, out: Path) -> None:
    """All records: whoever installs new ones removes the old ones first."""
    POSTS.write_parts(out, data.posts.to_pylist(), posts_per_part)
    for path in record_files(data.folder):
        name = path.relative_to(data.folder)
        if name.parts[0] != "posts":
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data.checked(name.as_posix()), out / name)


def _gone(data: Dataset, name: str, feature: dict[str, Any], images: Sequence[str]) -> set[str]:
    """Pictures that have a row though no post shows them any more. UsageError where a shown one has none."""
    if is_imported(feature):
        return set()
    have = images_of(data, name, feature["current"])
    if missing := set(images) - have:
        raise UsageError(
            f"{data.folder}: {len(missing)} pictures have no row of {name} {feature['current']}, such as "
            f"{min(missing)}; run refresh first."
        )
    return have.difference(images)
