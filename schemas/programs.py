"""The programs whose commands `m3h` offers. Each describes itself, and the package's metadata says where it is.

They are entry points of the group `m3h.programs`, so nothing here names a program.
"""

import functools
import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import typer

from m3h.schemas.errors import UsageError

PACKAGE = "m3h"
GROUP = "m3h.programs"
_MAX_LISTED = 3
"""Missing packages that a message lists by name. Further ones are only counted."""
_INSTALL = f"Install it with `pip install {PACKAGE}`, or in a checkout with `make setup`."


@dataclass(frozen=True)
class Extra:
    """What `pip install 'm3h[NAME]'` adds. Without it no command of a program runs.

    packages: the names they are imported by.
    """

    name: str
    packages: tuple[str, ...]

    def missing(self) -> list[str]:
        """The packages that are not installed. None is imported to find out."""
        return [package for package in self.packages if importlib.util.find_spec(package) is None]

    @property
    def install(self) -> str:
        """The command that installs the extra."""
        return f"pip install '{PACKAGE}[{self.name}]'"

    def require(self, command: str) -> None:
        """Check that `command` can run.

        Raises:
            UsageError: Packages are missing. The message says how to install them.
        """
        if self.missing():
            raise self.fault(command)

    def fault(self, command: str) -> UsageError:
        """The error that says what `command` lacks and how to install it."""
        missing = self.missing()
        more = f" and {len(missing) - _MAX_LISTED} more" if len(missing) > _MAX_LISTED else ""
        lacking = f"{', '.join(missing[:_MAX_LISTED])}{more}"
        return UsageError(f"{command}: not installed here: {lacking}. Install what it needs: {self.install}")


@dataclass(frozen=True)
class Program:
    """Commands that belong together. title: their heading in the help. main: runs one and returns its exit code.

    shared: commands that another program has too -> whether the words after the command are for this program's.
    """

    title: str
    app: typer.Typer
    main: Callable[[Sequence[str]], int]
    extra: Extra
    shared: Mapping[str, Callable[[Sequence[str]], bool]] = field(default_factory=dict)

    def commands(self) -> list[str]:
        """The names of its commands, in the order of the help."""
        return [command_name(info) for info in self.app.registered_commands]


def programs_of(command: str) -> list[Program]:
    """The programs that have a command; the one that has it of its own first."""
    return sorted((one for one in programs() if command in one.commands()), key=lambda one: command in one.shared)


def command_name(info: typer.models.CommandInfo) -> str:
    """The name of a command, as typer derives it."""
    return info.name or typer.main.get_command_name(getattr(info.callback, "__name__", ""))


@functools.cache
def programs() -> tuple[Program, ...]:
    """Every program of this installation. Loading them imports their command lines and no heavy library.

    Raises:
        UsageError: The package is not installed, or is an older one without commands.
    """
    try:
        points = importlib.metadata.distribution(PACKAGE).entry_points.select(group=GROUP)
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError(f"{PACKAGE} is not installed here. {_INSTALL}") from error
    if not points:
        raise UsageError(f"what is installed here is an older {PACKAGE}, without commands. {_INSTALL}")
    return tuple(point.load() for point in sorted(points, key=lambda point: point.name))
