"""`train`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from model.commands.options import SHOWN, AsJson, scores_text
from model.config import resolve_config
from model.evaluate import DEFINITION
from model.experiment import summary_of_seeds, train_seeds
from schemas.console import say
from schemas.dataset import Dataset

app = typer.Typer()


@app.command(
    short_help="Train a system and score it.",
    help="""\b
  python -m model train --dataset data/tw --system gen-cls-m3h
  python -m model train --dataset data/tw --system gen-copy --seed 1 2 3 --out runs/copy
  python -m model train --dataset data/cmkp --system gen-cls-m3h --train-split valid --select last:537
  python -m model train --dataset data/tw --system gen-cls-m3h --set drop_inputs=[vision] dropout=0.2

Train a system; choose the epoch on validation; score test once, at the end. A run that was stopped goes on where it
was. `torchrun --nproc-per-node 4 -m model train ...` trains one model in four processes.
""",
)
def train(
    dataset: Annotated[Path, typer.Option(help="A finished dataset folder.")],
    system: Annotated[str | None, typer.Option(help="By name; `python -m model systems` lists them.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder. Default: runs/SYSTEM-seedN.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Several train one run each.")] = None,
    train_split: Annotated[str | None, typer.Option(help="The split to learn from.  [train]")] = None,
    select: Annotated[
        str | None, typer.Option(help="The split to choose the epoch by, or last:N training posts.  [valid]")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of configuration fields.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE over the file; several.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many.  [15]")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a system."""
    resolved = resolve_config(config, set_ or (), epochs, system=system, train_split=train_split, select=select)
    seeds = seed or [resolved.seed]
    if out is None:
        out = Path("runs") / (f"{resolved.system}-seed{seeds[0]}" if len(seeds) == 1 else resolved.system)
    source = Dataset(dataset)
    configs = [resolved.model_copy(update={"seed": one}) for one in seeds]
    folders = [out] if len(seeds) == 1 else [out / f"seed-{one}" for one in seeds]
    runs = train_seeds(dict(zip(folders, configs, strict=True)), source, show_progress, overwrite)
    texts = [train_text(one) for one in runs]
    if len(runs) == 1:
        say(runs[0], as_json, texts[0])
        return
    summary = summary_of_seeds(out, runs)
    told = ", ".join(f"{nice} {summary['mean'][n]:.4f} ± {summary['sd'][n]:.4f}" for n, nice in SHOWN)
    say(summary, as_json, "\n".join([*texts, f"{summary['split']} over {len(runs)} seeds ({DEFINITION}): {told}"]))


def show_progress(batches: list[np.ndarray], title: str) -> Iterable[np.ndarray]:
    """A bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    return track(batches, title, console=console, transient=True) if console.is_terminal else batches


def train_text(summary: dict[str, Any]) -> str:
    """For people: where the run is, and its scores."""
    lines = [f"{summary['system']} seed {summary['seed']}: best epoch {summary['best_epoch']}, in {summary['run']}"]
    lines += [scores_text(summary[part], part, DEFINITION) for part in ("select", "test") if part in summary]
    return "\n".join(lines)
