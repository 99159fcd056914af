"""Options and texts that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.model.runs.finished import require_finished
from m3h.model.scoring.definitions import DEFINITIONS
from m3h.schemas.errors import unknown_name
from m3h.schemas.inside import require_dataset

if TYPE_CHECKING:
    from m3h.model.scoring.metrics import Scores

AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as one line of JSON.")]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a finished run.", callback=require_finished)
]
DatasetFolder = Annotated[Path, typer.Option(help="A finished dataset folder.", callback=require_dataset)]
Definition = Annotated[str, typer.Option(help=f"Of the scores: {', '.join(DEFINITIONS)}.")]
LikeDataset = Annotated[
    Path | None, typer.Option("--like", help="For pictures: where the run's dataset is now.", show_default=False)
]
DatasetSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="For pictures: FIELD=VALUE of the dataset, such as features.vgg_grid.weights=FILE; several."
    ),
]
HowMany = Annotated[
    str | None,
    typer.Option(
        help="Phrases a post: a number, or auto for as many as it should have by their chances.", metavar="N|auto"
    ),
]
MinScore = Annotated[
    float | None, typer.Option(help="Only phrases whose chance of being right is at least this, from 0 to 1.")
]
SHOWN = (("f1@1", "F1@1"), ("f1@3", "F1@3"), ("map@5", "MAP@5"))


def scores_text(scores: dict[str, Any], title: str, definition: str) -> str:
    """One line: F1@1, F1@3 and MAP@5 of all posts, and F1@1 of present and absent keyphrases.

    Args:
        scores: from `score_records`.
        title: at the start of the line.
        definition: of the scores; "" where the title says it.
    """
    whole: Scores = scores["all"]
    shown = ", ".join(f"{label} {whole[name]:.4f}" for name, label in SHOWN)
    parts = ", ".join(f"{part} F1@1 {scores[part]['f1@1']:.4f}" for part in ("present", "absent") if part in scores)
    about = f" ({definition}, {scores['posts']:,} posts)" if definition else ""
    return f"{title}{about}: {shown}{'; ' if parts else ''}{parts}"


def check_definition(definition: str) -> str:
    """The definition itself.

    Raises UsageError: there is no such definition. The message gives the nearest name.
    """
    if definition not in DEFINITIONS:
        raise unknown_name("definition", definition, DEFINITIONS)
    return definition
