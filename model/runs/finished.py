"""Whether a run is finished. Commands ask before they load torch, so that a wrong name costs nothing."""

from pathlib import Path

from m3h.schemas.errors import UsageError

SCORES = "scores.json"
"""Written last."""


def is_finished(folder: Path) -> bool:
    """Whether the folder has a finished run."""
    return (folder / SCORES).exists()


def require_finished(folder: Path) -> Path:
    """The folder itself.

    Raises UsageError: it has no finished run.
    """
    if not is_finished(folder):
        raise UsageError(f"{folder}: no finished run. Train one with `m3h train --out {folder}`.")
    return folder
