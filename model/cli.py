"""`python -m model`: which commands there are."""

import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3h.model.commands import experiments, looking, predicting, scoring, serving, training
from m3h.model.commands.options import AsJson
from m3h.model.networks.paper_parameters import PAPER_PARAMETERS
from m3h.schemas.console import run as run_app
from m3h.schemas.console import say
from m3h.schemas.programs import Extra, Program

if TYPE_CHECKING:
    from m3h.model.systems import System

EXTRA = Extra("train", ("nltk", "safetensors", "torch"))

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
for _part in (training, scoring, predicting, serving, experiments, looking):
    app.registered_commands += _part.app.registered_commands

HEAD = """\b
  m3h train --dataset data/tw --system gen-cls-m3h --out runs/full
  m3h evaluate runs/full
  m3h predict runs/full --text 'so excited to see these two tomorrow'
  m3h score --predictions found.txt --targets wanted.txt

Trains and uses the systems of the paper from a finished dataset folder.
"""


def main(argv: Sequence[str]) -> int:
    """Run the command line and return the exit code. Of several processes only the first one prints."""
    with contextlib.redirect_stdout(io.StringIO()) if _is_follower() else contextlib.nullcontext():
        many = {"--image", "--post", "--seed", "--set", "--text", "--without", "--shuffle", "--noise"}
        return run_app(app, argv, many=many, extra=EXTRA)


def _is_follower() -> bool:
    """Whether this is another than the first of several processes."""
    if "RANK" not in os.environ:  # torch is not loaded to learn that there is one process
        return False
    from m3h.model.training.distributed import rank

    return rank() > 0


@app.callback(help=HEAD)
def _root() -> None:
    pass


@app.command(
    short_help="Every system, by name.",
    help="""\b
  m3h systems
  m3h systems --json --vocab 45006 --labels 4262

Lists every system: its row in the paper's Table 2, its inputs, and its trained parameters. `train --set vision=[...]
wordings=[...]` gives it other features of the dataset to read. They are counted with the
paper's vocabularies, or with the sizes given. A system with a second phase may train fewer parameters in it.
""",
)
def systems(
    vocab: Annotated[int | None, typer.Option(help="Words, specials included.  [the paper's]", min=10)] = None,
    labels: Annotated[int | None, typer.Option(help="Labels, <unk> included.  [the paper's]", min=2)] = None,
    as_json: AsJson = False,
) -> None:
    """Print every system.

    Args:
        vocab: words, specials included; None for the paper's.
        labels: labels, `<unk>` included; None for the paper's.
        as_json: print JSON.
    """
    from m3h.model.systems import SYSTEMS

    rows = []
    for system in SYSTEMS.values():
        first, second = _parameters(system, vocab, labels)
        row: dict[str, Any] = {"name": system.name, "paper_row": system.paper_row, "inputs": list(system.inputs)}
        row |= {"parameters": first, "second_phase_parameters": second}
        rows.append({**row, "description": system.description})
    width = max(map(len, SYSTEMS))
    lines = [f"{r['name']:{width}} {r['paper_row']:17} {r['parameters']:>12,}  {', '.join(r['inputs'])}" for r in rows]
    say(rows, as_json, "\n".join(lines))


def _parameters(system: "System", vocab: int | None, labels: int | None) -> tuple[int, int]:
    """Those of the only or first phase, and of the second. Torch counts them where they are not known already."""
    if not vocab and not labels and system.name in PAPER_PARAMETERS:
        return PAPER_PARAMETERS[system.name]
    from m3h.model.networks.factory import PAPER_SIZES, count_parameters

    sizes = replace(PAPER_SIZES, words=vocab or PAPER_SIZES.words, labels=labels or PAPER_SIZES.labels)
    counted = count_parameters(system, sizes)
    return counted.first, counted.second


SHARED = {"report": looking.is_of_runs, "why": looking.is_of_a_prediction}
"""Commands that a program for datasets has too -> whether a command line is for this one."""

PROGRAM = Program("Model commands", app, main, EXTRA, shared=SHARED)
