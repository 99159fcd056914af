"""`evaluate` and `score`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from model.commands.options import AsJson, Definition, RunFolder, known_definition, scores_text
from model.evaluate import DEFINITION, evaluate_run
from model.metrics import Scores
from model.predictions import score_files
from schemas.console import say

app = typer.Typer()


@app.command(
    short_help="Score a finished run.",
    help="""\b
  python -m model evaluate runs/full
  python -m model evaluate runs/full --split valid --definition per-post
  python -m model evaluate runs/full --against runs/copy
  python -m model evaluate runs/full --set ranking=probabilities beam=20

Score a finished run on a split of its own dataset, or of another one: all posts, present and absent keyphrases, and
parts of the split (how often the keyphrase was seen in training, length of the text, words in the picture). With
--against also another run on the same posts: the difference with the 95% interval of a bootstrap, and p of a paired
t-test. Predictions that lie in the run's folder are used; --set changes how the run searches, and makes them anew.
""",
)
def evaluate(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    dataset: Annotated[Path | None, typer.Option(help="Default: the one it was trained on.")] = None,
    definition: Definition = DEFINITION,
    against: Annotated[Path | None, typer.Option(help="Another finished run, to compare with.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE of the search; several.")] = None,
    as_json: AsJson = False,
) -> None:
    """Score a finished run."""
    scores = evaluate_run(run, dataset, split, known_definition(definition), against, set_ or ())
    lines = [scores_text(scores, split, definition), "", *parts_lines(scores)]
    say(scores, as_json, "\n".join([*lines, *(["", *comparison_lines(scores)] if against else [])]))


COLUMNS = (("f1@1", "F1@1"), ("f1@3", "F1@3"), ("f1@5", "F1@5"), ("map@5", "MAP@5"), ("ndcg@5", "NDCG@5"))


def parts_lines(told: dict[str, Any]) -> list[str]:
    """A table: one row for all posts, present, absent, and each part of the split."""
    rows: list[tuple[str, Any]] = [(part, told[part]) for part in ("all", "present", "absent")]
    for group, parts in told["parts"].items():
        rows += [(f"{group}: {part}", values) for part, values in parts.items()]
    head = f"{'':36}{'posts':>8}" + "".join(f"{nice:>8}" for _, nice in COLUMNS)
    return [head, *(_row(name, values, told["posts"]) for name, values in rows)]


def _row(name: str, values: Scores, posts: int) -> str:
    count = f"{values.get('posts', posts):,.0f}" if name not in ("present", "absent") else ""
    return f"{name:36}{count:>8}" + "".join(f"{values[score]:8.4f}" for score, _ in COLUMNS)


def comparison_lines(told: dict[str, Any]) -> list[str]:
    """One line a score."""
    lines = [f"against {told['against']}:"]
    for name, nice in COLUMNS:
        c = told["comparison"][name]
        interval = f"[{c['low']:+.4f}, {c['high']:+.4f}] p {c['p_bootstrap']:.4f}"
        t = "-" if c["t"] is None else f"{c['t']:.2f}"
        lines.append(f"  {nice:7} {c['difference']:+.4f}  bootstrap {interval}; t {t} p {c['p']:.2g}")
    return lines


@app.command(
    short_help="Score anyone's predictions.",
    help="""\b
  python -m model score --predictions found.txt --targets wanted.txt
  python -m model score --predictions found.txt --targets wanted.txt --sources texts.txt --definition per-post --json
  python -m model score --predictions found.jsonl

Score anyone's predictions. All files have one post a line; a line ends at a line feed and nothing else. Phrases are
joined by `;`, the words of a source by spaces. With --sources also over present and absent keyphrases. A .jsonl file
has all of it in one object a post: {"tokens": [...], "keyphrases": [...], "predictions": [{"phrase": "..."}, ...]}.
""",
)
def score(
    predictions: Annotated[Path, typer.Option(help="Predicted phrases, best first.")],
    targets: Annotated[Path | None, typer.Option(help="Gold phrases; needed but for .jsonl.")] = None,
    sources: Annotated[Path | None, typer.Option(help="The posts' tokens.")] = None,
    definition: Definition = DEFINITION,
    as_json: AsJson = False,
) -> None:
    """Score anyone's predictions."""
    posts, scores = score_files(predictions, targets, sources, known_definition(definition))
    summary = {"posts": posts, "definition": definition, **scores}
    text = "\n".join(_table_row(part, values) for part, values in scores.items())
    say(summary, as_json, f"{posts:,} posts, definition {definition}\n{text}")


def _table_row(part: str, scores: Scores) -> str:
    return f"{part:8}" + "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
