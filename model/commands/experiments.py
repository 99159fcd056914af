"""`sweep`, `reproduce` and `attend`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.model.commands.options import AsJson, RunFolder
from m3h.model.commands.training import show_progress
from m3h.model.scoring.definitions import DEFINITION
from m3h.model.study.published import FIGURE_5, FIGURE_6, FULL, SCORES, TABLE_2, TABLE_3, TABLE_4, TABLE_4_SUBSETS, Row
from m3h.schemas.console import say
from m3h.schemas.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from m3h.model.study.reproduce import Setting


app = typer.Typer()
DatasetFolder = Annotated[Path, typer.Option(help="A finished dataset folder.")]
TrainSplit = Annotated[str | None, typer.Option(help="The split to learn from.  [train]")]
Select = Annotated[str | None, typer.Option(help="The split to choose by, or last:N training posts.  [valid]")]
ConfigFile = Annotated[Path | None, typer.Option(help="A YAML file of configuration fields.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE over the file; several.")]


@app.command(
    short_help="Train every point of a grid; rank them by validation.",
    help="""\b
  m3h sweep --dataset data/tw --grid 'heads=2,4 text_layers=1,2,4' --out runs/heads

Trains every point of a grid over configuration fields and ranks them by F1@1 of the selection posts. Test is not read.
The same command resumes a stopped sweep. The table is also in sweep.json and sweep.csv.
""",
)
def sweep(
    dataset: DatasetFolder,
    grid: Annotated[str, typer.Option(help="FIELD=VALUE,VALUE,... for each field, separated by spaces.")],
    out: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("runs/sweep"),
    *,
    system: Annotated[str, typer.Option(help="By name.")] = FULL,
    train_split: TrainSplit = None,
    select: Select = None,
    config: ConfigFile = None,
    set_: Sets = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a grid.

    Args:
        dataset: a finished dataset.
        grid: fields and their values.
        out: the folder of all runs.
        system: by name.
        train_split: the split to learn from.
        select: the split to choose the epoch by.
        config: a YAML file.
        set_: fields over the file.
        epochs: at most this many.
        as_json: print JSON.
    """
    from m3h.model.runs.sweep import grid_configs
    from m3h.model.runs.sweep import sweep as train_grid
    from m3h.schemas.dataset import Dataset

    fields = {"system": system, "train_split": train_split, "select": select, "epochs": epochs}
    configs = grid_configs(grid, out, config, sets=set_ or (), **fields)
    rows = train_grid(configs, Dataset(dataset), out, progress=show_progress)
    width = max(len(row["point"]) for row in rows)
    head = f"{f'validation ({DEFINITION})':{width}}" + "".join(f"{name:>9}" for name in SCORES)
    lines = [f"{row['point']:{width}}" + "".join(f"{row[name]:9.4f}" for name in SCORES) for row in rows]
    say(rows, as_json, "\n".join([head, *lines]))


@app.command(
    short_help="A table or figure of the paper, with our figures.",
    help="""\b
  m3h reproduce table1 --dataset data/cmkp
  m3h reproduce table2 --dataset data/cmkp --train-split valid --select last:537 --seed 23 24 25
  m3h reproduce fig5 --dataset data/tw --out runs/paper

Trains what a table or figure needs and prints it in the paper's layout: mean and deviation over the seeds, in percent,
beside the published score where there is one. All tables share the runs in --out, and the same command resumes a
stopped one. Systems whose features the dataset lacks are left out with the reason.

\b
  table1  the dataset          table3  the full model without its parts   fig5  by keyphrase frequency and length
  table2  every system         table4  pictures with words                fig6  attention of one post
""",
)
def reproduce(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="One of the six above.")],
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(help="Where the runs go.")] = Path("runs/paper"),
    *,
    seed: Annotated[list[int] | None, typer.Option(help="One run for each.  [23]")] = None,
    post: Annotated[str | None, typer.Option(help="For fig6: the post's id.  [the first of test]")] = None,
    train_split: TrainSplit = None,
    select: Select = None,
    config: ConfigFile = None,
    set_: Sets = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many.")] = None,
    as_json: AsJson = False,
) -> None:
    """Reproduce a table or figure.

    Raises UsageError: there is no such table or figure.

    Args:
        what: its name.
        dataset: a finished dataset.
        out: the folder of all runs.
        seed: one run for each.
        post: for fig6.
        train_split: the split to learn from.
        select: the split to choose the epoch by.
        config: a YAML file.
        set_: fields over the file.
        epochs: at most this many.
        as_json: print JSON.
    """
    from m3h.model.study.reproduce import Setting
    from m3h.schemas.dataset import Dataset

    if what not in EXPERIMENTS:
        raise unknown_name("table or figure", what, EXPERIMENTS)
    fields = {"train_split": train_split, "select": select, "epochs": epochs}
    setting = Setting(Dataset(dataset), out, seed or [23], config, set_ or (), fields, show_progress)
    report, text = EXPERIMENTS[what](setting, post)
    say({"what": what, "definition": DEFINITION, "seeds": list(setting.seeds), **report}, as_json, text)


