"""The programs whose commands `m3h` offers. Each describes itself, and the package's metadata says where it is.

They are entry points of the group `m3h.programs`, so nothing here names a program.
"""

import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import typer

from m3h.schemas.errors import UsageError

if TYPE_CHECKING:  # the help of all commands loads this module, and pyarrow takes long
    from m3h.schemas.posts import OpenReader, PostReader

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
    """Commands that belong together.

    title: their heading in the help. main: runs one and returns its exit code. open_reader: of the program that reads
    posts which are in no dataset. shared: commands that another program has too -> whether the words after the command
    are for this program's.
    """

    title: str
    app: typer.Typer
    main: Callable[[Sequence[str]], int]
    extra: Extra
    shared: Mapping[str, Callable[[Sequence[str]], bool]] = field(default_factory=dict)
    open_reader: "OpenReader | None" = None

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


def open_reader(asker: str, dataset: Path, features: Mapping[str, str], *, sets: Sequence[str] = ()) -> "PostReader":
    """A reader of posts as those of a dataset were read, by the program that has one.

    Args:
        asker: what needs it, for the error message.
        dataset: whose posts were read so.
        features: of pictures, with the fingerprints under which they are computed.
        sets: `FIELD=VALUE` over the dataset's configuration, such as where weights are now.

    Raises:
        UsageError: what reads posts is not installed here, or cannot do it as it was done for the dataset.
    """
    for program in programs():
        if program.open_reader:
            program.extra.require(asker)
            return program.open_reader(dataset, features, sets)
    raise UsageError(f"{asker}: no program here reads posts. {_INSTALL}")


def import_alone(name: str) -> ModuleType:
    """A module of a package, without what the package itself imports.

    Some packages import all they have when one of their modules is imported: nltk takes three seconds and 120 MB for a
    stemmer of one file. Here the packages above the module are empty while it is imported, and forgotten afterwards, so
    that whoever imports them later gets them whole.

    Args:
        name: The dotted name of the module. What it imports of its own package is imported in the same way.

    Raises:
        ModuleNotFoundError: The package or the module is not installed.
    """
    package, *rest = name.split(".")
    spec = importlib.util.find_spec(package)
    if package in sys.modules or spec is None or not spec.submodule_search_locations:
        return importlib.import_module(name)
    folder = Path(spec.submodule_search_locations[0])
    for depth in range(len(rest)):
        parent = ModuleType(".".join([package, *rest[:depth]]))
        parent.__path__ = [str(folder.joinpath(*rest[:depth]))]
        sys.modules[parent.__name__] = parent
    try:
        return importlib.import_module(name)
    finally:
        for loaded in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
            del sys.modules[loaded]
