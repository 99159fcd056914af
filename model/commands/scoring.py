"""`evaluate` and `score`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.model.commands.options import (
    AsJson,
    Definition,
    HowMany,
    MinScore,
    RunFolder,
    check_definition,
    scores_text,
)
from m3h.model.commands.progress import show_progress
from m3h.model.scoring.definitions import DEFINITION
from m3h.schemas.console import say
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    from m3h.model.scoring.metrics import Scores


app = typer.Typer()


@app.command(
    short_help="Score a finished run.",
    help="""\b
  m3h evaluate runs/full
  m3h evaluate runs/full --split valid --definition per-post
  m3h evaluate runs/full --against runs/copy
  m3h evaluate runs/full --without vision
  m3h evaluate runs/full --shuffle ocr --noise attributes
  m3h evaluate runs/full --robustness
  m3h evaluate runs/full --set ranking=interpolated beam=20
  m3h evaluate runs/full --how-many auto

Scores a finished run on a split of its own dataset, or of another one: all posts, present and absent keyphrases, and
subsets of the split (how often the keyphrase occurs in training, length of the text, words in the image). --against
compares it with another run on the same posts: the difference with the 95% interval of a bootstrap, and p of a paired
t-test, for all keyphrases, for present and for absent ones. Predictions in the folder of the run are used. --set
changes how the run searches, and predicts again.

So do --without, as if no post had that input, --shuffle, which gives a post that input of another one, and --noise.
--robustness does each of the three to each input, and keeps the scores in the run's folder for `m3h report`. An input
is named by itself (text, ocr, vision), by its feature, or by the modality of several (vision, attributes).

