"""`compact`: the dataset as one build from all its dumps would have written it, current versions only.

Adding, forgetting and refreshing already write each file with the rows that such a build gives it. Three things remain
for `compact`. It removes the versions that are not current. It removes the rows of pictures that were removed while
another version was current. It divides the rows into files of another size, if asked to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3h.pipeline.config import config_of, shard_rules_of
from m3h.pipeline.dataset.run_recorder import Run
from m3h.pipeline.dataset.stored_pictures import stored_images
from m3h.pipeline.dataset.tables import IMAGES, POSTS
from m3h.pipeline.dataset.transaction import COMPACT, is_interrupted, transaction
from m3h.pipeline.dataset.workspace import record_files
from m3h.pipeline.progress.monitor import AUTO
from m3h.pipeline.rules import ShardRules
from m3h.pipeline.versions.history import Removed, without_old
from m3h.pipeline.versions.rewrite import Rewrite, images_of
from m3h.schemas.config import as_plain
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.inside import copy_in, name_of
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import IMAGE_LISTS


@dataclass(frozen=True)
class Compacted:
    """What `compact` did.

    removed: the versions that were not current. rewritten: how many files were written with other bytes.
    """

    removed: Removed
    rewritten: int = 0

    def summary(self) -> dict[str, Any]:
        """The line of `--json`."""
        return {**self.removed.summary(), "rewritten": self.rewritten}


def compact(dataset: Path, sets: Sequence[str] = (), progress: str = AUTO) -> Compacted:
    """Remove old versions, and divide rows into files as `sets` (`shards.images`, `shards.posts`) say.

    If it is killed, the same call finishes the work.

    Args:
        dataset: the dataset's folder.
        sets: `FIELD=VALUE`, over the dataset's own configuration.
        progress: how the progress is shown, as for `Watch`.

    Returns:
        What was removed and rewritten.

    Raises:
        UsageError: `sets` change another field, or a current version lacks rows.
        IntegrityError: a file is not what the manifest says.
    """
    if is_interrupted(dataset, COMPACT):
        with transaction(dataset, COMPACT, Manifest.read(dataset)) as change:
            change.publish_prepared()
    data = Dataset(dataset)
    shards = _shards(data.manifest, sets)
    manifest, removed = without_old(data.manifest, keep=0)
    with (
        transaction(dataset, COMPACT, data.manifest) as change,
        Run("compact", change.workspace, progress) as run,
    ):
        rewritten = _stage(Rewrite(data, manifest, change.next), shards, run)
        if rewritten or removed.versions:
            change.prepare(manifest)
            change.publish_prepared()
        run.finish(manifest)
    return Compacted(removed, rewritten)


def _shards(known: Manifest, sets: Sequence[str]) -> ShardRules:
    asked = config_of(known.config, sets)
    before, plain = as_plain(config_of(known.config)), as_plain(asked)
    if refused := [name for name in plain if name != "shards" and plain[name] != before[name]]:
        raise UsageError(f"--set: compact changes only shards.images and shards.posts, got a field of {refused[0]}.")
    return asked.shards


def _stage(rewrite: Rewrite, shards: ShardRules, run: Run) -> int:
    """Write the files that get other bytes. Returns how many files they are."""
    data, manifest = rewrite.data, rewrite.manifest
    images = list(stored_images(data.folder))

    def on_progress(feature: str, done: int, total: int) -> None:
        run.extracts({feature: total})
        run.tell(feature, done)

    for built in rewrite.features(lambda name: _unused_rows(data, name, images), shards.images, on_progress):
        run.extracted(built.name, built.receipts, [])
    if shards.posts != shard_rules_of(data.manifest).posts:
        _stage_records(data, shards.posts, rewrite.out)
        rewrite.replaced |= {name for name in manifest.files if name.startswith(_DIVIDED)}
    manifest.config = {**manifest.config, "shards": as_plain(shards)}
    return rewrite.collect()


_DIVIDED = ("posts/", IMAGE_LISTS)
"""How the names of the files begin that have `shards.posts` rows each."""


def _stage_records(data: Dataset, per_part: int, out: Path) -> None:
    """Write the tables of all records: installing new ones removes all old ones first."""
    POSTS.write_parts(out, data.posts.to_pylist(), per_part)
    IMAGES.write_parts(out, data.images.to_pylist(), per_part)
    for path in record_files(data.folder):
        name = name_of(data.folder, path)
        if not name.startswith(_DIVIDED):
            copy_in(data.checked(name), out, name)


def _unused_rows(data: Dataset, name: str, images: Sequence[str]) -> set[str]:
    """Pictures that have a row although no post shows them any more. UsageError if a picture of a post has none."""
    feature = data.manifest.features[name]
    if feature.is_imported:
        return set()
    known = images_of(data, name, feature.current)
    if missing := set(images) - known:
        raise UsageError(
            f"{data.folder}: {len(missing)} pictures have no row of {name} {feature.current}, such as {min(missing)}; "
            "run refresh first."
        )
    return known.difference(images)
