"""The folder of weights that a user added: each by a name, with its sha256, for which feature and in which layout.

$M3H_WEIGHTS, or ~/.cache/m3h/weights. Nothing is ever fetched into it.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from schemas.errors import UsageError
from schemas.files import publish, publish_json, read_json, sha256_file

INDEX = "weights.json"
TAKEN = ("random", "default")


@dataclass(frozen=True)
class Added:
    """One file of the folder. file: its name there; bytes: its size; layout: as its feature recognised it."""

    name: str
    file: str
    sha256: str
    bytes: int
    feature: str
    layout: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return folder() / self.file


def folder() -> Path:
    """Where added weights lie; it need not be there."""
    named = os.environ.get("M3H_WEIGHTS")
    return Path(named) if named else Path.home() / ".cache" / "m3h" / "weights"


def all_added() -> dict[str, Added]:
    """By name."""
    index = folder() / INDEX
    rows: Mapping[str, Mapping[str, str]] = read_json(index) if index.is_file() else {}
    return {name: Added(name, **row) for name, row in sorted(rows.items())}  # type: ignore[arg-type]


def find_added(name: str) -> Added | None:
    """What was added as `name`, if its file is still there."""
    found = all_added().get(name)
    return found if found and found.path.is_file() else None


def check_name(name: str) -> None:
    """UsageError unless `name` can be given to weights: no path, no word with a meaning, not taken."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or name in TAKEN:
        raise UsageError(
            f"weights add {name}: expected a name of letters, digits, dots, dashes and underscores that is not "
            f"{' or '.join(TAKEN)}, such as butd36."
        )
    if name in all_added():
        raise UsageError(f"weights add {name}: there is one of that name; take another, or remove it first.")


def add(name: str, source: Path, sha256: str, feature: str, layout: str) -> Added:
    """Copy a file into the folder under a name. sha256: of the source, as it was when its layout was recognised."""
    check_name(name)
    added = Added(name, f"{name}{source.suffix}", sha256, source.stat().st_size, feature, layout)

    def copy(temp: Path) -> None:
        shutil.copyfile(source, temp)
        if sha256_file(temp) != sha256:
            raise UsageError(f"weights add {name}: {source} changed while it was read; add it again.")

    publish(added.path, copy)
    _write({**all_added(), name: added})
    return added


def remove(name: str) -> Added:
    """Take a name and its file out of the folder. UsageError where there is none."""
    rows = all_added()
    if name not in rows:
        raise UsageError(f"weights remove {name}: no such name. Added: {', '.join(rows) or 'none'}.")
    gone = rows.pop(name)
    _write(rows)
    gone.path.unlink(missing_ok=True)
    return gone


def _write(rows: Mapping[str, Added]) -> None:
    plain = {name: asdict(row) for name, row in rows.items()}
    for row in plain.values():
        del row["name"]
    publish_json(folder() / INDEX, plain)


def faults(added: Added) -> str:
    """What is wrong with an added file: missing, or other bytes; empty where it is whole."""
    if not added.path.is_file():
        return "missing"
    found = sha256_file(added.path)
    return "" if found == added.sha256 else f"changed: expected sha256 {added.sha256}, found {found}"
