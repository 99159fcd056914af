"""`python -m model`: train, evaluate, predict, score, systems."""

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from model.assemble import PAPER_SIZES, count_parameters
from model.config import resolve_config
from model.data import Posts
from model.experiment import DEFINITION, evaluate_run, open_run, summary_of_seeds, train_seeds
from model.infer import predict as predict_posts
from model.lines import join_phrases, score_files, write_lines
from model.metrics import DEFINITIONS, Scores
from model.run import Run
from model.systems import SYSTEMS
from model.tokens import tokenise
from schemas.console import run as run_app
from schemas.console import say
from schemas.dataset import Dataset
from schemas.errors import UsageError, unknown_name

logger = logging.getLogger(__name__)
app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as one line of JSON.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]
Definition = Annotated[str, typer.Option(help=f"Of the scores: {', '.join(DEFINITIONS)}.")]

HEAD = """\b
  python -m model train --dataset data/tw --system gen-cls-m3h --out runs/full
  python -m model evaluate runs/full
  python -m model predict runs/full --text 'so excited to see these two tomorrow'
  python -m model score --predictions found.txt --targets wanted.txt

Trains and uses the systems of the paper from a finished dataset folder.
"""


def main(argv: Sequence[str]) -> int:
    """Run the command line; the exit code."""
    return run_app(app, argv, many={"--seed", "--set"})


@app.callback(help=HEAD)
def _root() -> None:
    pass


