"""Commands about single records of a finished dataset: forget."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DatasetOption, JsonOption
from schemas.console import DONE, FAILED, say
from schemas.errors import UsageError


def forget_command(
    dataset: DatasetOption,
    ids: Annotated[str, typer.Option("--ids", help="File with one id a line, or - for standard input.")],
    as_json: JsonOption = False,
) -> int:
    """Remove posts with their pictures and features for good, and prove that nothing is left. Exit 1 where a trace is.

    \b
    python -m pipeline forget --dataset data/tw --ids withdrawn.txt
    echo 1234567890 | python -m pipeline forget --dataset data/tw --ids -
    """
    from pipeline.forget import forget

    done = forget(dataset, _ids(ids))
    found = f"{done.ids} ids: {done.posts} posts, {done.dropped} dropped records and {done.images} pictures are gone"
    others = f"{done.already} had been forgotten before, {done.unknown} were never here; all are kept out from now on"
    searched = [*done.traces, "NOT everything is gone"] if done.traces else ["searched every file: no trace is left"]
    say(vars(done), as_json, "\n".join([found, others, *searched]))
    return FAILED if done.traces else DONE


def _ids(file: str) -> list[str]:
    """The ids of a file, one a line; blank lines are none."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--ids {file}: {error}.") from error
    found = [line.strip() for line in text.split("\n") if line.strip()]
    if not found:
        raise UsageError(f"--ids {file}: no id in it; expected one a line.")
    return found
