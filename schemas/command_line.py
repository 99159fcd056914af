"""`m3h`: the commands of all programs under one name, with their help, shell completion and the demo."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from copy import copy
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo

from m3h.schemas.console import error_exit, expect_interrupts, leave, run, show, writable_folder
from m3h.schemas.demo import DEMO_FOLDER, run_demo
from m3h.schemas.errors import M3hError, unknown_name
from m3h.schemas.own_module import guard_child_processes
from m3h.schemas.programs import PACKAGE, Program, command_name, programs, programs_of

NAME = "m3h"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of any program and return its exit code.

    Args:
        argv: The command line without the program's name. None takes this process's own.
    """
    if argv is None:
        expect_interrupts()
        leave(_main(sys.argv[1:]))
    return _main(argv)


def _main(argv: Sequence[str]) -> int:
    guard_child_processes()
    try:
        return _run(list(argv))
    except M3hError as error:
        return error_exit(error)


def _run(words: list[str]) -> int:
    command = words[0] if words else ""
    known = [command_name(info) for info in _own.registered_commands]
    if having := programs_of(command):
        return _run_one(having, words)
    known += [name for program in programs() for name in program.commands()]
    if command and not command.startswith("-") and command not in known:
        raise unknown_name("command", command, known)
    return run(_everything(), words, prog_name=NAME)


def _run_one(having: Sequence[Program], words: list[str]) -> int:
    """Run a command of the program that the command line is for. The help is that of every program which has it."""
    if "--help" in words:
        codes = []
        for program in having:
            codes.append(program.main(words))
            if program is not having[-1]:
                show("")
        return max(codes)
    command, *rest = words
    claimed = [program for program in having if command in program.shared and program.shared[command](rest)]
    return (*claimed, *having)[0].main(words)


class _GroupedCommands(TyperGroup):
    """Lists the commands of each program under a heading of its own."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # types of click, or of typer's own copy of click
        """Write one line per command. Where a program cannot run, its heading says what to install."""
        listed: list[str] = []
        for program in programs():
            absent = f" (not installed: {program.extra.install})" if program.extra.missing() else ""
            lines = {command_name(info): info.short_help or "" for info in program.app.registered_commands}
            self._format_group(ctx, formatter, f"{program.title}{absent}", lines=lines)
            listed += lines
        others = [name for name in self.list_commands(ctx) if name not in listed]
        commands = {name: self.get_command(ctx, name) for name in others}
        lines = {name: each.get_short_help_str(formatter.width) for name, each in commands.items() if each}
        self._format_group(ctx, formatter, "Other", lines=lines)

    def _format_group(self, ctx: Any, formatter: Any, title: str, *, lines: Mapping[str, str]) -> None:
        width = max(map(len, self.list_commands(ctx)))
        with formatter.section(title):
            formatter.write_dl([(name.ljust(width), line) for name, line in lines.items()])


_own = typer.Typer(cls=_GroupedCommands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _everything() -> typer.Typer:
    """The commands of this module and those of the programs. The latter are only listed and completed here."""
    app = copy(_own)
    infos: dict[str, list[CommandInfo]] = {}
    for info in [info for program in programs() for info in program.app.registered_commands]:
        infos.setdefault(command_name(info), []).append(info)
    app.registered_commands = [found[0] if len(found) == 1 else _joined(found) for found in infos.values()]
    app.registered_commands += _own.registered_commands
    return app


def _joined(infos: Sequence[CommandInfo]) -> CommandInfo:
    """A command that lists and completes the options of several commands of one name."""

    def listed() -> None: ...

    found: dict[str, inspect.Parameter] = {}
    for info in infos:
        for parameter in inspect.signature(info.callback or listed).parameters.values():
            found.setdefault(parameter.name, parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    listed.__signature__ = inspect.Signature(list(found.values()))  # type: ignore[attr-defined]
    listed.__annotations__ = {name: parameter.annotation for name, parameter in found.items()}
    return CommandInfo(command_name(infos[0]), callback=listed, short_help=infos[0].short_help)


def _print_version(wanted: bool) -> None:
    if wanted:
        show(f"{NAME} {version(PACKAGE)}")
        raise typer.Exit


@_own.callback()
def _about(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Dumps of social posts in; a multimodal keyphrase dataset and a trained model out.

    \b
    m3h demo
    m3h build --dumps 'raw/*.jsonl.gz' --images raw/images --dataset data/tw
    m3h train --dataset data/tw --system gen-cls-m3h --out runs/full
    m3h predict runs/full --text 'so excited to see these two tomorrow'

    `m3h COMMAND --help` explains a command.
    """


@_own.command("demo", short_help="The bundled sample from dumps to test scores.")
def _demo_command(
    out: Annotated[
        Path, typer.Option("--out", callback=writable_folder, help="Folder for the dataset and the run.")
    ] = DEMO_FOLDER,
) -> None:
    """The bundled sample from dumps to test scores: build, stats, train, predict. Takes minutes, needs no network.

    \b
    m3h demo
    m3h demo --out /tmp/demo

    After an interruption, or where it is done already, the same command keeps what there is of the dataset and trains
    the model anew.
    """
    if code := run_demo(out):
        sys.exit(code)  # the command that failed has said why


if __name__ == "__main__":
    sys.exit(main())
