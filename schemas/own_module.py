"""Starts Python processes that import our modules, and never a user's `random.py` or `model.py`."""

import os
import sys

_START = (
    "import sys\n"
    "if sys.path[0] == '': del sys.path[0]\n"  # the current folder, which may hold any random.py
    "import runpy\n"
    "del sys.argv[0]\n"
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
)


def module_command(module: str, *words: str, options: tuple[str, ...] = ()) -> list[str]:
    """The command line of a Python process that runs `module`.

    `python -m` searches the current folder before all packages. The option `-P` prevents that, but Python 3.10 does not
    have it.

    Args:
        module: The dotted name.
        *words: The module's own command line.
        options: Options of Python itself.
    """
    return [sys.executable, *options, "-c", _START, module, *words]


def guard_child_processes() -> None:
    """Keep processes that libraries start from importing from the current folder. Works from Python 3.11 on."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")


def ignore_current_folder() -> None:
    """Import nothing more from the current folder, which `python -m` searches first. PYTHONPATH's folders stay."""
    here = os.getcwd()  # noqa: PTH109  # pathlib might still be imported from that folder
    if sys.path[0] in ("", here) and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
