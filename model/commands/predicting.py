"""`predict`."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3h.model.commands.options import AsJson, DatasetSettings, HowMany, LikeDataset, MinScore, RunFolder
from m3h.model.commands.progress import show_progress
from m3h.schemas.console import say, writable_file
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    from m3h.model.api import Predictor
    from m3h.model.data.posts import Posts
    from m3h.model.decoding.attribution import Keyphrase


logger = logging.getLogger(__name__)
app = typer.Typer()
OutFile = Annotated[
    Path | None,
    typer.Option(callback=writable_file, help="Write to this file, .txt or .jsonl, instead of stdout."),
]
Images = Annotated[list[Path] | None, typer.Option(help="The picture of a --text, a colour JPEG; one for each.")]


@app.command(
    short_help="Keyphrases of a dataset's posts, or of texts and pictures.",
    help="""\b
  m3h predict runs/full --dataset data/tw --out found.jsonl
  m3h predict runs/full --dataset data/tw --show 5
  m3h predict runs/full --dataset data/tw --how-many auto --min-score 0.2
  m3h predict runs/full --text 'so excited to see these two tomorrow' --ocr 'kids choice awards'
  m3h predict runs/full --text 'so excited to see these two tomorrow' --image photo.jpg

Prints keyphrases, best first: one post a line in source order, phrases joined by `;`. With --scores, with --json and in
a .jsonl file each phrase has its probability and its attribution: generated, text, alt or ocr (copied from there), or
classifier.

A run gives up to n_best phrases to every post. --how-many auto gives each post as many as its phrases' chances of being
right say, at least one. --min-score 0.6 gives those of which 60 of 100 such were right, which may be none.
Chances are learned from the posts that the run was selected by.

A --text alone is lower-cased and split into words by a small regular expression, and trailing hashtags are removed;
--ocr gives the words on its image, --alt what its author says that it shows.

With --image, one for each --text, text and picture are read as the build of the run's dataset read its own, by the
extractors that the run was trained on. This needs pip install 'm3h[pipeline]' and the dataset's folder; --like and
--set say where it and its weights are now.
""",
)
def predict(
    run: RunFolder,
    dataset: Annotated[Path | None, typer.Option(help="A finished dataset folder.")] = None,
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    *,
    out: OutFile = None,
    show: Annotated[int, typer.Option(help="Print so many posts with gold and predicted phrases instead.", min=0)] = 0,
    text: Annotated[list[str] | None, typer.Option(help="A raw text; several are allowed.")] = None,
    ocr: Annotated[str, typer.Option(help="With one --text: the words on its image.")] = "",
    alt: Annotated[str, typer.Option(help="With one --text: what its image shows.")] = "",
    image: Images = None,
    like: LikeDataset = None,
    set_: DatasetSettings = None,
    scores: Annotated[bool, typer.Option("--scores", help="Probability and attribution after each phrase.")] = False,
    how_many: HowMany = None,
    min_score: MinScore = None,
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
        image: a picture for each text.
        like: where the dataset of the run is now.
        set_: settings over the configuration of this dataset.
        scores: print probability and attribution, and the chance where phrases are chosen by it.
        how_many: phrases of each post.
        min_score: the least chance of a phrase.
        as_json: print JSON.

    Raises:
        UsageError: not one of `dataset` and `text` is given, there is no finished run, or a picture cannot be read.
    """
    from m3h.model.api import load
    from m3h.model.scoring.calibration import Choice
    from m3h.model.text.phrase_lines import join_phrases
    from m3h.schemas.dataset import Dataset

    _check_what_is_read(dataset, text, image)
    choice = Choice.of(how_many, min_score)
    model = load(run, dataset=like, sets=set_ or ())
    if dataset is None:
        posts = _posts_of_texts(model, text or (), ocr, alt=alt, images=image or ())
    else:
        posts = model.run.reader(Dataset(dataset)).split(split)
    if choice:
        model.calibration  # noqa: B018 (whether it can be learned is known before anything is predicted)
    ranked = model.choose(model.predict_posts(posts, show_progress), choice)
    phrases = [[_phrase_text(one, scores) for one in post] for post in ranked]
    lines = [join_phrases(post) for post in phrases]
    printed = _write(out, posts, ranked, lines=lines) if out else "\n".join(lines)
    result = {"out": str(out)} if out else {"predictions": [[one.fields() for one in post] for post in ranked]}
    say({"run": str(run), "posts": len(posts), **result}, as_json, _examples(posts, phrases, show) or printed)


def _check_what_is_read(dataset: Path | None, texts: Sequence[str] | None, images: Sequence[Path] | None) -> None:
    if (texts is None) == (dataset is None):
        raise UsageError("predict: give either --dataset or --text.")
    if images and dataset:
        raise UsageError("predict: an --image belongs to a --text.")


def _posts_of_texts(model: "Predictor", texts: Sequence[str], ocr: str, *, alt: str, images: Sequence[Path]) -> "Posts":
    """As `Predictor.predict` reads them, with pictures or without."""
    descriptions = [alt] if alt else None
    if images and ocr:
        raise UsageError("predict: the words on an image are read from it; give either --ocr or --image.")
    if images:
        posts = model.posts_of_read(model.read(texts, images, descriptions))
    else:
        posts = model.posts_of_texts(texts, [ocr] if ocr else None, descriptions)
    for tokens in posts.tokens:
        logger.info(f"read as: {' '.join(tokens)}")
    return posts


def _write(out: Path, posts: "Posts", ranked: Sequence[Sequence["Keyphrase"]], *, lines: Sequence[str]) -> str:
    """Records in a .jsonl file, else lines. What to say of it."""
    from m3h.model.scoring.predictions import make_records, write_records
    from m3h.model.text.phrase_lines import write_lines

    if out.suffix == ".jsonl":
        write_records(out, make_records(posts, ranked))
    else:
        write_lines(out, lines)
    return f"wrote {len(lines):,} lines to {out}"


def _phrase_text(keyphrase: "Keyphrase", scores: bool) -> str:
    if not scores:
        return keyphrase.phrase
    chance = "" if keyphrase.chance is None else f", chance {keyphrase.chance:.2f}"
    return f"{keyphrase.phrase} ({keyphrase.score:.3f} {keyphrase.attribution}{chance})"


def _examples(posts: "Posts", phrases: Sequence[Sequence[str]], show: int) -> str:
    return "\n\n".join(_example(posts, phrases, i) for i in range(min(show, len(posts))))


def _example(posts: "Posts", phrases: Sequence[Sequence[str]], i: int) -> str:
    return (
        f"{posts.ids[i]}: {' '.join(posts.tokens[i])}\n"
        f"  gold:      {'; '.join(posts.keyphrases[i])}\n"
        f"  predicted: {'; '.join(phrases[i])}"
    )
