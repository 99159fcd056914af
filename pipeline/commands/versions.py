"""Commands about versions of features: plan, refresh, use, diff, gc, compact."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from m3h.pipeline.commands.build import exit_code
from m3h.pipeline.commands.options import (
    CORES,
    FinishedDataset,
    JsonOption,
    ProgressOption,
    SetOption,
    WorkersOption,
    beam_flags,
)
from m3h.schemas.console import DONE, say
from m3h.schemas.errors import UsageError

ConfigOption = Annotated[Path | None, typer.Option("--config", help="YAML file, over the dataset's configuration.")]
FeaturesOption = Annotated[
    list[str] | None, typer.Option("--feature", help="One or several; all of the dataset's if left out.")
]
NAMED = 5
"""How many ids `plan` names to people."""

FeatureOption = Annotated[str, typer.Option("--feature", help="Its name, such as ocr.")]


def plan_command(
    dataset: FinishedDataset,
    feature: FeaturesOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    dumps: Annotated[
        list[str] | None,
        typer.Option("--dumps", help="Also list the posts that these dumps would move to another split if added."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            help="Folder with the pictures of --dumps. Alone: list the posts to which retry would give others from it.",
        ),
    ] = None,
    workers: WorkersOption = CORES,
    as_json: JsonOption = False,
) -> int:
    """What refresh would compute, why, for how many pictures, and roughly how long it would take. Writes nothing.

    \b
    m3h plan --dataset data/tw
    m3h plan --dataset data/tw --set features.vgg_grid.weights=new.safetensors
    m3h plan --dataset data/tw --dumps raw/august.jsonl --images raw/images
    m3h plan --dataset data/tw --images other/images
    """
    from m3h.pipeline.versions.plan import format_plan, plan

    found = plan(dataset, feature or (), config, sets=set_ or ())
    summary, lines = found.summary(workers), [format_plan(found, workers)]
    if dumps or images:
        from m3h.pipeline.build.foresight import Reading, predicted_changes, predicted_moves

        reading = Reading(images, workers, tuple(beam_flags))
        if dumps:
            moved = predicted_moves(dataset, dumps, reading)
            summary["moves"] = [[move.post_id, move.before, move.after] for move in moved]
            lines += [f"posts that --dumps would move: {len(moved)}", *map(str, moved)]
        else:
            summary["changed"] = changed = predicted_changes(dataset, reading)
            examples = f", such as {', '.join(changed[:NAMED])}" if changed else ""
            lines.append(f"posts that retry --images would change: {len(changed)}{examples}")
    say(summary, as_json, "\n".join(lines))
    return DONE


def refresh_command(
    dataset: FinishedDataset,
    feature: FeaturesOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    workers: WorkersOption = CORES,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Do what plan announces, and nothing else. The old version stays beside the new one until gc removes it.

    \b
    m3h refresh --dataset data/tw
    m3h refresh --dataset data/tw --feature ocr --set features.ocr.min_confidence=30
    m3h refresh --dataset data/tw -- --runner=PortableRunner --job_endpoint=host:8099
    """
    from m3h.pipeline.versions.plan import format_plan
    from m3h.pipeline.versions.refresh import RefreshOptions, refresh

    done = refresh(
        dataset,
        feature or (),
        config,
        sets=set_ or (),
        announce=lambda plan: logging.info("%s", format_plan(plan, workers)),
        options=RefreshOptions(workers, tuple(beam_flags), progress),
    )
    say(done.summary(), as_json, done.text())
    return exit_code(done)


def use_command(
    dataset: FinishedDataset,
    feature: FeatureOption,
    fingerprint: Annotated[str, typer.Option("--fingerprint", help="The version's fingerprint, or how it begins.")],
    as_json: JsonOption = False,
) -> int:
    """Make another version of a feature current: back to an older one, or forward again. Only the manifest changes.

    \b
    m3h use --dataset data/tw --feature ocr --fingerprint eb28
    """
    from m3h.pipeline.versions.history import use

    current = use(dataset, feature, fingerprint)
    say({"feature": feature, "current": current}, as_json, f"{feature}: {current} is current")
    return DONE


def diff_command(
    dataset: FinishedDataset,
    feature: FeatureOption,
    fingerprints: Annotated[
        list[str] | None,
        typer.Argument(help="Two fingerprints, or how they begin; the last two current ones if left out."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """How far a feature's rows changed between two of its versions.

    \b
    m3h diff --dataset data/tw --feature vgg_grid
    m3h diff --dataset data/tw --feature ocr eb28 1f02
    """
    from m3h.pipeline.versions.diff import diff, two_versions
    from m3h.pipeline.versions.history import version_of
    from m3h.schemas.dataset import Dataset

    data = Dataset(dataset)
    given = [version_of(data, feature, prefix) for prefix in fingerprints or ()]
    if len(given) not in (0, 2):
        raise UsageError(f"diff: expected two fingerprints or none, got {len(given)}.")
    old, new = given or two_versions(data, feature)
    found = diff(data, feature, old, new=new)
    say(found.summary(), as_json, found.text())
    return DONE


def gc_command(
    dataset: FinishedDataset,
    keep: Annotated[int, typer.Option("--keep", min=0, help="Versions to keep beside each current one.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Remove versions of features that are not current, and say how many bytes that frees.

    \b
    m3h gc --dataset data/tw --dry-run
    m3h gc --dataset data/tw --keep 1
    """
    from m3h.pipeline.versions.history import collect_garbage

    removed = collect_garbage(dataset, keep, dry_run=dry_run)
    lines = [f"{feature} {fingerprint}" for feature, fingerprint in removed.versions]
    verb = "would be freed" if dry_run else "freed"
    text = "\n".join([*lines, f"{_versions(len(lines))}, {removed.files} files, {removed.bytes} bytes {verb}"])
    say({**removed.summary(), "dry_run": dry_run}, as_json, text)
    return DONE


def compact_command(
    dataset: FinishedDataset,
    set_: SetOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Rewrite a dataset as one build would have written it: current versions only, in files of the size asked for.

    \b
    m3h compact --dataset data/tw
    m3h compact --dataset data/tw --set shards.images=256 shards.posts=50000
    """
    from m3h.pipeline.versions.compact import compact

    done = compact(dataset, set_ or (), progress)
    removed = f"{_versions(len(done.removed.versions))} removed"
    text = f"{removed} ({done.removed.bytes} bytes), {done.rewritten} files written again"
    say(done.summary(), as_json, text)
    return DONE


def _versions(number: int) -> str:
    return f"{number} version{'' if number == 1 else 's'}"
