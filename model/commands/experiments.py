"""`sweep`, `reproduce` and `attend`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from model.attend import attend as attend_post
from model.commands.options import AsJson, RunFolder
from model.commands.training import show_progress
from model.evaluate import DEFINITION, open_run
from model.figures import bars
from model.paper import FIGURE_5, FIGURE_6, FULL, PARTS_4, SCORES, TABLE_2, TABLE_3, TABLE_4
from model.reproduce import Setting, parts_table, runs_of, table, table1
from model.sweep import configs_of
from model.sweep import sweep as train_grid
from schemas.console import say
from schemas.dataset import Dataset
from schemas.errors import UsageError, unknown_name

app = typer.Typer()
DatasetFolder = Annotated[Path, typer.Option(help="A finished dataset folder.")]
TrainSplit = Annotated[str | None, typer.Option(help="The split to learn from.  [train]")]
Select = Annotated[str | None, typer.Option(help="The split to choose by, or last:N training posts.  [valid]")]
ConfigFile = Annotated[Path | None, typer.Option(help="A YAML file of configuration fields.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE over the file; several.")]


@app.command(
    short_help="Train every point of a grid; rank them by validation.",
    help="""\b
  python -m model sweep --dataset data/tw --grid 'heads=2,4 text_layers=1,2,4' --out runs/heads

Train every point of a grid over configuration fields and rank them by F1@1 of the selection posts; test is not read.
Stopped, the same command goes on. The table is also in sweep.json and sweep.csv.
""",
)
def sweep(
    dataset: DatasetFolder,
    grid: Annotated[str, typer.Option(help="FIELD=VALUE,VALUE,... for several fields, parted by spaces.")],
    out: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("runs/sweep"),
    system: Annotated[str, typer.Option(help="By name.")] = FULL,
    train_split: TrainSplit = None,
    select: Select = None,
    config: ConfigFile = None,
    set_: Sets = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a grid."""
    fields = {"system": system, "train_split": train_split, "select": select, "epochs": epochs}
    configs = configs_of(grid, out, config, set_ or (), **fields)
    rows = train_grid(configs, out, Dataset(dataset), show_progress)
    width = max(len(row["point"]) for row in rows)
    head = f"{f'validation ({DEFINITION})':{width}}" + "".join(f"{name:>9}" for name in SCORES)
    lines = [f"{row['point']:{width}}" + "".join(f"{row[name]:9.4f}" for name in SCORES) for row in rows]
    say(rows, as_json, "\n".join([head, *lines]))


