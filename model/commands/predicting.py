"""`predict`."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from model.api import Keyphrase, load
from model.commands.options import AsJson, RunFolder
from model.data import Posts
from model.lines import join_phrases, write_lines
from model.predictions import records_of, write_records
from schemas.console import say
from schemas.dataset import Dataset
from schemas.errors import UsageError

logger = logging.getLogger(__name__)
app = typer.Typer()


@app.command(
    short_help="Keyphrases of a dataset's posts, or of texts.",
    help="""\b
  python -m model predict runs/full --dataset data/tw --out found.jsonl
  python -m model predict runs/full --dataset data/tw --show 5
  python -m model predict runs/full --text 'so excited to see these two tomorrow' --ocr 'kids choice awards'

Keyphrases, best first: one post a line in source order, phrases joined by `;`. With --scores, --json and in a .jsonl
file also their probabilities and their origin: generated, text or ocr (copied from there), or classifier.

A --text is only lower-cased and cut into words by a small regular expression (the dataset's texts went through
ekphrasis), trailing hashtags are removed, and it has no image: --ocr gives the words on it.
""",
)
def predict(
    run: RunFolder,
    dataset: Annotated[Path | None, typer.Option(help="A finished dataset folder.")] = None,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    out: Annotated[Path | None, typer.Option(help="Write to this file, .txt or .jsonl, instead of stdout.")] = None,
    show: Annotated[int, typer.Option(help="Print so many posts with text, gold and predicted phrases instead.")] = 0,
    text: Annotated[list[str] | None, typer.Option(help="A raw post; several.")] = None,
    ocr: Annotated[str, typer.Option(help="With one --text: words read on its image.")] = "",
    scores: Annotated[bool, typer.Option("--scores", help="Probability and origin behind each phrase.")] = False,
    as_json: AsJson = False,
) -> None:
    """Predict keyphrases."""
    if (text is None) == (dataset is None):
        raise UsageError("predict: give either --dataset or --text.")
    model = load(run)
    if dataset is None:
        posts = model.posts(text or [], [ocr] if ocr else None)
        for tokens in posts.tokens:
            logger.info(f"read as: {' '.join(tokens)}")
    else:
        posts = model.run.reader(Dataset(dataset)).split(split)
    ranked = model.predict_posts(posts)
    phrases = [[_told(one, scores) for one in post] for post in ranked]
    lines = [join_phrases(post) for post in phrases]
    if out and out.suffix == ".jsonl":
        write_records(out, records_of(posts, ranked))
    elif out:
        write_lines(out, lines)
    found = {"out": str(out)} if out else {"predictions": [[asdict(one) for one in post] for post in ranked]}
    shown = "\n\n".join(_example(posts, phrases, i) for i in range(min(show, len(posts))))
    text_out = f"wrote {len(lines):,} lines to {out}" if out else "\n".join(lines)
    say({"run": str(run), "posts": len(posts), **found}, as_json, shown if show else text_out)


def _told(one: Keyphrase, scores: bool) -> str:
    return f"{one.phrase} ({one.score:.3f} {one.origin})" if scores else one.phrase


def _example(posts: Posts, phrases: Sequence[Sequence[str]], i: int) -> str:
    return (
        f"{posts.ids[i]}: {' '.join(posts.tokens[i])}\n"
        f"  gold:      {'; '.join(posts.keyphrases[i])}\n"
        f"  predicted: {'; '.join(phrases[i])}"
    )