@app.command(
    short_help="Train a system and score it.",
    help="""\b
  python -m model train --dataset data/tw --system gen-cls-m3h
  python -m model train --dataset data/tw --system gen-copy --seed 1 2 3 --out runs/copy
  python -m model train --dataset data/cmkp --system gen-cls-m3h --train-split valid --select last:537
  python -m model train --dataset data/tw --system gen-cls-m3h --set drop_inputs=[vision] dropout=0.2

Train a system; choose the epoch on validation; score test once, at the end.
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
    if int(os.environ.get("RANK", "0")):
        return  # of several processes the first one talks
    texts = [train_text(one) for one in runs]
    if len(runs) == 1:
        say(runs[0], as_json, texts[0])
        return
    summary = summary_of_seeds(out, runs)
    told = ", ".join(f"{nice} {summary['mean'][n]:.4f} ± {summary['sd'][n]:.4f}" for n, nice in SHOWN)
    say(summary, as_json, "\n".join([*texts, f"{summary['split']} over {len(runs)} seeds ({DEFINITION}): {told}"]))


SHOWN = (("f1@1", "F1@1"), ("f1@3", "F1@3"), ("map@5", "MAP@5"))


def show_progress(batches: list[np.ndarray], title: str) -> Iterable[np.ndarray]:
    """A bar on stderr where that is a terminal."""
    console = Console(stderr=True)
    return track(batches, title, console=console, transient=True) if console.is_terminal else batches


def train_text(summary: dict[str, Any]) -> str:
    """For people: where the run is, and its scores."""
    lines = [f"{summary['system']} seed {summary['seed']}: best epoch {summary['best_epoch']}, in {summary['run']}"]
    lines += [scores_text(summary[part], part, DEFINITION) for part in ("select", "test") if part in summary]
    return "\n".join(lines)


def scores_text(scores: dict[str, Any], title: str, definition: str) -> str:
    """One line: F1@1, F1@3, MAP@5 of all posts, and F1@1 of present and absent keyphrases."""
    whole: Scores = scores["all"]
    told = ", ".join(f"{nice} {whole[name]:.4f}" for name, nice in SHOWN)
    parts = ", ".join(f"{part} F1@1 {scores[part]['f1@1']:.4f}" for part in ("present", "absent") if part in scores)
    return f"{title} ({definition}, {scores['posts']:,} posts): {told}{'; ' if parts else ''}{parts}"


@app.command(
    short_help="Score a finished run.",
    help="""\b
  python -m model evaluate runs/full
  python -m model evaluate runs/full --split valid --definition per-post

Score a finished run on a split of its own dataset, or of another one.
""",
)
def evaluate(
    run: RunFolder,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    dataset: Annotated[Path | None, typer.Option(help="Default: the one it was trained on.")] = None,
    definition: Definition = DEFINITION,
    as_json: AsJson = False,
) -> None:
    """Score a finished run."""
    _known(definition)
    scores = evaluate_run(run, dataset, split, definition)
    say(scores, as_json, scores_text(scores, split, definition))


@app.command(
    short_help="Keyphrases of a dataset's posts, or of a text.",
    help="""\b
  python -m model predict runs/full --dataset data/tw --out found.txt
  python -m model predict runs/full --dataset data/tw --show 5
  python -m model predict runs/full --text 'so excited to see these two tomorrow' --ocr 'kids choice awards'

Keyphrases, best first: one post a line in source order, phrases joined by `;`. A --text is only lower-cased and cut
into words by a small regular expression (the dataset's texts went through ekphrasis), trailing hashtags are removed,
and it has no image: --ocr gives the words on it.
""",
)
def predict(
    run: RunFolder,
    dataset: Annotated[Path | None, typer.Option(help="A finished dataset folder.")] = None,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    out: Annotated[Path | None, typer.Option(help="Write the lines there instead of to stdout.")] = None,
    show: Annotated[int, typer.Option(help="Print so many posts with text, gold and predicted phrases instead.")] = 0,
    text: Annotated[str | None, typer.Option(help="One raw post.")] = None,
    ocr: Annotated[str, typer.Option(help="With --text: words read on its image.")] = "",
    as_json: AsJson = False,
) -> None:
    """Predict keyphrases."""
    if (text is None) == (dataset is None):
        raise UsageError("predict: give either --dataset or --text.")
    trained = open_run(run)
    posts = _one_post(trained, text, ocr) if dataset is None else trained.reader(Dataset(dataset)).split(split)
    predicted = predict_posts(trained.model, trained.encode(posts), trained.vocabularies, trained.config)
    lines = [join_phrases(phrases) for phrases in predicted]
    if out:
        write_lines(out, lines)
    summary = {"run": str(run), "posts": len(posts), **({"out": str(out)} if out else {"predictions": predicted})}
    if show:
        say(summary, as_json, "\n\n".join(_example(posts, predicted, i) for i in range(min(show, len(posts)))))
    else:
        say(summary, as_json, f"wrote {len(lines):,} lines to {out}" if out else "\n".join(lines))


def _one_post(run: Run, text: str | None, ocr: str) -> Posts:
    words = run.vocabularies.words
    tokens, reading = tokenise(text or "", words), tokenise(ocr, words)
    if not tokens:
        raise UsageError(f"--text {text!r}: no word left after cleaning.")
    logger.info(f"read as: {' '.join(tokens)}")
    return Posts(["text"], [tokens], [[]], [reading], [[]], [-1])


def _example(posts: Posts, predicted: list[list[str]], i: int) -> str:
    return (
        f"{posts.ids[i]}: {' '.join(posts.tokens[i])}\n"
        f"  gold:      {'; '.join(posts.keyphrases[i])}\n"
        f"  predicted: {'; '.join(predicted[i])}"
    )


@app.command(
    short_help="Score anyone's predictions.",
    help="""\b
  python -m model score --predictions found.txt --targets wanted.txt
  python -m model score --predictions found.txt --targets wanted.txt --sources texts.txt --definition per-post --json

Score anyone's predictions. All files have one post a line; a line ends at a line feed and nothing else. Phrases are
joined by `;`, the words of a source by spaces. With --sources also over present and absent keyphrases.
""",
)
def score(
    predictions: Annotated[Path, typer.Option(help="Predicted phrases, best first.")],
    targets: Annotated[Path, typer.Option(help="Gold phrases.")],
    sources: Annotated[Path | None, typer.Option(help="The posts' tokens.")] = None,
    definition: Definition = DEFINITION,
    as_json: AsJson = False,
) -> None:
    """Score anyone's predictions."""
    _known(definition)
    posts, scores = score_files(predictions, targets, sources, definition)
    summary = {"posts": posts, "definition": definition, **scores}
    text = "\n".join(_table_row(part, values) for part, values in scores.items())
    say(summary, as_json, f"{posts:,} posts, definition {definition}\n{text}")


def _known(definition: str) -> None:
    if definition not in DEFINITIONS:
        raise unknown_name("definition", definition, DEFINITIONS)


def _table_row(part: str, scores: Scores) -> str:
    return f"{part:8}" + "  ".join(f"{name} {value:.4f}" for name, value in scores.items())


@app.command(
    short_help="Every system, by name.",
    help="""\b
  python -m model systems
  python -m model systems --json --vocab 45006 --labels 4262

Every system, its row in the paper's Table 2, what it reads, and how many numbers it trains: with the paper's
vocabularies, or those given. A system with a second phase may train fewer in it.
""",
)
def systems(
    vocab: Annotated[int, typer.Option(help="Words, specials included.", min=10)] = PAPER_SIZES.words,
    labels: Annotated[int, typer.Option(help="Labels, <unk> included.", min=2)] = PAPER_SIZES.labels,
    as_json: AsJson = False,
) -> None:
    """Every system."""
    sizes = replace(PAPER_SIZES, words=vocab, labels=labels)
    rows = []
    for system in SYSTEMS.values():
        parameters = count_parameters(system, sizes)
        row: dict[str, Any] = {"name": system.name, "paper_row": system.paper_row, "inputs": list(system.inputs)}
        row |= {"parameters": parameters.first, "second_phase_parameters": parameters.second}
        rows.append({**row, "description": system.description})
    lines = [f"{r['name']:22} {r['paper_row']:17} {r['parameters']:>12,}  {', '.join(r['inputs'])}" for r in rows]
    say(rows, as_json, "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
