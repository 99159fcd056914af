"""`train`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from m3h.model.commands.options import SHOWN, AsJson, DatasetFolder, scores_text
from m3h.model.commands.progress import show_progress
from m3h.model.scoring.definitions import DEFINITION
from m3h.schemas.console import say, writable_folder

app = typer.Typer()


@app.command(
    short_help="Train a system and score it.",
    help="""\b
  m3h train --dataset data/tw --system gen-cls-m3h
  m3h train --dataset data/tw --system gen-copy --seed 1 2 3 --out runs/copy
  m3h train --dataset data/cmkp --system gen-cls-m3h --train-split valid --select last:537
  m3h train --dataset data/tw --system gen-cls-m3h --set drop_inputs=[vision] dropout=0.2

Trains a system, chooses the epoch on validation, and scores test once, at the end. The same command resumes a stopped
run. `torchrun --nproc-per-node 4 -m m3h.model train ...` trains one model in four processes.
""",
)
def train(
    dataset: DatasetFolder,
    system: Annotated[str | None, typer.Option(help="By name; `m3h systems` lists them.")] = None,
    out: Annotated[
        Path | None, typer.Option(callback=writable_folder, help="The run folder. Default: runs/SYSTEM-seedN.")
    ] = None,
    *,
    seed: Annotated[list[int] | None, typer.Option(help="Several train one run each.")] = None,
    train_split: Annotated[str | None, typer.Option(help="The split to learn from.  [train]")] = None,
    select: Annotated[
        str | None, typer.Option(help="The split to choose the epoch by, or last:N training posts.  [valid]")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of configuration fields.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE over the file; several.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many.  [15]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a system.

    Args:
        dataset: a finished dataset.
        system: by name; None for the one in the configuration.
        out: the run folder, or the folder of all seeds.
        seed: one run each.
        train_split: the split to learn from.
        select: the split to choose the epoch by.
        config: a YAML file.
        set_: fields over the file.
        epochs: at most this many.
        overwrite: replace a finished run.
        as_json: print JSON.
    """
    from m3h.model.config import resolve_config
    from m3h.model.runs.experiment import summarize_seeds, train_seeds
    from m3h.schemas.dataset import Dataset

    resolved = resolve_config(config, set_ or (), epochs, system=system, train_split=train_split, select=select)
    seeds = seed or [resolved.seed]
    if out is None:
        out = Path("runs") / (f"{resolved.system}-seed{seeds[0]}" if len(seeds) == 1 else resolved.system)
    configs = [resolved.model_copy(update={"seed": number}) for number in seeds]
    folders = [out] if len(seeds) == 1 else [out / f"seed-{number}" for number in seeds]
    by_folder = dict(zip(folders, configs, strict=True))
    runs = train_seeds(by_folder, Dataset(dataset), show_progress, overwrite=overwrite)
    texts = [train_text(run) for run in runs]
    if len(runs) == 1:
        say(runs[0], as_json, texts[0])
        return
    summary = summarize_seeds(out, runs)
    shown = ", ".join(f"{label} {summary['mean'][n]:.4f} ± {summary['sd'][n]:.4f}" for n, label in SHOWN)
    say(summary, as_json, "\n".join([*texts, f"{summary['split']} over {len(runs)} seeds ({DEFINITION}): {shown}"]))


def train_text(summary: dict[str, Any]) -> str:
    """The folder and the scores of a run, for people."""
    lines = [f"{summary['system']} seed {summary['seed']}: best epoch {summary['best_epoch']}, in {summary['run']}"]
    lines += [scores_text(summary[part], part, DEFINITION) for part in ("select", "test") if part in summary]
    return "\n".join(lines)
