"""`report` and `why` of runs. Programs for datasets have commands of these names too, and `m3h` chooses."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from m3h.model.commands.options import AsJson, Definition, RunFolder, check_definition
from m3h.model.commands.progress import show_progress
from m3h.model.runs.finished import require_finished
from m3h.model.scoring.definitions import DEFINITION
from m3h.schemas.console import say, writable_folder

app = typer.Typer()
Posts = Annotated[Path | None, typer.Option("--dataset", help="Default: the one that the runs were trained on.")]


def is_of_runs(words: Sequence[str]) -> bool:
    """Whether a command line of `report` is about runs: it names one, before or after its options, or no dataset."""
    before = ["", *words][: len(words)]
    values = [word.startswith("--") and "=" not in word and word != "--json" for word in before]
    named = any(not word.startswith("-") and not value for word, value in zip(words, values, strict=True))
    return named or not any(word.partition("=")[0] == "--dataset" for word in words)


def is_of_a_prediction(words: Sequence[str]) -> bool:
    """Whether a command line of `why` is about a prediction."""
    return any(word.partition("=")[0] == "--prediction" for word in words)


@app.command(
    short_help="A page of runs: scores, comparisons, every prediction.",
    help="""\b
  m3h report runs/full --out report
  m3h report runs/full/seed-* runs/copy/seed-* --out report

One folder with report.html, which opens from disk, offline: curves, scores with their deviation over seeds, present and
absent keyphrases, Figure 5, the groups of runs compared with the first one, what each input carries (of runs that
`m3h evaluate RUN --robustness` was called for), and each post with its predictions, where they come from, and what they
were made from. Runs that differ by their seed alone are one group.
""",
)
def report(
    runs: Annotated[list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of finished runs.")] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(callback=writable_folder, help="Folder of the report.  [RUN-report, beside the first one]"),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    dataset: Posts = None,
    definition: Definition = DEFINITION,
    class_names: Annotated[Path | None, typer.Option(help="Names of the detector's classes, one a line.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a report of runs.

    Args:
        runs: their folders.
        out: the report's folder.
        split: of the dataset.
        dataset: None for what the runs were trained on.
        definition: of the scores.
        class_names: names of a detector's classes.
        as_json: print JSON.
    """
    for folder in runs or ():
        require_finished(folder)
    from m3h.model.report.folder import Wanted
    from m3h.model.report.folder import report as write

    wanted = Wanted(split, check_definition(definition), dataset, class_names, os.cpu_count() or 1)
    made = write(runs or [], out, wanted, show_progress)
    text = (
        f"{_many(made.runs, 'run')} in {_many(made.groups, 'group')}, {made.posts:,} posts, "
        f"{made.pictures:,} pictures, {made.bytes / 1e6:,.1f} MB\nopen {made.page} in a browser"
    )
    say({**asdict(made), "page": str(made.page)}, as_json, text)


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


@app.command(
    short_help="What a prediction was made from.",
    help="""\b
  m3h why runs/full --prediction 1084067481769032701

Prints what a run predicted for a post, and what that was made from: the record in its dump, the bytes of its picture,
the versions of the features with their weights, and the weights of the run.
""",
)
def why(
    run: RunFolder,
    prediction: Annotated[str, typer.Option(help="The post's id.")],
    *,
    split: Annotated[str | None, typer.Option(help="Whose predictions to look in.  [the post's]")] = None,
    dataset: Posts = None,
    as_json: AsJson = False,
) -> None:
    """Print the lineage of a prediction.

    Args:
        run: its folder.
        prediction: id of the post.
        split: None for the post's.
        dataset: None for the one that the run was trained on.
        as_json: print JSON.
    """
    from m3h.model.report.lineage import prediction_lineage

    found = prediction_lineage(run, prediction, split, dataset)
    say(found, as_json, "\n".join([*_predicted(found), *_made_from(found)]))


def _predicted(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['post_id']} ({found['split']}): {found['text']}"
    for of in found["keyphrases"]:
        yield f"  keyphrase: {of['phrase']}, {'found at ' + str(of['rank']) if of['rank'] else 'missed'}"
    for i, one in enumerate(found["predictions"], 1):
        score = "" if one["score"] is None else f", {one['score']:.4f}"
        right = ", right" if one["right"] else ""
        yield f"  {i}. {one['phrase']}{score}, {one['attribution']}{right}"


def _made_from(found: dict[str, Any]) -> Iterator[str]:
    run, record = found["run"], found["record"]
    changed = "" if run["dataset_is_unchanged"] else " (the dataset has changed since)"
    yield f"  run: {run['folder']}, {run['system']}, seed {run['seed']}, epoch {run['best_epoch']}"
    yield f"  weights of the run: sha256 {run['weights_sha256']}"
    yield f"  trained on: {run['dataset']}, manifest {run['manifest']}{changed}"
    yield f"  record: {record['source']}, position {record['position']}"
    if record["dump_sha256"]:
        yield f"  dump: sha256 {record['dump_sha256']}"
    yield f"  picture: {', '.join(found['picture'].values())}"
    for row in found["features"]:
        yield f"  {_feature_line(row)}"


def _feature_line(row: dict[str, Any]) -> str:
    line = f"feature {row['feature']} {row['fingerprint']}"
    if not row["is_there"]:
        return f"{line}: no longer in the dataset"
    weights = f", {row['weights']}" if row["weights"] else ""
    random = " (random)" if row["random"] else ""
    return f"{line}{weights}{random}: {'row in ' + row['shard'] if row['shard'] else 'no row'}"
