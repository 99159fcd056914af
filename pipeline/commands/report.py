"""The command that shows a dataset: report."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from m3h.pipeline.commands.options import CORES, FinishedDataset, JsonOption
from m3h.schemas.console import DONE, say, writable_folder


def report_command(
    dataset: FinishedDataset,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", callback=writable_folder, help="Folder of the report; DATASET-report beside it if left out."
        ),
    ] = None,
    class_names: Annotated[
        Path | None, typer.Option("--class-names", help="Names of the detector's classes, one a line.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Threads that make thumbnails.")] = CORES,
    as_json: JsonOption = False,
) -> int:
    """A page to look at: figures, charts and a gallery of kept and dropped records. Opens from disk, offline.

    \b
    m3h report --dataset data/tw
    m3h report --dataset data/tw --out report --class-names objects_vocab.txt
    """
    from m3h.pipeline.report.folder import report

    found = report(dataset, out, workers=workers, names=class_names)
    text = (
        f"{found.posts:,} posts, {found.dropped:,} dropped records, {found.pictures:,} pictures, "
        f"{found.bytes / 1e6:,.1f} MB\nopen {found.page} in a browser"
    )
    say({**asdict(found), "page": str(found.page)}, as_json, text)
    return DONE
