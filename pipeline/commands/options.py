"""Options that several commands take."""

import os
from pathlib import Path
from typing import Annotated

import typer

from m3h.schemas.console import writable_folder
from m3h.schemas.inside import require_dataset

beam_flags: list[str] = []
"""The words after `--` on the command line: Beam's own flags."""

CORES = os.cpu_count() or 1

NewDatasetOption = Annotated[Path, typer.Option("--dataset", callback=writable_folder, help="The dataset folder.")]
FinishedDataset = Annotated[Path, typer.Option("--dataset", help="The dataset folder.", callback=require_dataset)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as one line of JSON.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="FIELD=VALUE, over the file.")]
ProgressOption = Annotated[
    str,
    typer.Option(
        "--progress", help="auto, none, json (lines on stderr), or a file that gets these lines beside the display."
    ),
]
WorkersOption = Annotated[int, typer.Option("--workers", min=1, help="Processes of the embedded runner.")]
