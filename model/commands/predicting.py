"""`predict`."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3h.model.commands.options import AsJson, RunFolder
from m3h.model.commands.training import show_progress
from m3h.schemas.console import say
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    from m3h.model.data.posts import Posts
    from m3h.model.decoding.attribution import Keyphrase


logger = logging.getLogger(__name__)
app = typer.Typer()


@app.command(
    short_help="Keyphrases of a dataset's posts, or of texts.",
    help="""\b
  m3h predict runs/full --dataset data/tw --out found.jsonl
  m3h predict runs/full --dataset data/tw --show 5
  m3h predict runs/full --text 'so excited to see these two tomorrow' --ocr 'kids choice awards'

Prints keyphrases, best first: one post a line in source order, phrases joined by `;`. With --scores, with --json and in
a .jsonl file each phrase has its probability and its attribution: generated, text, alt or ocr (copied from there), or
classifier.

A --text is lower-cased and split into words by a small regular expression, and trailing hashtags are removed. The texts
of a dataset are prepared by ekphrasis instead. A --text has no image; --ocr gives the words on it, --alt what its
author says that it shows.
""",
)
def predict(
    run: RunFolder,
    dataset: Annotated[Path | None, typer.Option(help="A finished dataset folder.")] = None,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    *,
    out: Annotated[Path | None, typer.Option(help="Write to this file, .txt or .jsonl, instead of stdout.")] = None,
    show: Annotated[int, typer.Option(help="Print this many posts with text, gold and predicted phrases instead.")] = 0,
    text: Annotated[list[str] | None, typer.Option(help="A raw text; several are allowed.")] = None,
    ocr: Annotated[str, typer.Option(help="With one --text: the words on its image.")] = "",
    alt: Annotated[str, typer.Option(help="With one --text: what its image shows.")] = "",
    scores: Annotated[bool, typer.Option("--scores", help="Probability and attribution after each phrase.")] = False,
    as_json: AsJson = False,
) -> None:
    """Predict keyphrases.

    Args:
        run: folder of a finished run.
        dataset: a finished dataset; either this or `text`.
        split: of the dataset.
        out: a file for the phrases or records.
        show: how many posts to print as examples.
        text: raw texts.
        ocr: words on the image of the only text.
        alt: what the image of the only text shows.
        scores: print probability and attribution.
        as_json: print JSON.

    Raises:
        UsageError: not exactly one of `dataset` and `text` is given, or there is no finished run.
    """
    from m3h.model.api import load
    from m3h.model.scoring.predictions import make_records, write_records
    from m3h.model.text.phrase_lines import join_phrases, write_lines
    from m3h.schemas.dataset import Dataset

    if (text is None) == (dataset is None):
        raise UsageError("predict: give either --dataset or --text.")
    model = load(run)
    if dataset is None:
        posts = model.posts_of_texts(text or [], [ocr] if ocr else None, [alt] if alt else None)
        for tokens in posts.tokens:
            logger.info(f"read as: {' '.join(tokens)}")
    else:
        posts = model.run.reader(Dataset(dataset)).split(split)
    ranked = model.predict_posts(posts, show_progress)
    phrases = [[_phrase_text(keyphrase, scores) for keyphrase in post] for post in ranked]
    lines = [join_phrases(post) for post in phrases]
    if out and out.suffix == ".jsonl":
        write_records(out, make_records(posts, ranked))
    elif out:
        write_lines(out, lines)
    predictions = [[asdict(keyphrase) for keyphrase in post] for post in ranked]
    result = {"out": str(out)} if out else {"predictions": predictions}
    examples = "\n\n".join(_example(posts, phrases, i) for i in range(min(show, len(posts))))
    printed = f"wrote {len(lines):,} lines to {out}" if out else "\n".join(lines)
    say({"run": str(run), "posts": len(posts), **result}, as_json, examples if show else printed)


def _phrase_text(keyphrase: "Keyphrase", scores: bool) -> str:
    return f"{keyphrase.phrase} ({keyphrase.score:.3f} {keyphrase.attribution})" if scores else keyphrase.phrase


def _example(posts: "Posts", phrases: Sequence[Sequence[str]], i: int) -> str:
    return (
        f"{posts.ids[i]}: {' '.join(posts.tokens[i])}\n"
        f"  gold:      {'; '.join(posts.keyphrases[i])}\n"
        f"  predicted: {'; '.join(phrases[i])}"
    )
