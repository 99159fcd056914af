"""Commands that make other files or another dataset from a dataset: export, featurize."""

from pathlib import Path
from typing import Annotated

import typer

from m3h.pipeline.commands.build import build_text, exit_code
from m3h.pipeline.commands.options import (
    CORES,
    FinishedDataset,
    JsonOption,
    NewDatasetOption,
    ProgressOption,
    SetOption,
    WorkersOption,
    beam_flags,
)
from m3h.schemas.console import DONE, say, writable_folder
from m3h.schemas.errors import UsageError


def export_command(
    dataset: FinishedDataset,
    to: Annotated[str, typer.Option("--to", help="butd-tsv, lxmert-tsv, vqa-hdf5, vqa-hdf5-adaptive or webdataset.")],
    out: Annotated[Path, typer.Option("--out", callback=writable_folder, help="Folder for the files.")],
    feature: Annotated[list[str] | None, typer.Option("--feature", help="One or several; all if left out.")] = None,
    key: Annotated[str, typer.Option("--key", help="What names a row of boxes: image (its sha256) or post.")] = "image",
    split: Annotated[list[str] | None, typer.Option("--split", help="One or several; all if left out.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Write a dataset's boxes, features, texts and pictures in the formats of other systems.

    \b
    m3h export --dataset data/tw --to lxmert-tsv --out lxmert
    m3h export --dataset data/tw --to vqa-hdf5 --key post --split train valid --out vqa
    m3h export --dataset data/tw --to webdataset --feature ocr vgg_grid --out tars
    """
    from m3h.pipeline.export import export
    from m3h.pipeline.export.samples import ExportRequest
    from m3h.schemas.posts import SPLITS

    if key not in ("image", "post"):
        raise UsageError(f"--key {key}: expected image or post.")
    request = ExportRequest(tuple(feature or ()), key, tuple(split or SPLITS))  # type: ignore[arg-type]
    result = export(dataset, to, out, request=request)
    text = "\n".join(f"{path}: {rows} rows" for path, rows in result.files.items())
    left = f"\n{result.missing} rows left out: their pictures have no row of the feature." if result.missing else ""
    say({"files": result.files, "missing": result.missing}, as_json, text + left)
    return DONE


def featurize_command(
    posts: Annotated[list[str], typer.Option("--posts", help="Dumps of new posts; hashtags are not needed.")],
    like: Annotated[Path, typer.Option("--like", help="The dataset whose features are computed for the new posts.")],
    dataset: NewDatasetOption,
    images: Annotated[Path | None, typer.Option("--images", help="Folder with the pictures.")] = None,
    crawl: Annotated[bool, typer.Option("--crawl", help="Fetch the pictures by their URLs.")] = False,
    format: Annotated[str, typer.Option("--format", help="As for build; detected in each record if left out.")] = "",
    set_: SetOption = None,
    workers: WorkersOption = CORES,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """New, unlabelled posts -> a dataset that a model trained on another one can predict for.

    \b
    m3h featurize --posts new.jsonl --images pics --like data/tw --dataset data/new
    m3h predict runs/full --dataset data/new --out found.jsonl
    """
    from m3h.pipeline.build.build import BuildOptions
    from m3h.pipeline.build.featurize import featurize

    options = BuildOptions(
        posts, dataset, images, crawl, format, workers=workers, beam_flags=tuple(beam_flags), progress=progress
    )
    result = featurize(options, like, set_ or ())
    summary = result.summary()
    say(summary, as_json, build_text(summary, dataset))
    return exit_code(result)
