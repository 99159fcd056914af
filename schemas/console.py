"""What the command lines of both programs share: exit codes, one `error:` line, `--json`, logs on stderr.

All that a command prints goes through `show`, or through the log's formatter: what stands in file names, in records and
in answers of servers never steers a terminal.
"""

import io
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import typer

from m3h.schemas.errors import M3hError, UsageError
from m3h.schemas.machine import fault_message, number_of, place_of, why_unwritable
from m3h.schemas.programs import Extra

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
_INTERRUPTED = "interrupted; run the same command again."
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, marks of the writing direction, separators of lines, lone surrogates."""
_CommandLineError: Any = typer.BadParameter.__base__
"""The class of every usage error that typer finds. It is click's, or in newer versions that of typer's own copy."""


def run(
    app: typer.Typer,
    argv: Sequence[str],
    many: Collection[str] = (),
    *,
    known: Callable[[Exception], M3hError | None] = lambda _: None,
    extra: Extra | None = None,
    light: Collection[str] = (),
    prog_name: str | None = None,
) -> int:
    """Run `app` on `argv` and return the exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    An exception that leaves this function is a bug of ours.

    Args:
        app: The commands.
        argv: The command line, without the program's name.
        many: Options that take several values, as in `--dumps a b c`.
        known: Translates an exception of a library into an error of ours. None where it is not known.
        extra: What must be installed for a command to run. `--help` works without it.
        light: Commands that need only a part of `extra`. They report a missing package when they need it.
        prog_name: The program's name in its help. None takes the name it was started by.
    """
    _write_out_unknown_letters()
    log_to_stderr(logging.INFO)
    if is_own_process := signal.getsignal(signal.SIGINT) is _end_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if extra and argv and "--help" not in argv and argv[0] not in light:
            extra.require(argv[0])
        code = typer.main.get_command(app).main(spread(argv, many), prog_name=prog_name, standalone_mode=False)
        return _interrupted(is_own_process) if code == INTERRUPTED else int(code or DONE)
    except _CommandLineError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            show(error.format_message())
            return WRONG_USE
        return _error(error.format_message(), WRONG_USE)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(is_own_process)
    except Exception as error:
        found = known(error) or error
        if isinstance(found, M3hError):
            return error_exit(found)
        if isinstance(found, OSError) and (number := number_of(found)):
            return _error(fault_message(number, place_of(found)), FAILED)
        if isinstance(found, ModuleNotFoundError) and extra and extra.missing():
            return error_exit(extra.fault(argv[0]))
        raise


def error_exit(error: M3hError) -> int:
    """Print the `error:` line of an error of ours and return the exit code that belongs to it."""
    return _error(str(error), WRONG_USE if isinstance(error, UsageError) else FAILED)


def _error(message: str, code: int) -> int:
    show(f"error: {' '.join(message.split())}", sys.stderr)
    return code


def _write_out_unknown_letters() -> None:
    """Let a letter that the terminal's encoding lacks be shown by its number, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def log_to_stderr(level: int) -> None:
    """Let log records of this level and above go to stderr, as messages alone, unless logging is set up already."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_VisibleFormatter("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


class _VisibleFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def show(text: str, stream: TextIO | None = None) -> None:
    """Print a text and a line feed. Everything that a command prints goes through here.

    Args:
        text: Its line feeds and tabs are kept.
        stream: Where to print it. None for stdout.
    """
    print(visible(text), file=stream or sys.stdout, flush=True)


def visible(text: str) -> str:
    r"""`text` with every character that steers a terminal written out, as `\x1b` or `\u202e`. Line feeds stay."""
    return _STEERING.sub(lambda sign: f"\\x{ord(sign[0]):02x}" if sign[0] < "\x80" else f"\\u{ord(sign[0]):04x}", text)


def one_line(text: str) -> str:
    r"""`visible`, with tabs and line feeds written out too, for what stands in a line with others."""
    return visible(text).replace("\t", "\\t").replace("\n", "\\n")


def json_line(value: object, stream: TextIO | None = None) -> str:
    """A value as one line of JSON, in which nothing steers a terminal.

    Args:
        value: A JSON value.
        stream: Where it goes. If its encoding is not UTF-8, the line is ASCII. None for a file of our own.
    """
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-")
    line = json.dumps(value, ensure_ascii=encoding not in ("utf-8", "utf8"))
    return _STEERING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", line)


def _interrupted(is_own_process: bool) -> int:
    if is_own_process:  # pressed once more, it has nothing to add
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _error(_INTERRUPTED, INTERRUPTED)


def expect_interrupts() -> None:
    """Let Ctrl-C end this process with the line that `run` prints, from now on and until `run` begins."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's background jobs ignore it
        signal.signal(signal.SIGINT, _end_at_once)


def _end_at_once(*_: object) -> None:
    os.write(sys.stderr.fileno(), f"error: {_INTERRUPTED}\n".encode())  # print may be what was interrupted
    os._exit(INTERRUPTED)


def leave(code: int) -> NoReturn:
    """End this process.

    No thread is waited for in two cases. After an interrupt, Beam's threads may wait for processes that are gone. Of
    several processes that train together, threads of Gloo outlive `destroy_process_group` where
    DistributedDataParallel was used (torch 2.12); one that lets go of a tensor while Python ends aborts the process.
    """
    if code == INTERRUPTED or os.environ.get("WORLD_SIZE", "1") != "1":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


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


def say(summary: object, as_json: bool, text: str) -> None:
    """Print a command's result on stdout. A command prints nothing else there.

    Args:
        summary: The result as a JSON value.
        as_json: True prints `summary` as one line of JSON, False prints `text`.
        text: The result for people.
    """
    show(json_line(summary, sys.stdout) if as_json else text)


def writable_file(context: typer.Context, option: typer.CallbackParam, path: Path | None) -> Path | None:
    """A callback of an option that names a file to write: whether it can be written is known before hours of work.

    Raises:
        UsageError: It cannot.
    """
    return _writable(context, option, path, is_folder=False)


def writable_folder(context: typer.Context, option: typer.CallbackParam, path: Path | None) -> Path | None:
    """As `writable_file`, for a folder that files will be put into."""
    return _writable(context, option, path, is_folder=True)


def _writable(
    context: typer.Context, option: typer.CallbackParam, path: Path | None, *, is_folder: bool
) -> Path | None:
    if path is None or context.resilient_parsing:  # the latter: a shell completes the line
        return path
    if why := why_unwritable(path, is_folder=is_folder):
        raise UsageError(f"{option.opts[0]} {path}: {why}. Choose another {'folder' if is_folder else 'file'}.")
    return path if is_folder or not path.is_symlink() else path.resolve()  # a link to a file is kept
