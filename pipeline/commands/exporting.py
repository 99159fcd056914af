"""Commands that carry a dataset elsewhere: export, featurize."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.making import build_text, exit_code
from pipeline.commands.options import (
    CORES,
    DatasetOption,
    JsonOption,
    ProgressOption,
    SetOption,
    WorkersOption,
    beam_flags,
)
from schemas.console import DONE, say
from schemas.errors import UsageError


def export_command(
    dataset: DatasetOption,
    to: Annotated[str, typer.Option("--to", help="butd-tsv, lxmert-tsv, vqa-hdf5, vqa-hdf5-adaptive or webdataset.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
    feature: Annotated[list[str] | None, typer.Option("--feature", help="One or several; all if left out.")] = None,
    key: Annotated[str, typer.Option("--key", help="What names a row of boxes: image (its sha256) or post.")] = "image",
    split: Annotated[list[str] | None, typer.Option("--split", help="One or several; all if left out.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Write a dataset's boxes, features, texts and pictures in the formats of other systems.

    \b
    python -m pipeline export --dataset data/tw --to lxmert-tsv --out lxmert
    python -m pipeline export --dataset data/tw --to vqa-hdf5 --key post --split train valid --out vqa
    python -m pipeline export --dataset data/tw --to webdataset --feature ocr vgg_grid --out tars
    """
    from pipeline.export import export
    from pipeline.export.walk import Asked
    from schemas.posts import SPLITS

    if key not in ("image", "post"):
        raise UsageError(f"--key {key}: expected image or post.")
    asked = Asked(tuple(feature or ()), key, tuple(split or SPLITS))  # type: ignore[arg-type]
    tally = export(dataset, to, out, asked)
    text = "\n".join(f"{path}: {rows} rows" for path, rows in tally.files.items())
    left = f"\n{tally.missing} rows left out: their pictures have none of the feature." if tally.missing else ""
    say({"files": tally.files, "missing": tally.missing}, as_json, text + left)
    return DONE


def featurize_command(
    posts: Annotated[list[str], typer.Option("--posts", help="Dumps of new posts; hashtags are not needed.")],
    like: Annotated[Path, typer.Option("--like", help="The dataset whose features, as they are, are computed.")],
    dataset: DatasetOption,
    images: Annotated[Path | None, typer.Option("--images", help="Folder with the pictures.")] = None,
    crawl: Annotated[bool, typer.Option("--crawl", help="Fetch the pictures by their URLs.")] = False,
    format: Annotated[str, typer.Option("--format", help="As for build; told from each record if left out.")] = "",
    set_: SetOption = None,
    workers: WorkersOption = CORES,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """New, unlabelled posts -> a dataset that a model trained on another one can predict for.

    \b
    python -m pipeline featurize --posts new.jsonl --images pics --like data/tw --dataset data/new
    python -m model predict runs/full --dataset data/new --out found.jsonl
    """
    from pipeline.featurize import featurize

    result = featurize(posts, like, dataset, images, crawl, format, set_ or (), workers, tuple(beam_flags), progress)
    summary = result.summary()
    say(summary, as_json, build_text(summary, dataset))
    return exit_code(result)
