"""Every error that m3h raises on purpose, in one tree. Any other error that reaches a user is a bug of ours."""

import difflib
from collections.abc import Iterable


class M3hError(Exception):
    """An expected fault. The message says what happened, where, and what to do. Exit 1."""


class UsageError(M3hError):
    """The command or its configuration is wrong: one `error:` line, exit 2."""


class MachineError(M3hError):
    """A disk, a limit or a permission is in the way. Nothing that was finished is lost."""


class IntegrityError(M3hError):
    """A file of a dataset or run is missing, changed or unreadable."""


class FeatureError(M3hError):
    """An extractor's output is not what it declared (shape, type, range), or a feature is not the one asked for."""


class ImageFault(M3hError):
    """An expected fault of one image. `reason` is the word that is recorded in `dropped`."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return (type(self), (self.reason, self.detail))


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that does not exist. It suggests the nearest known name and lists all of them.

    Args:
        kind: What is named, such as "command".
        name: The unknown name.
        known: All names that exist.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return UsageError(f"no {kind} named '{name}'.{hint} Known: {', '.join(names)}.")
