"""Commands about versions of features: plan, refresh, use, diff, gc, compact."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.making import exit_code
from pipeline.commands.options import (
    CORES,
    DatasetOption,
    JsonOption,
    ProgressOption,
    SetOption,
    WorkersOption,
    beam_flags,
)
from schemas.console import DONE, say
from schemas.errors import UsageError

ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML file, over the dataset's configuration.")]
FeaturesOption = Annotated[
    list[str] | None, typer.Option("--feature", help="One or several; all of the dataset's if left out.")
]
FeatureOption = Annotated[str, typer.Option("--feature", help="Its name, such as ocr.")]


def plan_command(
    dataset: DatasetOption,
    feature: FeaturesOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    dumps: Annotated[list[str] | None, typer.Option("--dumps", help="What would these move, if added?")] = None,
    images: Annotated[Path | None, typer.Option("--images", help="Folder with the pictures of --dumps.")] = None,
    workers: WorkersOption = CORES,
    as_json: JsonOption = False,
) -> int:
    """What refresh would do again, why, for how many pictures, and roughly how long. Writes nothing.

    \b
    python -m pipeline plan --dataset data/tw
    python -m pipeline plan --dataset data/tw --set features.vgg_grid.weights=new.safetensors
    python -m pipeline plan --dataset data/tw --dumps raw/august.jsonl --images raw/images
    """
    from pipeline.plan import plan, told

    found = plan(dataset, feature or (), config, set_ or ())
    summary, lines = found.summary(workers), [told(found, workers)]
    if dumps:
        from pipeline.moves import foresee

        moved = foresee(dataset, dumps, images, workers, tuple(beam_flags))
        summary["moves"] = [[move.post_id, move.before, move.after] for move in moved]
        lines += [f"posts that --dumps would move: {len(moved)}", *map(str, moved)]
    say(summary, as_json, "\n".join(lines))
    return DONE


def refresh_command(
    dataset: DatasetOption,
    feature: FeaturesOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    workers: WorkersOption = CORES,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Do what plan announces, and nothing else. The version before stays beside the new one until gc.

    \b
    python -m pipeline refresh --dataset data/tw
    python -m pipeline refresh --dataset data/tw --feature ocr --set features.ocr.min_confidence=30
    python -m pipeline refresh --dataset data/tw -- --runner=PortableRunner --job_endpoint=host:8099
    """
    from pipeline.plan import told
    from pipeline.refresh import refresh

    done = refresh(
        dataset, feature or (), config, set_ or (), workers, tuple(beam_flags),
        announce=lambda plan: logging.info("%s", told(plan, workers)), progress=progress,
    )  # fmt: skip
    say(done.summary(), as_json, done.text())
    return exit_code(done)


def use_command(
    dataset: DatasetOption,
    feature: FeatureOption,
    fingerprint: Annotated[str, typer.Option("--fingerprint", help="Of the version, or how it begins.")],
    as_json: JsonOption = False,
) -> int:
    """Make another version of a feature current: back to an older one, or forward again. Only the manifest changes.

    \b
    python -m pipeline use --dataset data/tw --feature ocr --fingerprint eb28
    """
    from pipeline.versions import use

    current = use(dataset, feature, fingerprint)
    say({"feature": feature, "current": current}, as_json, f"{feature}: {current} is current")
    return DONE


def diff_command(
    dataset: DatasetOption,
    feature: FeatureOption,
    fingerprints: Annotated[
        list[str] | None, typer.Argument(help="Two, or how they begin; the last two current ones if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """How far a feature's rows moved between two of its versions.

    \b
    python -m pipeline diff --dataset data/tw --feature vgg_grid
    python -m pipeline diff --dataset data/tw --feature ocr eb28 1f02
    """
    from pipeline.diff import diff, two_versions
    from pipeline.versions import version_of
    from schemas.dataset import Dataset

    data = Dataset(dataset)
    named = [version_of(data, feature, prefix) for prefix in fingerprints or ()]
    if len(named) not in (0, 2):
        raise UsageError(f"diff: expected two fingerprints or none, got {len(named)}.")
    old, new = named or two_versions(data, feature)
    found = diff(data, feature, old, new)
    say(found.summary(), as_json, found.text())
    return DONE


def gc_command(
    dataset: DatasetOption,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Versions to keep beside each current one.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Remove versions of features that are not current, and say how many bytes that frees.

    \b
    python -m pipeline gc --dataset data/tw --dry-run
    python -m pipeline gc --dataset data/tw --keep 1
    """
    from pipeline.versions import collect_garbage

    removed = collect_garbage(dataset, keep, dry_run)
    lines = [f"{feature} {fingerprint}" for feature, fingerprint in removed.versions]
    verb = "would be freed" if dry_run else "freed"
    text = "\n".join([*lines, f"{len(lines)} versions, {removed.files} files, {removed.bytes} bytes {verb}"])
    say({**removed.summary(), "dry_run": dry_run}, as_json, text)
    return DONE


def compact_command(
    dataset: DatasetOption,
    set_: SetOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """The same bytes as if the dataset had been built at once: current versions only, in files of the size asked for.

    \b
    python -m pipeline compact --dataset data/tw
    python -m pipeline compact --dataset data/tw --set shards.images=256 shards.posts=50000
    """
    from pipeline.compact import compact

    done = compact(dataset, set_ or (), progress)
    gone = len(done.removed.versions)
    text = f"{gone} versions removed ({done.removed.bytes} bytes), {done.rewritten} files written anew"
    say(done.summary(), as_json, text)
    return DONE
