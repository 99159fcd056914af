"""Files that a manifest listed before a command replaced or removed them, kept for those who have the dataset open.

Each gets a second name (a hard link, which takes no room) before its first one goes. `schemas/dataset.py` looks there.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from m3h.schemas.dataset import RETIRED, retired_name
from m3h.schemas.inside import file_in, files_in, folder_in, link_in, name_of, remove, remove_if_empty, remove_tree
from m3h.schemas.manifest import FileEntry

GRACE_SECONDS = 3600.0
"""How long a file is kept at least. The next command after that removes it."""


def keep(dataset: Path, files: Mapping[str, FileEntry], names: Iterable[str]) -> list[str]:
    """Keep files that are about to be replaced or removed.

    Args:
        dataset: The dataset's folder.
        files: Those of the manifest that is there.
        names: Which of them.

    Returns:
        The names of those that were not kept before.
    """
    return [n for n in names if link_in(file_in(dataset, n), dataset, retired_name(n, files[n].sha256))]


def let_go(dataset: Path, before: Mapping[str, FileEntry], after: Mapping[str, FileEntry], *, kept: list[str]) -> None:
    """Keep those files no longer that were not replaced or removed in the end.

    Args:
        dataset: The dataset's folder.
        before: The files of the manifest that was there.
        after: Those of the new one.
        kept: What `keep` returned.
    """
    changed = {entry.sha256 for name, entry in before.items() if after.get(name) != entry}
    for name in kept:
        if before[name].sha256 not in changed:
            remove(dataset, retired_name(name, before[name].sha256))
    remove_if_empty(folder_in(dataset, RETIRED))


def remove_expired(dataset: Path) -> None:
    """Remove what was kept for long enough. The system notes when a file last got or lost a name."""
    for path in files_in(dataset, f"{RETIRED}/*"):
        if time.time() - path.stat().st_ctime > GRACE_SECONDS:
            remove(dataset, name_of(dataset, path))
    remove_if_empty(folder_in(dataset, RETIRED))


def remove_all(dataset: Path) -> None:
    """Remove everything that was kept."""
    remove_tree(dataset, RETIRED)
