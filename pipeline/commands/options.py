"""What several commands take."""

from pathlib import Path
from typing import Annotated

import typer

beam_flags: list[str] = []
"""What followed `--` on the command line: Beam's own flags."""

DatasetOption = Annotated[Path, typer.Option("--dataset", help="The dataset folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as one line of JSON.")]