Report = tuple[dict[str, Any], str]
"""What is printed, as JSON and as text."""


def _table1(setting: "Setting", post: str | None) -> Report:
    from m3h.model.study.reproduce import table1

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


def _systems(rows: Sequence[Row]) -> "Callable[[Setting, str | None], Report]":
    def report(setting: "Setting", post: str | None) -> Report:
        from m3h.model.study.reproduce import score_table

        scored = score_table(rows, setting)
        head = f"{'':18}" + "".join(f"{name:>16}{'paper':>8}" for name in SCORES)
        return {"rows": scored}, "\n".join([head, *map(_line, scored)])

    return report


def _line(row: dict[str, Any]) -> str:
    if "left_out" in row:
        return f"{row['label']:18}  left out: {row['left_out']}"
    return f"{row['label']:18}" + "".join(
        f"{_mean_sd_text(row['ours'][name]):>16}{_published(row['published'][name], '.2f'):>8}" for name in SCORES
    )


def _mean_sd_text(value: tuple[float, float]) -> str:
    return f"{value[0]:.2f} ± {value[1]:.2f}"


def _table4(setting: "Setting", post: str | None) -> Report:
    from m3h.model.study.reproduce import subset_table

    rows = subset_table(TABLE_4, ["picture"], setting)
    lines = [f"{'':18}" + "".join(f"{name:>30}" for name in TABLE_4_SUBSETS) + f"   ({SCORES[0]})"]
    for row in rows:
        if "left_out" in row:
            lines.append(_line(row))
            continue
        subsets = [row["subsets"].get(f"picture: {name}") for name in TABLE_4_SUBSETS]
        cells = [f"{_mean_sd_text(s[SCORES[0]])} ({s['posts']:,})" if s else "-" for s in subsets]
        lines.append(f"{row['label']:18}" + "".join(f"{cell:>30}" for cell in cells))
    return {"rows": rows}, "\n".join(lines)


def _figure5(setting: "Setting", post: str | None) -> Report:
    from m3h.model.study.figures import bars
    from m3h.model.study.reproduce import subset_table

    rows = subset_table(FIGURE_5, ["frequency", "length"], setting)
    panels: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        for name, values in row.get("subsets", {}).items():
            group, subset = name.split(": ")
            panels.setdefault(group, {}).setdefault(row["label"], {})[subset] = values[SCORES[0]][0]
    if not panels:
        raise UsageError(f"{setting.dataset.folder}: no post to draw.")
    file = setting.out / "fig5.png"
    bars(file, panels, f"{SCORES[0]} ({DEFINITION}), percent")
    return {"rows": rows, "file": str(file)}, f"wrote {file}"


def _figure6(setting: "Setting", post: str | None) -> Report:
    from m3h.model.runs.evaluate import open_run
    from m3h.model.study.attention_page import draw_attention
    from m3h.model.study.reproduce import trained_runs

    runs = trained_runs(FIGURE_6[0], setting)
    if isinstance(runs, str):
        raise UsageError(runs)
    run = open_run(runs[0])
    chosen = post or run.reader(setting.dataset).split("test").ids[0]
    drawn = draw_attention(run, setting.dataset, chosen, out=setting.out / "fig6")
    return drawn, f"wrote {drawn['out']}: {', '.join(drawn['pairs'])}"


EXPERIMENTS: "dict[str, Callable[[Setting, str | None], Report]]" = {
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
  m3h attend runs/full --post 1084067481769032701 --out attention

Draws the attention weights of the full model in one post: a PNG for each direction (vision to text, attributes to text,
text to vision, text to attributes) with every layer and head, and attention.json with the numbers.
""",
)
def attend(
    run: RunFolder,
    post: Annotated[str, typer.Option(help="The post's id.")],
    out: Annotated[Path | None, typer.Option(help="Where the files go.  [RUN/attention/POST]")] = None,
    *,
    dataset: Annotated[Path | None, typer.Option(help="Default: the one it was trained on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw attention.

    Args:
        run: folder of a finished run.
        post: its id.
        out: where the files go.
        dataset: None for the one the run was trained on.
        as_json: print JSON.
    """
    from m3h.model.runs.evaluate import open_run
    from m3h.model.study.attention_page import draw_attention
    from m3h.schemas.dataset import Dataset

    trained = open_run(run)
    posts = Dataset(dataset or trained.metadata.dataset)
    drawn = draw_attention(trained, posts, post, out=out or run / "attention" / post)
    say(drawn, as_json, f"wrote {drawn['out']}: {', '.join(drawn['pairs'])}")
