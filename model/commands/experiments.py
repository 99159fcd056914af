"""`sweep`, `reproduce` and `attend`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.model.commands.figures import FIGURES, Asked, Report
from m3h.model.commands.options import AsJson, DatasetFolder, RunFolder
from m3h.model.commands.progress import show_progress
from m3h.model.scoring.definitions import DEFINITION
from m3h.model.study.published import FULL, SCORES, TABLE_2, TABLE_3, TABLE_4, TABLE_4_SUBSETS, Row
from m3h.schemas.console import say, writable_folder
from m3h.schemas.errors import unknown_name

if TYPE_CHECKING:
    from m3h.model.study.reproduce import Setting


app = typer.Typer()
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
    out: Annotated[Path, typer.Option(callback=writable_folder, help="Where the runs go.")] = Path("runs/sweep"),
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
  table1  the dataset                table2  every system
  table3  the full model in parts    table4  pictures with words
  fig4    types of pictures          fig5    by frequency and by length
  fig6    attention of a post        fig7    predictions of several systems
  fig8    attention of some posts    fig9    relations of text and picture

fig4 needs the feature `backbone`, or --labels, a CSV file with the columns image_sha256 and type, for any --feature.
fig9 writes a sheet, as a page and as CSV. Given the filled-in sheet as --labels, it draws the scores.
""",
)
def reproduce(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="One of the ten below.")],
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(callback=writable_folder, help="Where the runs go.")] = Path("runs/paper"),
    *,
    seed: Annotated[list[int] | None, typer.Option(help="One run for each.  [23]")] = None,
    post: Annotated[
        list[str] | None, typer.Option(help="For fig6 to fig8: ids of posts.  [chosen by the scores]")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="For fig4 and fig9: what was labelled by hand.")] = None,
    feature: Annotated[str, typer.Option(help="For fig4: an image feature.")] = "backbone",
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
        post: for fig6 to fig8.
        labels: for fig4 and fig9.
        feature: for fig4.
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
    report, text = EXPERIMENTS[what](setting, Asked(post or (), labels, feature))
    say({"what": what, "definition": DEFINITION, "seeds": list(setting.seeds), **report}, as_json, text)


def _table1(setting: "Setting", asked: Asked) -> Report:
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


def _systems(rows: Sequence[Row]) -> "Callable[[Setting, Asked], Report]":
    def report(setting: "Setting", asked: Asked) -> Report:
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


def _table4(setting: "Setting", asked: Asked) -> Report:
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


EXPERIMENTS: "dict[str, Callable[[Setting, Asked], Report]]" = {
    "table1": _table1,
    "table2": _systems(TABLE_2),
    "table3": _systems(TABLE_3),
    "table4": _table4,
    **FIGURES,
}


@app.command(
    short_help="What a model looks at in a post, as a page.",
    help="""\b
  m3h attend runs/full --post 1084067481769032701 --out attention

Draws what M3H-Att looks at in one post, as in Figures 6 and 8: `attention.html`, which opens from disk. Weights on a
picture lie over the picture, as a grid or in the detector's boxes; weights on words and attributes are shaded words;
each for every head and as a mean. For each predicted keyphrase it has the share of vocabulary, pointer and classifier
at every decoding step. Beside it are PNG files, and attention.json with the numbers. Several posts have a folder each.
""",
)
def attend(
    run: RunFolder,
    post: Annotated[list[str], typer.Option(help="The post's id; several are allowed.")],
    out: Annotated[
        Path | None, typer.Option(callback=writable_folder, help="Where the files go.  [RUN/attention/POST]")
    ] = None,
    *,
    dataset: Annotated[Path | None, typer.Option(help="Default: the one it was trained on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw attention.

    Args:
        run: folder of a finished run.
        post: ids of posts.
        out: where the files go.
        dataset: None for the one the run was trained on.
        as_json: print JSON.
    """
    from m3h.model.runs.evaluate import open_run
    from m3h.model.runs.run import dataset_for
    from m3h.model.study.attention_page import draw_attentions
    from m3h.model.study.pages import file_name

    trained = open_run(run)
    posts = dataset_for(run, trained.metadata, dataset)
    folders = {one: (out or run / "attention") / file_name(one) for one in post}
    if out and len(folders) == 1:
        folders = dict.fromkeys(folders, out)
    drawn = draw_attentions(trained, posts, folders, progress=show_progress)
    say(drawn if len(drawn) > 1 else drawn[0], as_json, "\n".join(f"wrote {one['page']}" for one in drawn))
