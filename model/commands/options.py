"""Options and texts that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from model.metrics import DEFINITIONS, Scores
from schemas.errors import unknown_name

AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as one line of JSON.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]
Definition = Annotated[str, typer.Option(help=f"Of the scores: {', '.join(DEFINITIONS)}.")]
SHOWN = (("f1@1", "F1@1"), ("f1@3", "F1@3"), ("map@5", "MAP@5"))


def scores_text(scores: dict[str, Any], title: str, definition: str) -> str:
    """One line: F1@1, F1@3, MAP@5 of all posts, and F1@1 of present and absent keyphrases."""
    whole: Scores = scores["all"]
    told = ", ".join(f"{nice} {whole[name]:.4f}" for name, nice in SHOWN)
    parts = ", ".join(f"{part} F1@1 {scores[part]['f1@1']:.4f}" for part in ("present", "absent") if part in scores)
    return f"{title} ({definition}, {scores['posts']:,} posts): {told}{'; ' if parts else ''}{parts}"


def known_definition(definition: str) -> str:
    """Itself; UsageError with the nearest name where there is no such one."""
    if definition not in DEFINITIONS:
        raise unknown_name("definition", definition, DEFINITIONS)
    return definition