@app.command(
    short_help="A table or figure of the paper, our figures beside the published ones.",
    help="""\b
  python -m model reproduce table1 --dataset data/cmkp
  python -m model reproduce table2 --dataset data/cmkp --train-split valid --select last:537 --seed 23 24 25
  python -m model reproduce fig5 --dataset data/tw --out runs/paper

Train what a table or figure needs and print it in the paper's layout: mean and deviation over the seeds, in percent,
beside the published figure where there is one. Runs lie in --out and are shared by all tables; stopped, the same
command goes on. Systems whose features the dataset lacks are left out with the reason.

\b
  table1  the dataset          table3  the full model without its parts   fig5  by keyphrase frequency and length
  table2  every system         table4  pictures with words                fig6  attention of one post
""",
)
def reproduce(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="One of the six above.")],
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("runs/paper"),
    seed: Annotated[list[int] | None, typer.Option(help="One run each.  [23]")] = None,
    post: Annotated[str | None, typer.Option(help="For fig6: the post's id.  [the first of test]")] = None,
    train_split: TrainSplit = None,
    select: Select = None,
    config: ConfigFile = None,
    set_: Sets = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Reproduce a table or figure."""
    if what not in EXPERIMENTS:
        raise unknown_name("table or figure", what, EXPERIMENTS)
    fields = {"train_split": train_split, "select": select, "epochs": epochs}
    setting = Setting(Dataset(dataset), out, seed or [23], config, set_ or (), fields, show_progress)
    told, text = EXPERIMENTS[what](setting, post)
    say({"what": what, "definition": DEFINITION, "seeds": list(setting.seeds), **told}, as_json, text)


Told = tuple[dict[str, Any], str]


def _table1(setting: Setting, post: str | None) -> Told:
    rows = table1(setting.dataset)
    splits = list(rows[0]["ours"])
    head = f"{'':14}" + "".join(f"{split:>12}{'paper':>10}" for split in splits)
    lines = [
        f"{row['label']:14}"
        + "".join(f"{row['ours'][s]:12,.6g}{_published(row['published'].get(s), ',.6g'):>10}" for s in splits)
        for row in rows
    ]
    return {"rows": rows}, "\n".join([head, *lines])


def _published(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)


def _systems(rows: Sequence[Any]) -> Callable[[Setting, str | None], Told]:
    def made(setting: Setting, post: str | None) -> Told:
        told = table(rows, setting)
        head = f"{'':18}" + "".join(f"{name:>16}{'paper':>8}" for name in SCORES)
        return {"rows": told}, "\n".join([head, *map(_line, told)])

    return made


def _line(row: dict[str, Any]) -> str:
    if "left_out" in row:
        return f"{row['label']:18}  left out: {row['left_out']}"
    return f"{row['label']:18}" + "".join(
        f"{_spread(row['ours'][name]):>16}{_published(row['published'][name], '.2f'):>8}" for name in SCORES
    )


def _spread(value: tuple[float, float]) -> str:
    return f"{value[0]:.2f} ± {value[1]:.2f}"


def _table4(setting: Setting, post: str | None) -> Told:
    told = parts_table(TABLE_4, ["picture"], setting)
    lines = [f"{'':18}" + "".join(f"{part:>30}" for part in PARTS_4) + f"   ({SCORES[0]})"]
    for row in told:
        if "left_out" in row:
            lines.append(_line(row))
            continue
        found = [row["parts"].get(f"picture: {part}") for part in PARTS_4]
        cells = [f"{_spread(one[SCORES[0]])} ({one['posts']:,})" if one else "-" for one in found]
        lines.append(f"{row['label']:18}" + "".join(f"{cell:>30}" for cell in cells))
    return {"rows": told}, "\n".join(lines)


def _figure5(setting: Setting, post: str | None) -> Told:
    told = parts_table(FIGURE_5, ["frequency", "length"], setting)
    rows = [row for row in told if "parts" in row]
    panels: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        for name, values in row["parts"].items():
            group, part = name.split(": ")
            panels.setdefault(group, {}).setdefault(row["label"], {})[part] = values[SCORES[0]][0]
    if not panels:
        raise UsageError(f"{setting.dataset.folder}: no post to draw.")
    file = setting.out / "fig5.png"
    bars(file, panels, f"{SCORES[0]} ({DEFINITION}), percent")
    return {"rows": told, "file": str(file)}, f"wrote {file}"


def _figure6(setting: Setting, post: str | None) -> Told:
    runs = runs_of(FIGURE_6[0], setting)
    if isinstance(runs, str):
        raise UsageError(runs)
    run = open_run(runs[0])
    chosen = post or run.reader(setting.dataset).split("test").ids[0]
    told = attend_post(run, setting.dataset, chosen, setting.out / "fig6")
    return told, f"wrote {told['out']}: {', '.join(told['pairs'])}"


EXPERIMENTS: dict[str, Callable[[Setting, str | None], Told]] = {
    "table1": _table1,
    "table2": _systems(TABLE_2),
    "table3": _systems(TABLE_3),
    "table4": _table4,
    "fig5": _figure5,
    "fig6": _figure6,
}


@app.command(
    short_help="Attention heatmaps of one post.",
    help="""\b
  python -m model attend runs/full --post 1084067481769032701 --out attention

What the full model looks at in one post: a PNG for each direction (vision to text, attributes to text, text to vision,
text to attributes) with every layer and head, and attention.json with the numbers.
""",
)
def attend(
    run: RunFolder,
    post: Annotated[str, typer.Option(help="The post's id.")],
    out: Annotated[Path | None, typer.Option(help="Where the files go.  [RUN/attention/POST]")] = None,
    dataset: Annotated[Path | None, typer.Option(help="Default: the one it was trained on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw attention."""
    trained = open_run(run)
    told = attend_post(trained, Dataset(dataset or trained.facts.dataset), post, out or run / "attention" / post)
    say(told, as_json, f"wrote {told['out']}: {', '.join(told['pairs'])}")
