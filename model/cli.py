"""`python -m model`: which commands there are."""

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from model.assemble import PAPER_SIZES, count_parameters
from model.commands import experiments, predicting, scoring, training
from model.commands.options import AsJson
from model.parallel import rank
from model.systems import SYSTEMS
from schemas.console import run as run_app
from schemas.console import say

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
for _part in (training, scoring, predicting, experiments):
    app.registered_commands += _part.app.registered_commands

HEAD = """\b
  python -m model train --dataset data/tw --system gen-cls-m3h --out runs/full
  python -m model evaluate runs/full
  python -m model predict runs/full --text 'so excited to see these two tomorrow'
  python -m model score --predictions found.txt --targets wanted.txt

Trains and uses the systems of the paper from a finished dataset folder.
"""


def main(argv: Sequence[str]) -> int:
    """Run the command line; the exit code. Of several processes only the first one prints."""
    with contextlib.redirect_stdout(io.StringIO()) if rank() else contextlib.nullcontext():
        return run_app(app, argv, many={"--seed", "--set", "--text"})


@app.callback(help=HEAD)
def _root() -> None:
    pass


@app.command(
    short_help="Every system, by name.",
    help="""\b
  python -m model systems
  python -m model systems --json --vocab 45006 --labels 4262

Every system, its row in the paper's Table 2, what it reads, and how many numbers it trains: with the paper's
vocabularies, or those given. A system with a second phase may train fewer in it.
""",
)
def systems(
    vocab: Annotated[int, typer.Option(help="Words, specials included.", min=10)] = PAPER_SIZES.words,
    labels: Annotated[int, typer.Option(help="Labels, <unk> included.", min=2)] = PAPER_SIZES.labels,
    as_json: AsJson = False,
) -> None:
    """Every system."""
    sizes = replace(PAPER_SIZES, words=vocab, labels=labels)
    rows = []
    for system in SYSTEMS.values():
        parameters = count_parameters(system, sizes)
        row: dict[str, Any] = {"name": system.name, "paper_row": system.paper_row, "inputs": list(system.inputs)}
        row |= {"parameters": parameters.first, "second_phase_parameters": parameters.second}
        rows.append({**row, "description": system.description})
    lines = [f"{r['name']:22} {r['paper_row']:17} {r['parameters']:>12,}  {', '.join(r['inputs'])}" for r in rows]
    say(rows, as_json, "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