--how-many and --min-score choose phrases by their chances before they are scored, as `predict` does. F1@M is over all
phrases that a post was given, F1@O over as many as it has keyphrases.
""",
)
def evaluate(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    dataset: Annotated[Path | None, typer.Option(help="Default: the one it was trained on.")] = None,
    *,
    definition: Definition = DEFINITION,
    against: Annotated[Path | None, typer.Option(help="Another finished run, to compare with.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE of the search; several.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="An input not to show the run; several.")] = None,
    shuffle: Annotated[list[str] | None, typer.Option(help="An input to exchange among posts; several.")] = None,
    noise: Annotated[list[str] | None, typer.Option(help="An input to replace by noise; several.")] = None,
    robustness: Annotated[bool, typer.Option("--robustness", help="Each input in each of these ways.")] = False,
    how_many: HowMany = None,
    min_score: MinScore = None,
    as_json: AsJson = False,
) -> None:
    """Score a finished run.

    Raises UsageError: --robustness is given with what changes a run.

    Args:
        run: its folder.
        split: of the dataset.
        dataset: None for the one it was trained on.
        definition: of the scores.
        against: another run, or None.
        set_: changes of the search.
        without: inputs that the run is not shown.
        shuffle: inputs that come from another post.
        noise: inputs that are noise.
        robustness: score the run with each input altered.
        how_many: phrases of each post that count.
        min_score: the least chance of a phrase that counts.
        as_json: print JSON.
    """
    from m3h.model.runs.evaluate import Changes, evaluate_run
    from m3h.model.scoring.calibration import Choice

    choice = Choice.of(how_many, min_score)
    checked, ways = check_definition(definition), {"without": without, "shuffle": shuffle, "noise": noise}
    changes = Changes(set_ or (), {way: names for way, names in ways.items() if names})
    if choice and set_:
        raise UsageError("--how-many and --min-score: chances are those of the run's own search; leave --set out.")
    if robustness:
        if changes or against or choice:
            raise UsageError("--robustness: alters every input itself; leave --without, --shuffle, --noise, --set, "
                             "--against, --how-many and --min-score out.")  # fmt: skip
        _print_robustness(run, dataset, split, definition=checked, as_json=as_json)
        return
    scores = evaluate_run(
        *(run, dataset, split), definition=checked, against=against,
        changes=changes, choice=choice, progress=show_progress,
    )  # fmt: skip
    say(scores, as_json, "\n".join(_lines(scores, split)))


def _lines(scores: dict[str, Any], split: str) -> list[str]:
    first = [scores_text(scores, split, scores["definition"]), *chosen_lines(scores), *leak_free_lines(scores)]
    compared = ["", *comparison_lines(scores)] if "comparison" in scores else []
    return [*first, "", *subset_lines(scores), *compared]


def leak_free_lines(scores: dict[str, Any]) -> list[str]:
    """The line of the posts that share nothing with training; none where that is not known."""
    found = scores.get("leak_free")
    if found is None:
        return []
    title = f"sharing no text and no picture with training ({found['posts']:,} posts)"
    return [scores_text(found, title, "") if found["posts"] else title]


def chosen_lines(scores: dict[str, Any]) -> list[str]:
    """The line of what was chosen; none where all phrases count."""
    found = scores.get("chosen")
    if found is None:
        return []
    right = "" if found["right"] is None else f", {found['right']:.1%} of them right"
    whole = ", ".join(f"{label} {scores['all'][name]:.4f}" for name, label in (("f1@M", "F1@M"), ("f1@O", "F1@O")))
    return [f"chosen: {found['phrases']:,} phrases for {found['posts']:,} posts{right}; {whole}"]


def _print_robustness(run: Path, dataset: Path | None, split: str, *, definition: str, as_json: bool) -> None:
    from m3h.model.runs.robustness import robustness

    found = robustness(run, dataset, split, definition=definition, progress=show_progress)
    say(found, as_json, "\n".join([scores_text(found, split, definition), "", *robustness_lines(found)]))


def robustness_lines(found: dict[str, Any]) -> list[str]:
    """A table: one row an input and way, with the share of the plain F1@1 that is lost."""
    plain = found["all"]["f1@1"]
    width = 1 + max(len(row["input"]) for row in found["rows"])
    head = f"{'input':{width}}{'':8}" + "".join(f"{label:>7}" for _, label in COLUMNS) + f"{'of F1@1':>8}  p"
    return [head, *(f"{row['input']:{width}}{_robustness_cells(row, plain)}" for row in found["rows"])]


def _robustness_cells(row: dict[str, Any], plain: float) -> str:
    """Narrow, so that the row fits into a terminal of 80 columns."""
    cells = "".join(f"{row['all'][name]:7.4f}" for name, _ in COLUMNS)
    share = f"{row['difference'] / plain:+8.1%}" if plain else f"{'-':>8}"
    p = "-" if row["p"] is None else f"{row['p']:.2g}"
    return f"{row['way']:8}{cells}{share}  {p}"


COLUMNS = (("f1@1", "F1@1"), ("f1@3", "F1@3"), ("f1@5", "F1@5"), ("map@5", "MAP@5"), ("ndcg@5", "NDCG@5"))


def subset_lines(scores: dict[str, Any]) -> list[str]:
    """A table: one row each for all posts, present, absent, and every subset of the split."""
    rows: list[tuple[str, Any]] = [(part, scores[part]) for part in ("all", "present", "absent")]
    for group, subsets in scores["subsets"].items():
        rows += [(f"{group}: {name}", values) for name, values in subsets.items()]
    width = max(len(name) for name, _ in rows)
    head = f"{'':{width}}{'posts':>7}" + "".join(f"{label:>7}" for _, label in COLUMNS)
    return [head, *(f"{name:{width}}{_cells(name, values, scores['posts'])}" for name, values in rows)]


def _cells(name: str, values: "Scores", posts: int) -> str:
    """Narrow, so that the row fits into a terminal of 80 columns."""
    count = f"{values.get('posts', posts):,.0f}" if name not in ("present", "absent") else ""
    return f"{count:>7}" + "".join(f"{values[score]:7.4f}" for score, _ in COLUMNS)


def comparison_lines(scores: dict[str, Any]) -> list[str]:
    """One line for each score of all keyphrases, then of present ones, then of absent ones."""
    lines = [f"against {scores['against']}:"]
    comparison = scores["comparison"]
    for part, compared in (("", comparison), *((part, comparison.get(part, {})) for part in ("present", "absent"))):
        for name, label in ((name, label) for name, label in COLUMNS if name in compared):
            c = compared[name]
            interval = f"[{c['low']:+.4f}, {c['high']:+.4f}] p {c['p_bootstrap']:.4f}"
            t = "-" if c["t"] is None else f"{c['t']:.2f}"
            lines.append(f" {part:7} {label:6} {c['difference']:+.4f} bootstrap {interval}; t {t} p {c['p']:.2g}")
    return lines


@app.command(
    short_help="Score a file of predictions.",
    help="""\b
  m3h score --predictions found.txt --targets wanted.txt
  m3h score --predictions found.txt --targets wanted.txt --sources texts.txt --definition per-post --json
  m3h score --predictions found.jsonl

Scores the predictions of any system. All files have one post a line; only a line feed ends a line. Phrases are joined
by `;`, the words of a source by spaces. --sources adds scores of present and absent keyphrases. A .jsonl file has
everything in one object a post: {"tokens": [...], "keyphrases": [...], "predictions": [{"phrase": "..."}, ...]}.
""",
)
def score(
    predictions: Annotated[Path, typer.Option(help="Predicted phrases, best first.")],
    targets: Annotated[Path | None, typer.Option(help="Gold phrases; needed except for .jsonl.")] = None,
    sources: Annotated[Path | None, typer.Option(help="The tokens of the posts.")] = None,
    *,
    definition: Definition = DEFINITION,
    as_json: AsJson = False,
) -> None:
    """Score a file of predictions.

    Args:
        predictions: a .txt or .jsonl file.
        targets: gold phrases, for a .txt file.
        sources: tokens of the posts, or None.
        definition: of the scores.
        as_json: print JSON.
    """
    from m3h.model.scoring.predictions import score_files

    posts, scores = score_files(predictions, targets, sources, definition=check_definition(definition))
    summary = {"posts": posts, "definition": definition, **scores}
    text = "\n".join(_table_row(part, values) for part, values in scores.items())
    say(summary, as_json, f"{posts:,} posts, definition {definition}\n{text}")


def _table_row(part: str, scores: "Scores") -> str:
    return f"{part:8}" + "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
