"""What dump files are called in a dataset: each has a name of its own there, without the folders of this machine."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from m3h.pipeline.readers.dumps import DumpFile
from m3h.pipeline.readers.formats import CMKP
from m3h.pipeline.runtime.filesystems import is_remote
from m3h.schemas.errors import UsageError


def told_apart(dumps: Sequence[DumpFile]) -> list[DumpFile]:
    """The files with distinct names. Those that share one are named by their paths below the folder they share.

    Raises:
        UsageError: a file is given twice, or two released datasets are given at once.
    """
    doubled = _doubled(dump.name for dump in dumps)
    paths = [_parts(dump) for dump in dumps if dump.name in doubled]
    if twice := _doubled(map("/".join, paths)):
        raise UsageError(f"--dumps: {twice[0].rpartition('/')[2]} is given twice.")
    shared = {name: _common([_parts(dump) for dump in dumps if dump.name == name]) for name in doubled}
    named = [replace(dump, name=_below(dump, shared[dump.name])) if dump.name in shared else dump for dump in dumps]
    if doubled := _doubled(dump.name for dump in named):
        raise UsageError(
            f"--dumps: two files are named {doubled[0]}. Give each file a name of its own: a record is identified by "
            "the name of its file."
        )
    return named


def _doubled(names: Iterable[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times > 1)


def _parts(dump: DumpFile) -> list[str]:
    path = dump.path if is_remote(dump.path) else os.path.abspath(dump.path)  # noqa: PTH100 (links are not followed)
    return path.split("/")


def _common(paths: Sequence[Sequence[str]]) -> int:
    """How many folders all paths begin with."""
    levels = zip(*(path[:-1] for path in paths), strict=False)
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, levels))


def _below(dump: DumpFile, folders: int) -> str:
    return dump.name if dump.format == CMKP else "/".join(_parts(dump)[folders:])


def known_name(dump: DumpFile, names: Collection[str]) -> str | None:
    """The longest of the names of earlier dumps that a file's path ends with; None where it ends with none."""
    parts = _parts(dump)
    ends = {"/".join(parts[start:]) for start in range(len(parts))}
    return max(ends.intersection(names), key=len, default=None)


def free_name(dump: DumpFile, taken: Collection[str]) -> str:
    """The shortest end of a file's path, of at least two parts, that is no name yet."""
    parts = _parts(dump)
    ends = ("/".join(parts[start:]) for start in range(len(parts) - 2, -1, -1))
    return next((end for end in ends if end not in taken), dump.name)


def name_in(
    dump: DumpFile, entry: Mapping[str, str], inputs: Sequence[Mapping[str, str]], *, earlier: DumpFile | None
) -> str:
    """What a dump is called in a dataset that was built before: as it was then, or apart from all others.

    Args:
        dump: a file that is given now, with the name that it would have alone.
        entry: its entry in a manifest under that name.
        inputs: the entries of the dataset's manifest.
        earlier: the dump that had this name then; None where that is not remembered.
    """
    same = [known["name"] for known in inputs if {**known, "name": ""} == {**entry, "name": ""}]
    if name := known_name(dump, same):
        return name
    names = {known["name"] for known in inputs}
    is_another = dump.name in names and earlier is not None and _parts(earlier) != _parts(dump)
    return free_name(dump, names) if is_another else dump.name
