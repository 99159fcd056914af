"""What both command lines share: exit codes, one `error:` line, `--json`, logs on stderr."""

import json
import logging
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

import typer

from schemas.errors import M3hError, UsageError
from schemas.machine import number_of, place_of, told

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
_INTERRUPTED = "interrupted; run the same command again."
_CommandLineError: Any = typer.BadParameter.__base__
"""Every wrong use that typer finds; its class lies in click or, in newer versions, in typer's own copy of click."""


def run(
    app: typer.Typer,
    argv: Sequence[str],
    many: Collection[str] = (),
    known: Callable[[Exception], M3hError | None] = lambda _: None,
) -> int:
    """Run `app` on `argv` and return the exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    many: options that take several values, as in `--dumps a b c`. known: what an exception of a library really is.
    A traceback that leaves here is a bug.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    try:
        code = typer.main.get_command(app).main(spread(argv, many), prog_name=None, standalone_mode=False)
        return _error(_INTERRUPTED, INTERRUPTED) if code == INTERRUPTED else int(code or DONE)
    except _CommandLineError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return WRONG_USE
        return _error(error.format_message(), WRONG_USE)
    except (KeyboardInterrupt, typer.Abort):
        return _error(_INTERRUPTED, INTERRUPTED)
    except Exception as error:
        found = known(error) or error
        if isinstance(found, M3hError):
            return _error(str(found), WRONG_USE if isinstance(found, UsageError) else FAILED)
        if isinstance(found, OSError) and (number := number_of(found)):
            return _error(told(number, place_of(found)), FAILED)
        raise


def _error(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def spread(argv: Sequence[str], many: Collection[str]) -> list[str]:
    """Repeat an option before each of its values: `--seed 1 2` becomes `--seed 1 --seed 2`."""
    out: list[str] = []
    option = ""
    values = 0
    for word in argv:
        if word.startswith("-") and word != "-" and not _is_number(word):
            option, values = (word if word in many else ""), 0
        elif option:
            if values:
                out.append(option)
            values += 1
        out.append(word)
    return out


def _is_number(word: str) -> bool:
    return word.lstrip("-").isdigit()


def say(summary: Any, as_json: bool, text: str) -> None:
    """The one thing a command prints on stdout: `summary` as one line of JSON, or `text` for people."""
    print(json.dumps(summary, ensure_ascii=False) if as_json else text, flush=True)
