"""The folder of weights that a user added. Each file has a name, a sha256, a feature and a layout.

The folder is $M3H_WEIGHTS, or ~/.cache/m3h/weights. Nothing is ever downloaded into it.
"""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish, publish_json, read_json, sha256_file

INDEX = "weights.json"
RESERVED_NAMES = ("random", "default")


@dataclass(frozen=True)
class AddedWeights:
    """One file of the folder. file: its file name; bytes: its size; feature, layout: see weight_kinds."""

    name: str
    file: str
    sha256: str
    bytes: int
    feature: str
    layout: str

    @property
    def path(self) -> Path:
        """The file."""
        return folder() / self.file


def folder() -> Path:
    """The folder of added weights. It may not exist."""
    configured = os.environ.get("M3H_WEIGHTS")
    return Path(configured) if configured else Path.home() / ".cache" / "m3h" / "weights"


def all_added() -> dict[str, AddedWeights]:
    """All added weights by name."""
    index = folder() / INDEX
    rows: Mapping[str, Mapping[str, str]] = read_json(index) if index.is_file() else {}
    return {name: AddedWeights(name, **row) for name, row in sorted(rows.items())}  # type: ignore[arg-type]


def find_added(name: str) -> AddedWeights | None:
    """The weights that were added as `name`; None when the name is unknown or the file no longer exists."""
    found = all_added().get(name)
    return found if found and found.path.is_file() else None


def check_name(name: str) -> None:
    """UsageError unless `name` can be given to weights: it is no path, it is not reserved, and it is not in use."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or name in RESERVED_NAMES:
        raise UsageError(
            f"weights add {name}: expected a name of letters, digits, dots, dashes and underscores that is not "
            f"{' or '.join(RESERVED_NAMES)}, for example butd36."
        )
    if name in all_added():
        raise UsageError(f"weights add {name}: this name is in use. Choose another name, or remove it first.")


def add(name: str, source: Path, sha256: str, *, feature: str, layout: str) -> AddedWeights:
    """Copy a file of weights into the folder.

    UsageError when the name cannot be used or the file has changed.

    Args:
        name: the name to give, see `check_name`.
        source: the file to copy.
        sha256: the hash of the file at the time when its layout was recognised.
        feature: the feature that the weights are for.
        layout: the layout of the file.
    """
    check_name(name)
    added = AddedWeights(name, f"{name}{source.suffix}", sha256, source.stat().st_size, feature, layout)

    def copy(temp: Path) -> None:
        shutil.copyfile(source, temp)
        if sha256_file(temp) != sha256:
            raise UsageError(f"weights add {name}: {source} changed while it was read; add it again.")

    publish(added.path, copy)
    _write({**all_added(), name: added})
    return added


def remove(name: str) -> AddedWeights:
    """Remove a name and its file from the folder. UsageError for an unknown name."""
    rows = all_added()
    if name not in rows:
        raise UsageError(f"weights remove {name}: no such name. Added: {', '.join(rows) or 'none'}.")
    removed = rows.pop(name)
    _write(rows)
    removed.path.unlink(missing_ok=True)
    return removed


def _write(rows: Mapping[str, AddedWeights]) -> None:
    index = {name: asdict(row) for name, row in rows.items()}
    for row in index.values():
        del row["name"]
    publish_json(folder() / INDEX, index)


def faults(added: AddedWeights) -> str:
    """What is wrong with an added file: it is missing or was changed. "" when it is as it was added."""
    if not added.path.is_file():
        return "missing"
    found = sha256_file(added.path)
    return "" if found == added.sha256 else f"changed: expected sha256 {added.sha256}, found {found}"
